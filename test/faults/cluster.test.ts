/** The running program in a cluster that is not as it should be: kinds, rights, quotas, namespaces, configuration, and objects that ask for too much. */
import test from 'ava';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { parse } from 'yaml';
import { eventually } from '#test/support/eventually.ts';
import { type Lab, agentNamespaceDocuments, startLab } from '#test/support/lab.ts';
import { logOnFailure, stopAfterwards } from '#test/support/hooks.ts';
import type { OperatorProcess } from '#test/support/operator-process.ts';
import {
  type Pod,
  condition,
  createPod,
  deliveryOf,
  dies,
  identity,
  identityReady,
  metric,
  page,
  policy,
  pool,
  refusalOf,
  registry,
  sessionGone,
  sessions,
  team,
  tokenOf,
} from '#test/api/operator-lab.ts';

const patient = { timeoutMs: 90_000 };
const crds = join(import.meta.dirname, '../../crds');
const plurals = ['identitypools', 'scopepolicies', 'ciidentities'] as const;
const teams = Array.from({ length: 200 }, (_, n) => `ci-team-${String(n).padStart(3, '0')}`);
const [forgotten, limited, leaving, silent] = ['ci-team-042', 'ci-team-043', 'ci-team-044', 'ci-team-045'] as const;

let lab: Lab;
let operator: OperatorProcess;

test.before(async () => {
  lab = await startLab({ tokenLifetime: 20, deliveryLag: '2s' });
});

logOnFailure(() => operator);
stopAfterwards(() => [lab]);

const podIn = (namespace: string): Promise<Pod> => createPod(lab, nextPodName(), ['publisher'], { namespace });

/** Another namespace: it gets a token in the time in which it always does. */
async function others(): Promise<void> {
  const pod = await podIn(team);
  await tokenOf(lab, pod, 'publisher', undefined, 10_000);
  await lab.kubectl(['delete', 'pod', '-n', team, pod.name, '--wait=false']);
}

const readyz = async (says: RegExp, status: number): Promise<string> =>
  eventually(
    `/readyz answers ${status} and says ${says}`,
    async () => {
      const answer = await page(operator, '/readyz');
      if (answer.status === status && says.test(answer.text)) return answer.text;
      throw new Error(`${answer.status} ${answer.text}`);
    },
    patient,
  );

const crd = (plural: string): string => readFileSync(join(crds, `${plural}.yaml`), 'utf8');

/** The definition of pools without this member of its status. */
function olderPool(member: string): string {
  const definition = parse(crd('identitypools')) as {
    spec: {
      versions: { schema: { openAPIV3Schema: { properties: { status: { properties: Record<string, unknown> } } } } }[];
    };
  };
  delete definition.spec.versions[0]?.schema.openAPIV3Schema.properties.status.properties[member];
  return JSON.stringify(definition);
}

test.serial('a kind is missing at the start: not ready, a sentence with the command, and no lease', async (t) => {
  await lab.kubectl(['delete', 'crd', ...plurals.map((plural) => `${plural}.ci-identity.dev`)]);
  operator = lab.operator();
  const text = await readyz(/^not ok definitions: CustomResourceDefinition /m, 503);
  for (const plural of plurals)
    t.regex(text, new RegExp(`CustomResourceDefinition ${plural}\\.ci-identity\\.dev: it is not installed`));
  t.regex(text, /run kubectl apply --server-side -k crds with the files of this version/);
  t.regex(operator.log(), /waiting for the definitions of our kinds/);
  t.is(await lab.kubectl(['get', 'lease', '-n', 'ci-identity-system', '-o', 'name']), '');
});

