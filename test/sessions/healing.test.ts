/** What heals by itself, what is found and told, and what the brake holds back, on a real API server with a real provider. */
import { established } from '#test/support/established.ts';
import { join } from 'node:path';
import test from 'ava';
import type { Condition } from '#src/api/meta.ts';
import { sessionRecordName } from '#src/domain/record-names.ts';
import {
  type Pod,
  auditOf,
  condition,
  createPod,
  deliveryOf,
  dies,
  identity,
  identityReady,
  isLive,
  metric,
  policy,
  pool,
  sessionGone,
  sessions,
  team,
  tokenOf,
} from '#test/api/operator-lab.ts';
import { eventually, patience } from '#test/support/eventually.ts';
import { logOnFailure, stopAfterwards } from '#test/support/hooks.ts';
import { type Lab, startLab } from '#test/support/lab.ts';
import type { OperatorProcess } from '#test/support/operator-process.ts';

let lab: Lab;
let operator: OperatorProcess;

const scopes = ['artifacts:publish'];
const crds = join(import.meta.dirname, '../../crds');

async function stage(name: string, spec: Readonly<Record<string, unknown>> = {}): Promise<void> {
  await lab.apply(
    pool(name, lab.provider.issuer, spec),
    policy(name, { role: name, pool: name, scopes }),
    identity(name, { pool: name, roles: [name] }),
  );
  await identityReady(lab, name);
}

interface EventView {
  readonly reason?: string;
  readonly note?: string;
  readonly regarding?: { readonly kind?: string; readonly name?: string };
}

async function eventOn(namespace: string, name: string, reason: string, says = /./): Promise<string> {
  return eventually(
    `an event ${reason} on ${name}`,
    async () => {
      const text = await lab.kubectl(['get', 'events.events.k8s.io', '-n', namespace, '-o', 'json']);
      const { items } = JSON.parse(text) as { items: readonly EventView[] };
      const of = items.filter((event) => event.reason === reason && event.regarding?.name === name);
      return of.find(({ note = '' }) => says.test(note))?.note;
    },
    { timeoutMs: 60_000, everyMs: 500 },
  );
}

test.before(async () => {
  lab = await startLab({ tokenLifetime: 600, deliveryLag: '2s' });
  operator = await lab.running();
});

logOnFailure(() => operator);
stopAfterwards(() => [lab]);

test.serial(
  'a pod that an identity selects and that was created without it is evented and counted within a minute',
  async (t) => {
    t.timeout(360_000);
    const from = Date.now();
    const older = await createPod(lab, 'older-x7k2p-q0b4t-m1wz9', [], { labels: { 'identity/missed': 'yes' } });
    const late = await createPod(lab, 'late-x7k2p-q0b4t-m1wz9', []);
    await stage('missed');
    await lab.kubectl(['label', 'pod', '-n', team, late.name, 'identity/missed=yes']);
    t.regex(await eventOn(team, older.name, 'InjectionMissed'), /CiIdentity missed selects it.*created before/);
    t.regex(await eventOn(team, late.name, 'InjectionMissed'), /CiIdentity missed selects it/);
    await metric(operator, /^ci_identity_injection_misses (2)$/m);
    t.true(Date.now() - from < patience * 60_000);
    await lab.kubectl(['delete', 'pod', '-n', team, older.name, late.name, '--now', '--wait=false']);
    await metric(operator, /^ci_identity_injection_misses (0)$/m);
  },
);

test.serial('a delivery Secret that somebody deleted is back at the next renewal', async (t) => {
  t.timeout(270_000);
  const { settings } = lab.provider;
  await stage('deleted');
  settings.tokenTtl = 20;
  const pod = await createPod(lab, 'deleted-x7k2p-q0b4t-m1wz9', ['deleted']);
  const before = await tokenOf(lab, pod, 'deleted');
  settings.tokenTtl = 600;
  await lab.kubectl(['delete', 'secret', '-n', team, `ci-identity-deleted.${pod.name}`]);
  const after = await tokenOf(lab, pod, 'deleted', before, 40_000);
  t.true(isLive(lab.provider, after));
  const [owner] = (await deliveryOf(lab, pod, 'deleted')).metadata.ownerReferences;
  t.is(owner?.['uid'], pod.uid);
});

