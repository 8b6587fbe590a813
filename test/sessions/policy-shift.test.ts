/**
 * Every cause for which a live token may become too much, on a real API server with a real provider. The last column is read from the
 * provider: which tokens of the pool's client it still honours.
 */
import test from 'ava';
import { sha256 } from '#src/digest.ts';
import {
  type Pod,
  auditOf,
  condition,
  createPod,
  deliveryOf,
  identity,
  identityReady,
  isLive,
  policy,
  pool,
  refusalOf,
  registry,
  statusOf,
  team,
  tokenOf,
} from '#test/api/operator-lab.ts';
import { openApi } from '#test/bench/api.ts';
import { eventually } from '#test/support/eventually.ts';
import { logOnFailure, stopAfterwards } from '#test/support/hooks.ts';
import { type Lab, startLab } from '#test/support/lab.ts';
import type { OperatorProcess } from '#test/support/operator-process.ts';

const [publish, read, remove] = ['artifacts:publish', 'artifacts:read', 'artifacts:delete'];

/** Pool, policy and identity of one case have its name, and so does its namespace where it has one of its own. */
interface Scene {
  readonly lab: Lab;
  readonly name: string;
  readonly namespace: string;
}

interface Case {
  readonly title: string;
  readonly edit: (scene: Scene) => Promise<unknown>;
  /** `ended`: no live token is left. Otherwise: exactly one, another than before, with these scopes. */
  readonly then: 'ended' | readonly string[];
  /** It has the role `reads` as well, which gives one scope. */
  readonly twoRoles?: boolean;
  /** In a namespace of its own. */
  readonly apart?: boolean;
  /** What undoes the cause, where it would meet the others. */
  readonly undo?: (scene: Scene) => Promise<unknown>;
}

const annotate = (what: string, annotation: string) => (scene: Scene) =>
  scene.lab.kubectl(['annotate', '-n', scene.namespace, what.replace('NAME', scene.name), annotation]);
const patch = (what: string, body: object) => (scene: Scene) => {
  const place = ['-n', scene.namespace, what.replace('NAME', scene.name)];
  return scene.lab.kubectl(['patch', ...place, '--type=merge', '-p', JSON.stringify(body)]);
};
const stop = 'ci-identity.dev/emergency-stop=incident 4711';
const rules =
  (...scopes: readonly string[]) =>
  ({ lab, name, namespace }: Scene) =>
    lab.apply(policy(name, { role: name, pool: name, scopes, namespaces: [namespace] }));

const cases: readonly Case[] = [
  { title: 'a ScopePolicy is edited', edit: rules(read), then: [read] },
  {
    title: 'a ScopePolicy is deleted',
    edit: ({ lab, name }) => lab.kubectl(['delete', 'scopepolicy', name, '--wait=false']),
    then: 'ended',
  },
  {
    title: 'a rule no longer names the namespace',
    edit: ({ lab, name }) =>
      lab.apply(policy(name, { role: name, pool: name, scopes: [publish, read], namespaces: ['ci-others'] })),
    then: 'ended',
  },
  {
    title: 'one of two roles is removed',
    twoRoles: true,
    edit: patch('ciidentity/NAME', { spec: { roles: ['reads'] } }),
    then: [read],
  },
  {
    title: 'the ceiling is lowered',
    edit: patch('identitypool/NAME', { spec: { ceiling: { scopes: [read] } } }),
    then: [read],
  },
  { title: 'the identity is narrowed', edit: patch('ciidentity/NAME', { spec: { scopes: [read] } }), then: [read] },
  {
    title: 'the identity is deleted',
    edit: ({ lab, name }) => lab.kubectl(['delete', 'ciidentity', '-n', team, name, '--wait=false']),
    then: 'ended',
  },
  {
    title: 'the pool is deleted',
    edit: ({ lab, name }) => lab.kubectl(['delete', 'identitypool', name, '--wait=false']),
    then: 'ended',
  },
  {
    title: 'the namespace loses its label',
    apart: true,
    edit: ({ lab, namespace }) => lab.kubectl(['label', 'namespace', namespace, 'ci-identity.dev/inject-']),
    then: 'ended',
  },
  {
    title: 'the creator loses the verb use',
    apart: true,
    edit: ({ lab, namespace }) => lab.kubectl(['delete', 'rolebinding', '-n', namespace, 'ci-identity-use']),
    then: 'ended',
  },
  { title: 'the pool is suspended', edit: patch('identitypool/NAME', { spec: { suspend: true } }), then: 'ended' },
  { title: 'the identity is suspended', edit: patch('ciidentity/NAME', { spec: { suspend: true } }), then: 'ended' },
  {
    title: 'spec.revokeRequest',
    edit: patch('identitypool/NAME', { spec: { revokeRequest: 'ticket-1' } }),
    then: [publish, read],
  },
  {
    title: 'annotation revoke, which no GitOps tool undoes',
    edit: annotate('identitypool/NAME', 'ci-identity.dev/revoke=ticket-2'),
    then: [publish, read],
  },
  { title: 'emergency stop of the pool', edit: annotate('identitypool/NAME', stop), then: 'ended' },
  { title: 'emergency stop of the identity', edit: annotate('ciidentity/NAME', stop), then: 'ended' },
  { title: 'emergency stop of the namespace', apart: true, edit: annotate('namespace/NAME', stop), then: 'ended' },
  {
    title: 'emergency stop of everything: a ConfigMap',
    edit: ({ lab }) => lab.kubectl(['create', 'configmap', '-n', 'ci-identity-system', 'emergency-stop']),
    then: 'ended',
    undo: ({ lab }) => lab.kubectl(['delete', 'configmap', '-n', 'ci-identity-system', 'emergency-stop']),
  },
];