test.serial(
  'a kind is older than the program: it says what is missing, and goes on by itself once it is there',
  async (t) => {
    await lab.apply(olderPool('requests'), crd('scopepolicies'), crd('ciidentities'));
    await readyz(
      /^not ok definitions: CustomResourceDefinition identitypools\.ci-identity\.dev: it is of an older version and lacks status\.requests, which/m,
      503,
    );
    await lab.apply(crd('identitypools'));
    await readyz(/^ok definitions$/m, 200);
    await lab.guarded();
    await lab.apply(
      pool('ci-bots', lab.provider.issuer),
      policy('publishers', {
        role: 'publisher',
        pool: 'ci-bots',
        scopes: ['artifacts:publish'],
        namespaces: [team, ...teams.slice(0, 60)],
      }),
      identity('publisher', { pool: 'ci-bots', roles: ['publisher'] }),
    );
    await eventually('the identity is Ready', () => identityReady(lab, 'publisher'), patient);
    // The API server needs a while to know parameters of a kind that was just made.
    const admitted = eventually(
      'pods are admitted',
      () =>
        others()
          .then(() => true)
          .catch(() => undefined),
      patient,
    );
    await t.notThrowsAsync(admitted);
  },
);

test.serial('a kind becomes older under the running program: it says what is missing, and heals', async (t) => {
  await lab.apply(olderPool('clients'));
  // Whose status nobody can write now.
  await lab.apply(pool('ci-late', lab.provider.issuer));
  await readyz(
    /^not ok definitions: CustomResourceDefinition identitypools\.ci-identity\.dev: it is of an older version and lacks status\.clients, which/m,
    503,
  );
  t.regex(operator.log(), /the definitions of our kinds are not those that this version needs any more/);
  await lab.apply(crd('identitypools'));
  await readyz(/^ok definitions$/m, 200);
  await eventually(
    'the pool is Ready',
    () => condition(lab, 'identitypool/ci-late', 'Ready', { status: 'True' }),
    patient,
  );
  await lab.kubectl(['delete', 'identitypool', 'ci-late', '--wait=false']);
  await others();
});

test.serial(
  'a configuration that was changed and cannot be used: log, metric and health page say so, and the one before stays',
  async (t) => {
    const good = readFileSync(lab.configFile, 'utf8');
    writeFileSync(
      lab.configFile,
      good.replace('"Generic"', '"Kyecloak"').replace('"10s"', '"soon"').replace('"2s"', '"soon"'),
    );
    const text = await readyz(
      /^ok configuration, but: .* was changed and cannot be used, so the one before stays in force: /m,
      200,
    );
    t.regex(text, /issuers\[0\]\.profile must be .*Generic.*; limits\.deliveryLag must be a duration/);
    t.regex(operator.log(), /the changed configuration cannot be used; the old one stays in force/);
    await metric(operator, /^ci_identity_configuration_current 0$/m);
    await others();
    writeFileSync(lab.configFile, good);
    await readyz(/^ok configuration$/m, 200);
    await metric(operator, /^ci_identity_configuration_current 1$/m);
  },
);

/** Namespaces whose pods the program cannot watch, as its health page names them. */
async function unwatched(): Promise<readonly string[]> {
  const { text } = await page(operator, '/readyz');
  return [...text.matchAll(/^ok watch pods\/(\S+), but: /gm)].map(([, name = '']) => name);
}

