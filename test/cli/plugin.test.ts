/** The kubectl plugin as processes of its own, against a real API server with the real operator. */
import { mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import test from 'ava';
import {
  auditOf,
  condition,
  createPod,
  deliveryOf,
  dies,
  identity,
  identityReady,
  policy,
  pool,
  refusedPod,
  registry,
  sessionGone,
  sha256,
  statusOf,
  team,
  tokenOf,
} from '#test/api/operator-lab.ts';
import { eventually } from '#test/support/eventually.ts';
import { agentPod } from '#test/support/jenkins-pod.ts';
import { logOnFailure, stopAfterwards } from '#test/support/hooks.ts';
import { type Lab, startLab } from '#test/support/lab.ts';
import type { OperatorProcess } from '#test/support/operator-process.ts';
import { type Said, plugin, run } from './plugin.ts';

let lab: Lab;
let operator: OperatorProcess;

const publishers = (...scopes: string[]): string =>
  policy('publishers', { role: 'publisher', pool: 'ci-bots', scopes });
const both = ['artifacts:publish', 'artifacts:read'];
const admin = (args: readonly string[], input?: string): Promise<Said> => plugin(lab.cluster.kubeconfig, args, input);
const jenkins = 'system:serviceaccount:jenkins:jenkins';

test.before(async () => {
  lab = await startLab({ tokenLifetime: 600, deliveryLag: '2s' });
  operator = await lab.running();
  await lab.apply(
    pool('ci-bots', lab.provider.issuer),
    publishers(...both),
    identity('publisher', { pool: 'ci-bots', roles: ['publisher'] }),
    identity('deployer', { pool: 'ci-bots', roles: ['publisher'], scopes: ['deploy:production'] }),
  );
  await identityReady(lab, 'publisher');
  await condition(lab, 'ciidentity/deployer', 'Authorized', { status: 'False' }, team);
});

logOnFailure(() => operator);
stopAfterwards(() => [lab]);

test.serial('kubectl finds the plugin by its name', async (t) => {
  const folder = join(lab.dir, 'bin');
  mkdirSync(folder);
  symlinkSync(
    fileURLToPath(new URL('../../src/kubectl-ci_identity', import.meta.url)),
    join(folder, 'kubectl-ci_identity'),
  );
  const environment = {
    PATH: `${folder}:/usr/bin:/bin`,
    KUBECONFIG: lab.cluster.kubeconfig,
  };
  const help = await run(lab.cluster.kubectl, ['ci-identity', '--help'], { environment });
  t.is(help.code, 0, help.error);
  for (const verb of ['explain', 'simulate', 'diff', 'sessions', 'revoke', 'rotate', 'doctor', 'audit', 'uninstall']) {
    t.regex(help.out, new RegExp(`^  ${verb} `, 'm'));
  }
  const explained = await run(lab.cluster.kubectl, ['ci-identity', 'explain', '-n', team, 'publisher'], {
    environment,
  });
  t.is(explained.code, 0, explained.error);
});

test.serial('explain: what an identity has, and why it has not deploy:production', async (t) => {
  const has = await admin(['explain', '-n', team, 'publisher', 'artifacts:read']);
  t.log(has.out);
  t.deepEqual([has.code, has.error], [0, '']);
  t.regex(
    has.out,
    /^yes +artifacts:read +https:\/\/registry.example.com +ScopePolicy publishers \(spec.rules\[0\]\)$/m,
  );
  const lacks = await admin(['explain', '-n', team, 'ciidentity/publisher', 'deploy:production']);
  t.log(lacks.out);
  t.is(lacks.code, 2);
  t.regex(lacks.out, /^- not asked for; if it were: scope deploy:production .*is denied: no rule of any ScopePolicy/m);
  const asked = await admin(['explain', '-n', team, 'deployer']);
  t.is(asked.code, 2);
  const { message } = await condition(lab, 'ciidentity/deployer', 'Authorized', { status: 'False' }, team);
  t.true(asked.out.includes(`- ${message}\n`), 'the sentence is the one of the condition');
  const json = await admin(['explain', '-n', team, 'publisher', '-o', 'json']);
  const { identities } = JSON.parse(json.out) as { identities: { answers: object[] }[] };
  t.like(identities[0]?.answers[0], { outcome: 'Granted', audience: registry, by: { policy: 'publishers', rule: 0 } });
});

test.serial('explain pod, sessions: a running pod and what it holds; never a token', async (t) => {
  const pod = await createPod(lab, 'explained', ['publisher']);
  const token = await tokenOf(lab, pod, 'publisher');
  const explained = await admin(['explain', '-n', team, 'pod/explained']);
  t.log(explained.out);
  t.is(explained.code, 0, explained.error);
  t.regex(explained.out, /Pod explained has this identity and gets tokens with artifacts:publish artifacts:read\./);
  const plain = await admin(['sessions', '-n', team]);
  t.log(plain.out);
  t.regex(
    plain.out,
    /^ci-payments +explained +publisher +ci-bots +Pending +system:serviceaccount:jenkins:jenkins +\d+s$/m,
  );
  const records = await admin(['sessions', '-A', '--records', '-o', 'json']);
  const { sessions } = JSON.parse(records.out) as { sessions: { pod: string; tokens: { sha256: string }[] }[] };
  t.is(sessions.find((one) => one.pod === 'explained')?.tokens.at(-1)?.sha256, sha256(token));
  const asTable = await admin(['sessions', '-A', '--records']);
  t.is((await admin(['sessions', '-n', 'deleted', '--records'])).code, 0, 'records outlive the namespace');
  for (const { out, error } of [explained, plain, records, asTable]) t.false((out + error).includes(token));
  const asJenkins = await plugin(lab.jenkinsKubeconfig, ['sessions', '-n', team, '--records']);
  t.is(asJenkins.code, 1);
  t.regex(asJenkins.error, /you may not list ciidentities\.ci-identity\.dev in namespace ci-payments: ask/);
  await lab.kubectl(['delete', 'pod', '-n', team, 'explained', '--wait=false']);
});

test.serial('simulate: the API server and the operator’s own table, without creating anything', async (t) => {
  const simulate = (name: string, label: string, as: string, ...more: string[]): Promise<Said> =>
    admin(
      ['simulate', '-f', '-', '--as', as, ...more],
      JSON.stringify(agentPod({ name, labels: { [`identity/${label}`]: 'yes' } })),
    );
  const good = await simulate('simulated', 'publisher', jenkins);
  t.log(good.out);
  t.is(good.code, 0, good.error);
  t.regex(good.out, /The API server admits it \(dry run\)/);
  t.regex(good.out, /^publisher +ci-bots +a token +artifacts:publish artifacts:read +https:\/\/registry/m);
  const stranger = await simulate('simulated', 'publisher', 'system:serviceaccount:jenkins:stranger');
  t.is(stranger.code, 2);
  t.regex(stranger.out, /refuses it \(dry run\): .*stranger" cannot create resource "pods"/);
  const greedy = await simulate('simulated', 'deployer', jenkins);
  t.log(greedy.out);
  t.is(greedy.code, 2);
  t.regex(greedy.out, /refuses it \(dry run\): .*CiIdentity deployer: scope deploy:production/);
  const nobody = await simulate('simulated', 'none', jenkins, '-o', 'json');
  t.like(JSON.parse(nobody.out), { server: { is: 'Admitted' }, identities: [] });
  t.is(await lab.kubectl(['get', 'pods', '-n', team, 'simulated', '--ignore-not-found', '-o', 'name']), '');
});

test.serial(
  'a namespace without the label: condition, simulate and explain say that pods start without it',
  async (t) => {
    const bare = 'ci-unlabelled';
    const says =
      /namespace ci-unlabelled lacks the label .* Apply the component .*, or its agent pods are refused; then /;
    await lab.kubectl(['create', 'namespace', bare]);
    await lab.apply(
      policy('unlabelled', { role: 'unlabelled', pool: 'ci-bots', namespaces: [bare], scopes: both }),
      identity('unlabelled', { pool: 'ci-bots', roles: ['unlabelled'] }, bare),
    );
    const expected = { status: 'False', reason: 'NotOptedIn' } as const;
    for (const type of ['Issuing', 'Ready'])
      t.regex((await condition(lab, 'ciidentity/unlabelled', type, expected, bare)).message, says);
    const simulated = await admin(
      ['simulate', '-f', '-'],
      JSON.stringify(agentPod({ name: 'simulated', namespace: bare, labels: { 'identity/unlabelled': 'yes' } })),
    );
    const explained = await admin(['explain', '-n', bare]);
    for (const { code, out, error } of [simulated, explained]) {
      t.is(code, 2, error);
      t.regex(out, says);
    }
    await lab.kubectl(['delete', 'scopepolicy/unlabelled', 'namespace/ci-unlabelled']);
  },
);

test.serial('diff: who would lose what; the exit code is for the CI of a GitOps repository', async (t) => {
  const pod = await createPod(lab, 'compared', ['publisher']);
  await tokenOf(lab, pod, 'publisher');
  const same = await admin(['diff', '-f', '-'], publishers(...both));
  t.deepEqual([same.code, same.out], [0, 'Nobody loses or gains anything (2 CiIdentities compared).\n']);
  const narrower = await admin(['diff', '-f', '-'], publishers('artifacts:read'));
  t.log(narrower.out);
  t.is(narrower.code, 2);
  t.regex(
    narrower.out,
    /^LOSES +ci-payments\/publisher +1 +artifacts:publish +https:\/\/registry\.example\.com +NoRule$/m,
  );
  for (const [edit, loses] of [
    [
      pool('ci-bots', lab.provider.issuer, { ceiling: { scopes: ['artifacts:read'], audiences: [registry] } }),
      'OutsideCeiling',
    ],
    [
      identity('publisher', { pool: 'ci-bots', roles: ['publisher'], scopes: ['artifacts:read'] }, team),
      'NarrowedAway',
    ],
    [identity('publisher', { pool: 'ci-bots', roles: ['other'] }, team), 'NoRule'],
  ] as const) {
    const { code, out, error } = await admin(['diff', '-f', '-'], edit);
    t.is(code, 2, `${out}${error}`);
    t.regex(out, new RegExp(`^LOSES +ci-payments/publisher +1 +artifacts:publish +\\S+ +${loses}$`, 'm'), edit);
  }
  const wider = join(lab.dir, 'wider.yaml');
  writeFileSync(
    wider,
    [
      publishers(...both, 'deploy:production'),
      pool('ci-bots', lab.provider.issuer, {
        ceiling: { scopes: [...both, 'deploy:production'], audiences: [registry] },
      }),
    ].join('\n---\n'),
  );
  const gained = await admin(['diff', '-f', wider, '-o', 'json']);
  t.is(gained.code, 0);
  const { identities } = JSON.parse(gained.out) as { identities: { identity: string; gained: { scope: string }[] }[] };
  t.deepEqual(
    identities
      .map((one) => [one.identity, one.gained.map(({ scope }) => scope).join()])
      .toSorted(([a = ''], [b = '']) => a.localeCompare(b)),
    [
      ['deployer', 'deploy:production'],
      ['publisher', 'deploy:production'],
    ],
  );
  const pruned = await admin(
    ['diff', '--prune', '-f', '-'],
    policy('others', { role: 'other', pool: 'ci-bots', scopes: both }),
  );
  t.is(pruned.code, 2);
  const invalid = await admin(['diff', '-f', '-'], publishers('artifacts:*'));
  t.is(invalid.code, 1);
  t.regex(invalid.error, /ScopePolicy publishers is not valid: /);
  t.deepEqual((await statusOf(lab, 'ciidentity/publisher', team))['denials'], undefined, 'nothing was applied');
  await lab.kubectl(['delete', 'pod', '-n', team, 'compared', '--wait=false']);
});

test.serial('revoke and rotate: asked by annotation, followed until handled', async (t) => {
  const pod = await createPod(lab, 'revoked', ['publisher']);
  const token = await tokenOf(lab, pod, 'publisher');
  // Revoking concerns what was minted in an earlier millisecond than the operator sees the request.
  const revoked = await admin(['revoke', 'identitypool/ci-bots', '--id', 'INC-1', '--wait', '--timeout', '60s']);
  t.log(revoked.out);
  t.is(revoked.code, 0, revoked.error);
  t.regex(revoked.out, /^IdentityPool ci-bots: Revoke INC-1 is Done at 20/m);
  await dies(lab.provider, token, 20_000);
  const second = await tokenOf(lab, pod, 'publisher', token);
  const rotated = await admin(['rotate', 'ci-bots', '--wait', '--timeout', '90s', '-o', 'json']);
  t.is(rotated.code, 0, rotated.error);
  t.like(JSON.parse(rotated.out), { pool: 'ci-bots', requests: [{ kind: 'Rotate', outcome: 'Done' }] });
  t.not(second, token);
  const elsewhere = await admin(['revoke', 'pod/revoked']);
  t.is(elsewhere.code, 1);
  t.regex(elsewhere.error, /only an IdentityPool has revoke requests\. To end one pod, delete it/);
  const missing = await admin(['revoke', 'identitypool/missing']);
  t.is(missing.code, 1);
  t.regex(missing.error, /^kubectl ci-identity revoke: IdentityPool missing does not exist in context \S+\n$/);
  await lab.kubectl(['delete', 'pod', '-n', team, 'revoked', '--wait=false']);
});

test.serial('a member of the team, who may not read policies, gets the operator’s own words', async (t) => {
  await lab.apply(
    JSON.stringify({ apiVersion: 'v1', kind: 'ServiceAccount', metadata: { namespace: team, name: 'member' } }),
    JSON.stringify({
      apiVersion: 'rbac.authorization.k8s.io/v1',
      kind: 'RoleBinding',
      metadata: { namespace: team, name: 'member' },
      roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'ClusterRole', name: 'view' },
      subjects: [{ kind: 'ServiceAccount', namespace: team, name: 'member' }],
    }),
  );
  const kubeconfig = await lab.cluster.kubeconfigForServiceAccount(team, 'member');
  const explained = await eventually('the role view is aggregated', async () => {
    const said = await plugin(kubeconfig, ['explain', '-n', team, 'deployer']);
    return said.code === 1 ? undefined : said;
  });
  t.log(explained.out, explained.error);
  t.is(explained.code, 2);
  t.regex(explained.out, /\(from its status\)/);
  t.regex(explained.out, /scope deploy:production .*is denied: no rule of any ScopePolicy/);
  t.regex(explained.error, /note: you may not list scopepolicies/);
  const diffed = await plugin(kubeconfig, ['diff', '-n', team, '-f', '-'], publishers('artifacts:read'));
  t.is(diffed.code, 1, 'an answer that may leave somebody out is none');
  const doctored = await plugin(kubeconfig, ['doctor']);
  t.regex(doctored.out, /^UNCHECKED +admission policies not checked: you may not list/m);
});

test.serial(
  'enforcement Audit: granted inside the ceiling, recorded, shown; Enforce takes it back from live pods',
  async (t) => {
    const issuer = lab.provider.issuer;
    const scopes = [...both, 'deploy:production'];
    const trial = (enforcement: string): string =>
      pool('trial', issuer, { enforcement, ceiling: { scopes, audiences: [registry] } });
    await lab.apply(
      trial('Audit'),
      policy('trials', { role: 'trial', pool: 'trial', scopes: ['artifacts:read'] }),
      identity('mapped', { pool: 'trial', roles: ['trial'], scopes: ['artifacts:read', 'deploy:production'] }),
      identity('unmapped', { pool: 'trial', roles: ['nothing-yet'], scopes: ['artifacts:publish'] }),
      identity('beyond', { pool: 'trial', roles: ['trial'], scopes: ['artifacts:delete'] }),
    );
    const authorized = await condition(
      lab,
      'ciidentity/mapped',
      'Authorized',
      { status: 'True', reason: 'ShadowDenied' },
      team,
    );
    t.regex(authorized.message, /with Enforce, scope deploy:production would be denied/);
    t.like((await statusOf(lab, 'ciidentity/mapped', team))['wouldDeny'], [
      { scope: 'deploy:production', reason: 'NoRule' },
    ]);
    await identityReady(lab, 'mapped');
    await identityReady(lab, 'unmapped');
    await condition(lab, 'ciidentity/beyond', 'Authorized', { status: 'False', reason: 'NoRule' }, team);
    // Never outside the ceiling.
    await refusedPod(lab, 'beyond', 'beyond', /artifacts:delete.* is denied/);

    const [mapped, unmapped] = [
      await createPod(lab, 'mapped', ['mapped']),
      await createPod(lab, 'unmapped', ['unmapped']),
    ];
    const token = await tokenOf(lab, mapped, 'mapped');
    const other = await tokenOf(lab, unmapped, 'unmapped');
    const scopeOf = async (): Promise<string> => {
      const { files } = await deliveryOf(lab, mapped, 'mapped');
      return (JSON.parse(files['token.json'] ?? '{}') as { scope?: string }).scope ?? '';
    };
    t.is(await scopeOf(), 'artifacts:read deploy:production');
    t.like(
      auditOf(operator).find(({ event, pod }) => event === 'ShadowDenied' && pod?.name === 'mapped'),
      {
        outcome: 'Success',
        reason: 'NoRule',
        scopes: ['deploy:production'],
        audiences: [registry],
        token_sha256: sha256(token),
      },
    );
    const explained = await admin(['explain', '-n', team, 'mapped']);
    t.is(explained.code, 0, 'it has it');
    t.regex(explained.out, /^yes \(Audit\) +deploy:production/m);

    const compared = await admin(['diff', '--enforce', '-n', team]);
    t.log(compared.out);
    t.is(compared.code, 2);
    t.regex(compared.out, /^LOSES +ci-payments\/mapped +1 +deploy:production .* NoRule$/m);
    t.regex(compared.out, /^LOSES +ci-payments\/unmapped +1 +artifacts:publish .* NoRule$/m);

    await lab.apply(trial('Enforce'));
    await dies(lab.provider, token, 20_000);
    await tokenOf(lab, mapped, 'mapped', token);
    t.is(await scopeOf(), 'artifacts:read', 'narrowed');
    await dies(lab.provider, other, 20_000);
    await sessionGone(lab, unmapped);
    await refusedPod(lab, 'unmapped', 'unmapped', /artifacts:publish.* is denied/);
  },
);

test.serial('doctor: names what is wrong, and what to do', async (t) => {
  const before = await admin(['doctor']);
  t.log(before.out);
  await lab.kubectl(['create', 'namespace', 'ci-forgotten']);
  await lab.kubectl(['label', 'namespace', 'ci-forgotten', 'ci-identity.dev/inject=enabled']);
  await lab.kubectl(['create', 'namespace', 'ci-typo']);
  await lab.kubectl(['label', 'namespace', 'ci-typo', 'ci-identity.dev/inject=true']);
  await lab.kubectl([
    'create',
    'rolebinding',
    '-n',
    'ci-identity-system',
    'curious',
    '--clusterrole=edit',
    '--user=eve',
  ]);
  await lab.kubectl([
    'create',
    'configmap',
    '-n',
    'ci-identity-system',
    'emergency-stop',
    '--from-literal=reason=drill',
  ]);
  await lab.kubectl(['delete', 'validatingadmissionpolicybinding', 'claims.ci-identity.dev']);
  const after = await admin(['doctor', '-o', 'json']);
  t.is(after.code, 2, 'there is a problem; 1 is for what could not be looked at');
  const { findings } = JSON.parse(after.out) as { findings: { level: string; subject: string; what: string }[] };
  const lines = findings.map(({ level, subject, what }) => `${level}: ${subject} ${what}`);
  for (const expected of [
    'Problem: ValidatingAdmissionPolicyBinding claims.ci-identity.dev (missing) is not as this version ships it',
    'Problem: Namespace ci-forgotten opts in, but the operator has not its rights there',
    'Problem: Namespace ci-forgotten has no creator that may use its identities',
    'Problem: Namespace ci-typo has the label ci-identity.dev/inject with another value than enabled',
    'Problem: Namespace ci-identity-system lets User eve get, list, watch, delete Secrets',
    'Warning: ConfigMap ci-identity-system/emergency-stop stops everything',
  ]) {
    t.true(lines.includes(expected), `${expected}\n${lines.join('\n')}`);
  }
  t.notRegex(before.out, /User eve|lacks rights/);
});

test.serial(
  'uninstall: without an operator nothing is deleted, because nobody could clear up at the providers',
  async (t) => {
    await operator.stop();
    const told = await admin(['uninstall']);
    t.is(told.code, 0, told.error);
    t.regex(
      told.out,
      /^It could not be done now: the operator in namespace ci-identity-system has no leader, and only /m,
    );
    const said = await admin(['uninstall', '--yes']);
    t.is(said.code, 1);
    t.regex(said.error, /nothing was deleted: the operator in namespace ci-identity-system has no leader/);
    t.regex(await lab.kubectl(['get', 'identitypools', '-o', 'name']), /ci-bots/);
  },
);

test.serial('audit verify: what the operator wrote is whole', async (t) => {
  const said = await admin(['audit', 'verify', operator.auditFile]);
  t.log(said.out);
  t.deepEqual([said.code, said.error], [0, '']);
  t.regex(said.out, /^\d+ lines of 1 process, every chain whole\nprocess \S+ ends with number \d+ at 20\S+, /m);
});

test.serial('what cannot be done is one line and exit code 1', async (t) => {
  type Case = readonly [args: readonly string[], kubeconfig: string, message: RegExp];
  const pod = JSON.stringify(agentPod({ name: 'simulated', namespace: 'nowhere' }));
  const cases: readonly Case[] = [
    [
      ['explain'],
      '/nonexistent/config',
      /no kubeconfig is found: set KUBECONFIG to one, or name it with --kubeconfig FILE/,
    ],
    [['explain', '--kubeconfig', '/nonexistent/config'], '', /kubeconfig \/nonexistent\/config cannot be read/],
    [['explain', '--context', 'nope'], lab.cluster.kubeconfig, /has no context nope/],
    [
      ['explain', '-n', team, 'publihser'],
      lab.cluster.kubeconfig,
      /CiIdentity ci-payments\/publihser does not exist \(did you mean publisher\?\); the namespace has /,
    ],
    [['explain', '-n', team, 'pod/none'], lab.cluster.kubeconfig, /Pod ci-payments\/none does not exist/],
    ...['explain', 'sessions', 'diff --enforce', 'simulate -f -'].map((line): Case => [
      [...line.split(' '), '-n', 'nowhere'],
      lab.cluster.kubeconfig,
      /: namespace nowhere does not exist in context /,
    ]),
    [['sessions', '-A', '--pool', 'nope'], lab.cluster.kubeconfig, /IdentityPool nope does not exist in context /],
    ...['doctor', 'uninstall', 'sessions -A --records'].map((line): Case => [
      [...line.split(' '), '--operator-namespace', 'nope'],
      lab.cluster.kubeconfig,
      /: namespace nope does not exist in context /,
    ]),
    [['diff', '-f', '/nonexistent.yaml'], lab.cluster.kubeconfig, /\/nonexistent\.yaml cannot be read/],
  ];
  for (const [args, kubeconfig, message] of cases) {
    const said = await plugin(kubeconfig, args, pod);
    t.is(said.code, 1, args.join(' '));
    t.regex(said.error, message);
    t.is(said.error.trimEnd().split('\n').length, 1, said.error);
    t.is(said.out, '');
  }
  const asJson = await plugin(lab.cluster.kubeconfig, ['explain', '-n', team, 'pod/none', '-o', 'json']);
  t.deepEqual([asJson.code, asJson.out], [1, '']);
  t.deepEqual(JSON.parse(asJson.error), { verb: 'explain', errors: ['Pod ci-payments/none does not exist'] });
});