let lab: Lab;
let operator: OperatorProcess;

/** The tokens that the provider honours for the pool's own client. */
function liveOf(name: string): ReturnType<Lab['provider']['liveTokens']> {
  const ids = lab.provider.clients().filter((client) => client.name?.startsWith(`ci-identity ${name} `) === true);
  return lab.provider.liveTokens().filter(({ clientId }) => ids.some((client) => client.clientId === clientId));
}

async function stage(
  name: string,
  { apart = false, twoRoles = false }: Partial<Case> = {},
): Promise<{ readonly scene: Scene; readonly pod: Pod }> {
  const scene = { lab, name, namespace: apart ? name : team };
  if (apart) await lab.agentNamespace(name);
  await lab.apply(
    pool(name, lab.provider.issuer),
    policy(name, { role: name, pool: name, scopes: [publish, read], namespaces: [scene.namespace] }),
    policy(`${name}-reads`, { role: 'reads', pool: name, scopes: [read], namespaces: [scene.namespace] }),
    identity(name, { pool: name, roles: twoRoles ? [name, 'reads'] : [name] }, scene.namespace),
  );
  await identityReady(lab, name, scene.namespace);
  const pod = await createPod(lab, `${name}-x7k2p-q0b4t-m1wz9`, [name], { namespace: scene.namespace });
  return { scene, pod };
}

test.before(async () => {
  lab = await startLab({ tokenLifetime: 600, deliveryLag: '2s' });
  operator = await lab.running();
});

logOnFailure(() => operator);
stopAfterwards(() => [lab]);