test.serial('200 namespaces, of which one lacks its RoleBinding: it says which, and the other 199 go on', async (t) => {
  const granted = (name: string): readonly string[] =>
    agentNamespaceDocuments(name).filter((text) => !text.includes('"ci-identity-controller"') || name !== forgotten);
  const few = (name: string): boolean => name >= forgotten && name <= silent;
  const least = (name: string): readonly string[] =>
    granted(name).filter(
      (text) => few(name) || text.includes('"Namespace"') || text.includes('ci-identity-controller'),
    );
  await lab.apply(...teams.flatMap(least));
  const named = [forgotten, limited, leaving, silent];
  await lab.apply(...named.map((name) => identity('publisher', { pool: 'ci-bots', roles: ['publisher'] }, name)));
  await eventually(
    'all namespaces but one are watched',
    async () => {
      const missing = await unwatched();
      if (missing.join() === forgotten) return true;
      throw new Error(`not watched: ${missing.join(', ')}`);
    },
    patient,
  );
  const { message } = await eventually(
    'the identity says what is missing',
    () => condition(lab, 'ciidentity/publisher', 'Issuing', { status: 'False', reason: 'ApiForbidden' }, forgotten),
    patient,
  );
  t.regex(
    message,
    new RegExp(
      `lacks the verb list on pods in namespace ${forgotten}; apply Role and RoleBinding ci-identity-controller of manifests/components/agent-namespace in namespace ${forgotten}`,
    ),
  );
  await readyz(/^ok definitions$/m, 200);
  const waits = await podIn(forgotten);
  for (const name of [limited, leaving, silent]) {
    const pod = await podIn(name);
    await tokenOf(lab, pod, 'publisher', undefined, 10_000);
    await lab.kubectl(['delete', 'pod', '-n', name, pod.name, '--wait=false']);
  }
  await others();
  await lab.apply(...agentNamespaceDocuments(forgotten));
  t.truthy(await tokenOf(lab, waits, 'publisher', undefined, patient.timeoutMs));
  await eventually('and the condition goes', () => identityReady(lab, 'publisher', forgotten), patient);
});

test.serial('Secrets may not be written in one namespace: its identity says so, and others go on', async (t) => {
  const [role] = agentNamespaceDocuments(silent).filter(
    (text) => text.includes('"Role"') && text.includes('controller'),
  );
  const without = JSON.parse(role ?? '') as { rules: { resources: string[] }[] };
  without.rules = without.rules.filter(({ resources }) => !resources.includes('secrets'));
  await lab.apply(JSON.stringify(without));
  const pod = await podIn(silent);
  const { message } = await eventually(
    'the identity says what is missing',
    () => condition(lab, 'ciidentity/publisher', 'Issuing', { status: 'False', reason: 'ApiForbidden' }, silent),
    patient,
  );
  t.regex(
    message,
    new RegExp(`lacks the verb (create|update) on secrets in namespace ${silent}; apply Role and RoleBinding`),
  );
  await others();
  await lab.apply(role ?? '');
  t.truthy(await tokenOf(lab, pod, 'publisher', undefined, patient.timeoutMs));
});

test.serial(
  'the quota of a namespace is used up: its identity names it, others go on, and raised it heals',
  async (t) => {
    const metadata = { name: 'compute', namespace: limited };
    await lab.apply(
      JSON.stringify({ apiVersion: 'v1', kind: 'ResourceQuota', metadata, spec: { hard: { 'count/secrets': '0' } } }),
    );
    const pod = await podIn(limited);
    const { message } = await eventually(
      'the identity says so',
      () => condition(lab, 'ciidentity/publisher', 'Issuing', { status: 'False', reason: 'QuotaExceeded' }, limited),
      patient,
    );
    t.regex(message, /ResourceQuota compute is used up; raise it or remove objects/);
    await others();
    await lab.kubectl(['delete', 'resourcequota', '-n', limited, 'compute']);
    t.truthy(await tokenOf(lab, pod, 'publisher', undefined, patient.timeoutMs));
    await eventually('the condition goes', () => identityReady(lab, 'publisher', limited), patient);
  },
);

test.serial(
  'a namespace is deleted under live sessions: tokens die, records go, and nothing holds the namespace',
  async (t) => {
    const pods = [await podIn(leaving), await podIn(leaving)];
    const tokens = await Promise.all(pods.map((pod) => tokenOf(lab, pod, 'publisher')));
    await lab.kubectl(['delete', 'namespace', leaving, '--wait=false']);
    for (const token of tokens) await dies(lab.provider, token, 10_000);
    for (const pod of pods) await sessionGone(lab, pod);
    await others();
    const gone = (): Promise<true | undefined> =>
      refusalOf(lab.kubectl(['get', 'namespace', leaving])).then((text) =>
        text.includes('not found') ? true : undefined,
      );
    t.true(await eventually('the namespace is gone', gone, patient));
  },
);