test.serial('a delivery Secret that is missing while the node cannot mount it is back at once', async (t) => {
  t.timeout(180_000);
  await stage('unmounted');
  const pod = await createPod(lab, 'unmounted-x7k2p-q0b4t-m1wz9', ['unmounted']);
  const token = await tokenOf(lab, pod, 'unmounted');
  await lab.kubectl(['delete', 'secret', '-n', team, `ci-identity-unmounted.${pod.name}`]);
  // What a kubelet says of a pod whose volumes it cannot mount; test/node lets a real one say it.
  const condition = {
    type: 'PodReadyToStartContainers',
    status: 'False',
    lastTransitionTime: new Date().toISOString(),
  };
  const status = JSON.stringify({ status: { phase: 'Pending', conditions: [condition] } });
  await lab.kubectl(['patch', 'pod', '-n', team, pod.name, '--subresource=status', '--type=merge', '-p', status]);
  t.is(await tokenOf(lab, pod, 'unmounted', undefined, 40_000), token, 'the same token, no new one');
});

test.serial('a token that somebody else revoked is noticed at its renewal, told, and replaced once', async (t) => {
  t.timeout(270_000);
  const { settings } = lab.provider;
  await stage('stolen');
  settings.tokenTtl = 20;
  const pod = await createPod(lab, 'stolen-x7k2p-q0b4t-m1wz9', ['stolen']);
  const before = await tokenOf(lab, pod, 'stolen');
  settings.tokenTtl = 600;
  lab.provider.revokeToken(before);
  const after = await tokenOf(lab, pod, 'stolen', before, 40_000);
  t.true(isLive(lab.provider, after));
  t.regex(await eventOn(team, pod.name, 'RevokedElsewhere'), /revoked at https:.*by somebody else/);
  const of = auditOf(operator).filter((line) => line.pod?.uid === pod.uid);
  t.is(of.filter(({ event }) => event === 'Noticed').length, 1);
  t.deepEqual(
    of.flatMap(({ event }) => (/^(Minted|Renewed)$/.test(event) ? [event] : [])),
    ['Minted', 'Renewed'],
  );
  await metric(operator, /tokens_revoked_total\{pool="stolen",outcome="Elsewhere"\} 1/);
});

test.serial(
  'a session record whose label somebody took off has it again, and its token dies with its pod',
  async (t) => {
    t.timeout(270_000);
    await stage('hidden');
    const pod = await createPod(lab, 'hidden-x7k2p-q0b4t-m1wz9', ['hidden']);
    const token = await tokenOf(lab, pod, 'hidden');
    const uid = await lab.kubectl(['get', 'ciidentity', '-n', team, 'hidden', '-o', 'jsonpath={.metadata.uid}']);
    await lab.kubectl(['label', 'secret', '-n', system, sessionRecordName(pod.uid, uid), 'ci-identity.dev/kind-']);
    await eventually('it is found by its label', async () =>
      (await sessions(lab)).find((record) => record.pod.uid === pod.uid),
    );
    await eventually('it is told', () =>
      auditOf(operator).find((line) => line.event === 'Restored' && line.pod?.uid === pod.uid),
    );
    t.true(isLive(lab.provider, token));
    await lab.kubectl(['delete', 'pod', '-n', team, pod.name, '--now', '--wait=false']);
    await dies(lab.provider, token, 40_000);
    await sessionGone(lab, pod);
  },
);

test.serial('a renewal of a token that nobody touched says nothing', async (t) => {
  const of = auditOf(operator).filter(({ event, identity: name }) => event === 'Noticed' && name === 'deleted');
  t.deepEqual(of, []);
});