for (const [index, one] of cases.entries()) {
  const { title, edit, then, undo } = one;
  test.serial(`${title}: ${then === 'ended' ? 'ended' : `one token with ${then.join(' and ')}`}`, async (t) => {
    t.timeout(270_000);
    const name = `shift-${index + 1}`;
    const { scene, pod } = await stage(name, one);
    const before = await tokenOf(lab, pod, name);
    await eventually('the probe of the identity is over', () => (liveOf(name).length === 1 ? true : undefined));
    if (undo !== undefined) t.teardown(async () => void (await undo(scene)));
    const from = Date.now();
    await edit(scene);
    await eventually(
      'the provider honours exactly what it should',
      () => {
        const live = liveOf(name);
        if (live.some(({ value }) => value === before)) return undefined;
        if (then === 'ended') return live.length === 0 ? true : undefined;
        return live.length === 1 && live[0]?.scopes.toSorted().join() === then.toSorted().join() ? true : undefined;
      },
      { timeoutMs: 30_000 },
    );
    t.log(`${Date.now() - from} ms from the edit to the provider`);
    if (then !== 'ended') {
      const after = await tokenOf(lab, pod, name, before);
      t.is(liveOf(name)[0]?.value, after, 'the pod has the token that is honoured');
    }
    const tale = (): readonly string[] =>
      auditOf(operator)
        .filter((line) => line.pod?.uid === pod.uid)
        .flatMap(({ event }) => (/^(Minted|Narrowed|Delivered|Revoked)$/.test(event) ? [event] : []));
    await eventually('the audit says so', () => (tale().includes('Revoked') ? true : undefined));
    const told = auditOf(operator).filter((line) => line.token_sha256 === sha256(before));
    const why = told.find(({ event }) => event === 'Forbidden')?.reason;
    t.not(why, undefined, 'the token that must go has its line Forbidden');
    t.is(told.find(({ event }) => event === 'Revoked')?.reason, why, 'and is revoked for that reason');
    t.log(`reason ${why}`);
    const untilRevoked = tale().slice(0, tale().indexOf('Revoked'));
    t.deepEqual(untilRevoked.slice(0, 2), ['Minted', 'Delivered']);
    if (then !== 'ended')
      t.deepEqual(untilRevoked, ['Minted', 'Delivered', 'Narrowed', 'Delivered'], 'delivered first');
  });
}

test.serial('an edit that widens is picked up at the next renewal, and takes nothing away before', async (t) => {
  t.timeout(270_000);
  const name = 'shift-wider';
  const { settings } = lab.provider;
  // Renewed after 20 s, when both edits have surely been made; its successor is not renewed while the test looks.
  settings.tokenTtl = 40;
  const { pod, scene } = await stage(name);
  const before = await tokenOf(lab, pod, name);
  settings.tokenTtl = 600;
  await patch('identitypool/NAME', { spec: { ceiling: { scopes: [publish, read, remove] } } })(scene);
  await rules(publish, read, remove)(scene);
  const after = await tokenOf(lab, pod, name, before, 60_000);
  const scopes = (token: string): string =>
    JSON.stringify(
      liveOf(name)
        .find(({ value }) => value === token)
        ?.scopes.toSorted(),
    );
  t.is(scopes(after), JSON.stringify([remove, publish, read]));
  const tokens = auditOf(operator).filter((line) => /^(Minted|Renewed)$/.test(line.event) && line.pod?.uid === pod.uid);
  t.deepEqual(
    tokens.map(({ event, reason }) => `${event} ${reason}`),
    ['Minted NewPod', 'Renewed RenewalDue'],
  );
});

/** A policy has at most this many rules. */
const mostRules = 64;