test.serial(
  'a delivery Secret edited by hand is refused with a sentence; deleted by hand it comes back with the next token',
  async (t) => {
    const pod = await podIn(team);
    const first = await tokenOf(lab, pod, 'publisher');
    const secret = `ci-identity-publisher.${pod.name}`;
    const patch = JSON.stringify({ stringData: { token: 'mine' } });
    const refusal = await refusalOf(lab.kubectl(['patch', 'secret', '-n', team, secret, '-p', patch]));
    t.regex(
      refusal,
      /denied request: Secrets named ci-identity-\* or of type ci-identity\.dev\/token are written by the ci-identity operator only/,
    );
    await lab.kubectl(['delete', 'secret', '-n', team, secret]);
    const back = await eventually(
      'it comes back',
      async () => {
        const { token } = (await deliveryOf(lab, pod, 'publisher')).files;
        return token === first ? undefined : token;
      },
      patient,
    );
    t.truthy(back);
    t.is((await sessions(lab)).filter((record) => record.pod.uid === pod.uid).length, 1);
  },
);

const deploy = 'https://deploy.example.com';
const asks: readonly (readonly [
  string,
  Readonly<Record<string, unknown>> & { pool: string; roles: string[] },
  string,
  RegExp,
])[] = [
  ['an unknown pool', { pool: 'nowhere', roles: ['publisher'] }, 'PoolMissing', /IdentityPool nowhere does not exist/],
  ['an unknown role', { pool: 'ci-bots', roles: ['emperor'] }, 'NoRule', /role emperor/],
  [
    'an unknown audience',
    { pool: 'ci-bots', roles: ['publisher'], audiences: ['https://nowhere.example.com'] },
    'NoRule',
    /https:\/\/nowhere\.example\.com/,
  ],
  [
    'a scope that no rule grants',
    { pool: 'ci-bots', roles: ['publisher'], scopes: ['deploy:production'] },
    'NoRule',
    /scope deploy:production is denied: no rule of any ScopePolicy gives it to role publisher/,
  ],
  [
    'a scope above the ceiling',
    { pool: 'ci-bots', roles: ['boaster'] },
    'OutsideCeiling',
    /ceiling of IdentityPool ci-bots/,
  ],
  [
    'several audiences with different grants',
    { pool: 'two-audiences', roles: ['both'], audiences: [registry, deploy] },
    'AudiencesDiffer',
    /split it into two identities/i,
  ],
];

for (const [n, [title, spec, reason, says]] of asks.entries()) {
  test.serial(`an identity asks for ${title}: ${reason}, and others go on`, async (t) => {
    if (n === 0) {
      const rule = (role: string, scope: string, audience: string): object => ({
        role,
        pool: 'two-audiences',
        namespaces: [team],
        scopes: [scope],
        audiences: [audience],
      });
      const rules = [rule('both', 'artifacts:read', registry), rule('both', 'artifacts:publish', deploy)];
      const apiVersion = 'ci-identity.dev/v1alpha1';
      const ceiling = { scopes: ['artifacts:read', 'artifacts:publish'], audiences: [registry, deploy] };
      await lab.apply(
        pool('two-audiences', lab.provider.issuer, { ceiling }),
        policy('boasters', { role: 'boaster', pool: 'ci-bots', scopes: ['deploy:production'] }),
        JSON.stringify({ apiVersion, kind: 'ScopePolicy', metadata: { name: 'both' }, spec: { rules } }),
      );
    }
    await lab.apply(identity(`asks-${n}`, spec));
    const { message } = await condition(lab, `ciidentity/asks-${n}`, 'Authorized', { status: 'False', reason }, team);
    t.regex(message, says);
    await others();
  });
}
import { nextPodName } from '#test/support/jenkins-pod.ts';