/** So many pods, each with a token of the identity. */
async function crowd(name: string, size: number): Promise<readonly string[]> {
  const pods: Pod[] = [];
  for (let n = 1; n <= size; n += 1) pods.push(await createPod(lab, `${name}-${n}-x7k2p-q0b4t-m1wz9`, [name]));
  return Promise.all(pods.map((pod) => tokenOf(lab, pod, name, undefined, 40_000)));
}

const alive = (tokens: readonly string[]): number => tokens.filter((token) => isLive(lab.provider, token)).length;
/** Until what nothing holds back would have happened: nothing tells that it does not happen. */
const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));
const system = 'ci-identity-system';

test.serial('a team deletes an identity under many builds: it decided that, and no session is held', async (t) => {
  t.timeout(360_000);
  await stage('own');
  const tokens = await crowd('own', 12);
  await lab.kubectl(['delete', 'ciidentity', '-n', team, 'own']);
  t.truthy(await eventually('every session ended', () => (alive(tokens) === 0 ? true : undefined)));
});

test.serial('the brake holds back the deregistration of many clients, and the pool says so', async (t) => {
  t.timeout(540_000);
  const name = 'many';
  await lab.apply(
    pool(name, lab.provider.issuer, { client: { per: 'Identity' } }),
    policy(name, { role: name, pool: name, scopes }),
    ...Array.from({ length: 12 }, (_, n) => identity(`many-${n}`, { pool: name, roles: [name] })),
  );
  for (let n = 0; n < 12; n += 1) await identityReady(lab, `many-${n}`);
  const clients = (): number =>
    lab.provider.clients().filter((client) => client.name?.startsWith(`ci-identity ${name} `) === true).length;
  t.is(clients(), 12);
  await lab.kubectl(['delete', 'identitypool', name, '--wait=false']);
  const { message } = await condition(lab, `identitypool/${name}`, 'Ready', { status: 'False', reason: 'BrakeHolds' });
  await pause(2_000);
  t.is(clients(), 12);
  const [, id = ''] = /acknowledge=(\S+?)\. /.exec(message) ?? [];
  await lab.kubectl(['annotate', 'namespace', system, '--overwrite', `ci-identity.dev/acknowledge=${id}`]);
  await eventually('every client is deregistered', () => (clients() === 0 ? true : undefined), { timeoutMs: 60_000 });
});

/** Who leads dies, and this one takes over. */
async function lead(next: OperatorProcess): Promise<void> {
  await operator.stop('SIGKILL');
  operator = next;
  const free = JSON.stringify({ spec: { holderIdentity: null } });
  await lab.kubectl(['patch', '-n', system, 'lease', 'ci-identity-controller', '--type=merge', '-p', free]);
}

/** What the one who leads says by itself of an identity that was just edited. */
async function exclusiveNow(name: string, edit: string): Promise<string> {
  const patch = JSON.stringify({ spec: { roles: [name, edit] } });
  await lab.kubectl(['patch', 'ciidentity', '-n', team, name, '--type=merge', '-p', patch]);
  return eventually(
    `identity ${name} is looked at after ${edit}`,
    async () => {
      const { metadata, status } = JSON.parse(
        await lab.kubectl(['get', 'ciidentity', '-n', team, name, '-o', 'json']),
      ) as {
        readonly metadata: { readonly generation: number };
        readonly status?: { readonly conditions?: readonly (Condition & { readonly observedGeneration?: number })[] };
      };
      const said = status?.conditions?.find(({ type }) => type === 'Exclusive');
      return said?.observedGeneration === metadata.generation ? said.reason : undefined;
    },
    { timeoutMs: 60_000 },
  );
}