test.serial(
  '1,000 rules, and the policy that decides edited 50 times at once: the last edit holds, others keep their tokens',
  async (t) => {
    t.timeout(540_000);
    const name = 'shift-storm';
    const filler = (n: number): { role: string; pool: string; scopes: string[] } => ({
      role: `other-${n}`,
      pool: name,
      scopes: [publish],
    });
    const others = Array.from({ length: 1_000 - mostRules }, (_, n) => filler(n));
    const decisive = (...scopes: readonly string[]): object => {
      const [storm, calm] = [
        { role: name, pool: name, scopes },
        { role: 'calm', pool: name, scopes: [remove] },
      ];
      const rest = Array.from({ length: mostRules - 2 }, (_, n) => filler(1_000 + n));
      return { spec: { rules: [storm, calm, ...rest].map((rule) => ({ namespaces: [team], ...rule })) } };
    };
    const tooMany = Array.from({ length: mostRules + 1 }, (_, n) => filler(n));
    t.regex(
      await refusalOf(lab.apply(policy(name, ...tooMany))),
      /spec\.rules: Too many: 65: must have at most 64 items/,
    );
    await lab.apply(
      pool(name, lab.provider.issuer, { ceiling: { scopes: [publish, read, remove], audiences: [registry] } }),
      ...Array.from({ length: Math.ceil(others.length / mostRules) }, (_, n) =>
        policy(`${name}-${n}`, ...others.slice(n * mostRules, (n + 1) * mostRules)),
      ),
      policy(name, { role: name, pool: name, scopes: [publish, read] }, { role: 'calm', pool: name, scopes: [remove] }),
      identity(name, { pool: name, roles: [name] }),
      identity(`${name}-calm`, { pool: name, roles: ['calm'] }),
    );
    const crowd = async (of: string, size: number): Promise<readonly Pod[]> => {
      await identityReady(lab, of);
      return Promise.all(Array.from({ length: size }, (_, n) => createPod(lab, `${of}-${n}-x7k2p-q0b4t-m1wz9`, [of])));
    };
    const stormy = await crowd(name, 10);
    const calm = await crowd(`${name}-calm`, 5);
    const tokensOf = (pods: readonly Pod[], of: string): Promise<readonly string[]> =>
      Promise.all(pods.map((pod) => tokenOf(lab, pod, of, undefined, 60_000)));
    await tokensOf(stormy, name);
    const kept = await tokensOf(calm, `${name}-calm`);
    const api = openApi(lab.cluster.kubeconfig, { connections: 1 });
    t.teardown(() => api.close());
    const path = `/apis/ci-identity.dev/v1alpha1/scopepolicies/${name}`;
    const edits = [[read], [publish], [publish, read]];
    const from = Date.now();
    for (let n = 0; n < 50; n += 1) {
      const scopes = n === 49 ? [read] : (edits[n % edits.length] ?? []);
      t.is((await api.merge(path, decisive(...scopes))).status, 200);
    }
    t.log(`50 edits in ${Date.now() - from} ms`);
    const live = (): readonly string[] =>
      liveOf(name)
        .map(({ scopes }) => scopes.toSorted().join(' '))
        .toSorted();
    const wanted = [...kept.map(() => remove), ...stormy.map(() => read)].toSorted().join();
    await eventually(
      'each session has what the last edit gives, and nothing else',
      () => (live().join() === wanted ? true : undefined),
      {
        timeoutMs: 60_000,
      },
    );
    t.log(`${Date.now() - from} ms from the first edit to the provider`);
    t.deepEqual(await tokensOf(calm, `${name}-calm`), kept);
    t.true(kept.every((token) => isLive(lab.provider, token)));
    await eventually('builds have the tokens that are honoured', async () =>
      (await tokensOf(stormy, name)).every((token) => isLive(lab.provider, token)) ? true : undefined,
    );
    const generation = (JSON.parse((await api.send('GET', path)).text) as { metadata: { generation: number } }).metadata
      .generation;
    await eventually(
      'its status is of the last edit',
      async () => {
        const { conditions = [] } = await statusOf(lab, `scopepolicy/${name}`);
        const ready = conditions.find(({ type }) => type === 'Ready');
        return ready?.status === 'True' && ready.observedGeneration === generation ? true : undefined;
      },
      { timeoutMs: 60_000 },
    );
  },
);

for (const [title, name, edit, says] of [
  ['stopped', 'shift-stopped', annotate('ciidentity/NAME', stop), /Suspended.*incident 4711/s],
  [
    'whose identity was deleted',
    'shift-deleted',
    ({ lab, name }: Scene) => lab.kubectl(['delete', 'ciidentity', '-n', team, name, '--wait=false']),
    /IdentityGone.*was deleted/s,
  ],
] as const) {
  test.serial(`a session ${title} says in its file why`, async (t) => {
    const { pod, scene } = await stage(name);
    await tokenOf(lab, pod, name);
    await edit(scene);
    const { files } = await eventually('the token is taken out of the file', async () => {
      const delivery = await deliveryOf(lab, pod, name);
      return 'token' in delivery.files ? undefined : delivery;
    });
    t.regex(files['error.json'] ?? '', says);
  });
}

test.serial('what a revocation reaches is stated per pool', async (t) => {
  const { capabilities } = (await statusOf(lab, 'identitypool/shift-stopped')) as {
    readonly capabilities?: { readonly revocation?: string };
  };
  t.is(capabilities?.revocation, 'Immediate');
  await condition(lab, 'identitypool/shift-stopped', 'Ready', { status: 'True' });
});
