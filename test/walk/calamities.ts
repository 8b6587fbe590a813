/** Steps that take longer than a moment: what many objects depend on goes and is made anew, and nobody reads the audit streams. */
import { fileURLToPath } from 'node:url';
import { established } from '#test/support/established.ts';
import { eventually } from '#test/support/eventually.ts';
import { agentNamespaceDocuments } from '#test/support/lab.ts';
import type { Random } from '#test/support/random.ts';
import { beginning, identityOf, namespaces, pools } from './objects.ts';
import type { Walk } from './walk.ts';

const crds = fileURLToPath(new URL('../../crds', import.meta.url));
const kinds = ['IdentityPool', 'ScopePolicy', 'CiIdentity'] as const;
const plurals = { IdentityPool: 'identitypools', ScopePolicy: 'scopepolicies', CiIdentity: 'ciidentities' } as const;
const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

/** So long a process that ends meanwhile tries to get rid of its last lines, less something. */
const longestUnread = 3_000;

/** Nobody reads the audit streams for a moment, and `meanwhile` happens a few times. */
export async function unread(
  walk: Walk,
  random: Random,
  meanwhile: (walk: Walk, random: Random) => Promise<unknown>,
): Promise<void> {
  const until = Date.now() + longestUnread;
  const free = walk.blockAudit();
  try {
    for (let n = 1 + random.below(4); n > 0 && Date.now() < until; n -= 1) await meanwhile(walk, random);
    await pause(Math.max(0, Math.min(500 + random.below(1_500), until - Date.now())));
  } finally {
    free();
  }
}

/**
 * One of the three kinds is deleted with all its objects, and made anew with others. More than ten sessions that end with it are held back until
 * somebody says that this is meant. Pools leave only while their provider is there.
 */
export async function goAndComeBack(walk: Walk, random: Random): Promise<void> {
  const kind = random.pick(kinds);
  await walk.repair();
  await walk.withdrawAcknowledgements();
  const crd = `${plurals[kind]}.ci-identity.dev`;
  const path = `/apis/apiextensions.k8s.io/v1/customresourcedefinitions/${crd}`;
  await walk.admin.send('DELETE', path);
  await pause(random.below(2_000));
  await eventually(
    `the kind ${kind} is gone`,
    async () => {
      await walk.acknowledge();
      return (await walk.admin.send('GET', path)).status === 404 ? true : undefined;
    },
    { timeoutMs: 120_000, everyMs: 500 },
  );
  await walk.lab.kubectl(['apply', '--server-side', '-k', crds]);
  await established((args) => walk.lab.kubectl(args), `crd/${crd}`);
  const objects = beginning(walk.lab.provider.issuer, random).filter((text) => text.includes(`"kind":"${kind}"`));
  await eventually(
    `the kind ${kind} is served`,
    async () => {
      await walk.lab.apply(...objects);
      return true;
    },
    { timeoutMs: 60_000, everyMs: 500 },
  );
}

/** A namespace is deleted under its sessions, and made anew. */
export async function leave(walk: Walk, random: Random): Promise<void> {
  const [, name] = namespaces;
  await walk.admin.send('DELETE', `/api/v1/namespaces/${name}`);
  await eventually(
    `namespace ${name} is gone`,
    async () => ((await walk.admin.send('GET', `/api/v1/namespaces/${name}`)).status === 404 ? true : undefined),
    { timeoutMs: 120_000, everyMs: 250 },
  );
  for (const pods of [walk.pods, walk.ended])
    pods.splice(0, pods.length, ...pods.filter(({ namespace }) => namespace !== name));
  await walk.lab.apply(...agentNamespaceDocuments(name), ...pools.map((one) => identityOf(one, name, random)));
}