test.serial(
  'a creator that namespaces share is told by a new process from living pods, by the standby from ended ones',
  async (t) => {
    t.timeout(540_000);
    const name = 'shared';
    await stage(name);
    await lab.agentNamespace('ci-shared');
    await lab.apply(
      policy(name, { role: name, pool: name, scopes, namespaces: [team, 'ci-shared'] }),
      identity(name, { pool: name, roles: [name] }, 'ci-shared'),
    );
    await identityReady(lab, name, 'ci-shared');
    const pods = [
      await createPod(lab, 'shared-1-x7k2p-q0b4t-m1wz9', [name]),
      await createPod(lab, 'shared-2-x7k2p-q0b4t-m1wz9', [name], { namespace: 'ci-shared' }),
    ];
    await condition(lab, `ciidentity/${name}`, 'Exclusive', { status: 'False', reason: 'SharedCreator' }, team);
    await lead(lab.operator());
    t.is(await exclusiveNow(name, 'restarted'), 'SharedCreator');
    const standby = lab.operator();
    await standby.ready();
    for (const { namespace, name: pod } of pods)
      await lab.kubectl(['delete', 'pod', '-n', namespace, pod, '--now', '--wait=false']);
    await lead(standby);
    t.is(await exclusiveNow(name, 'taken-over'), 'SharedCreator');
  },
);

test.serial(
  'the kind of the identities is deleted: every session is held, a stop and a revokeRequest end theirs at once, the rest goes when somebody acknowledges it, and not with a restart',
  async (t) => {
    t.timeout(720_000);
    const names = ['held-1', 'held-2', 'held-3'] as const;
    const tokens = new Map<string, readonly string[]>();
    for (const name of names) {
      await stage(name);
      tokens.set(name, await crowd(name, 4));
    }
    const living = (): readonly number[] => names.map((name) => alive(tokens.get(name) ?? []));
    const livingAre = (what: string, ...counts: readonly number[]): Promise<unknown> =>
      eventually(what, () => (living().join() === counts.join() ? true : undefined), { timeoutMs: 60_000 });
    await lab.kubectl(['delete', 'crd', 'ciidentities.ci-identity.dev', '--timeout=180s']);
    const note = await eventOn('default', system, 'BrakeHolds', /sessions would end because/);
    await eventually('the audit says so too', () =>
      auditOf(operator).find(({ event, message }) => event === 'Held' && message === note),
    );
    await lab.kubectl(['apply', '--server-side', '-k', crds]);
    await established((args) => lab.kubectl(args), 'crd/ciidentities.ci-identity.dev');
    await pause(3_000);
    t.deepEqual(living(), [4, 4, 4]);
    await metric(operator, /^ci_identity_brake_held_keys\{machine="sessions"\} ([1-9]\d)$/m);
    for (const [name, spec, left] of [
      ['held-1', { suspend: true }, [0, 4, 4]],
      ['held-2', { revokeRequest: 'now' }, [0, 0, 4]],
    ] as const) {
      await lab.kubectl(['patch', 'identitypool', name, '--type=merge', '-p', JSON.stringify({ spec })]);
      await livingAre(`what ${name} held ended, and nothing else`, ...left);
    }
    const args = ['get', 'secret', '-n', system, 'brake', '-o', 'jsonpath={.data.record\\.json}'];
    await eventually('what is held is stored', async () => {
      const record = Buffer.from(await lab.kubectl(args), 'base64').toString('utf8');
      return (JSON.parse(record) as { sessions: readonly string[] }).sessions.includes(team) ? true : undefined;
    });
    await lead(lab.operator());
    // What tests before this one left may be held as well.
    await metric(operator, /^ci_identity_brake_held_keys\{machine="sessions"\} ([1-9]\d*)$/m);
    await pause(3_000);
    t.deepEqual(living(), [0, 0, 4], 'the four that are left would be no mass change');
    const acknowledgement = `ci-identity.dev/acknowledge=sessions-99-${Math.floor(Date.now() / 86_400_000)}`;
    await lab.kubectl(['annotate', 'namespace', system, '--overwrite', acknowledgement]);
    await livingAre('every session ended', 0, 0, 0);
    await eventually('the audit says so', () =>
      auditOf(operator).find(({ event, reason }) => event === 'Released' && reason === 'BrakeAcknowledged'),
    );
  },
);
