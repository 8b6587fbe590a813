import { labels, recordKey, sessionId } from '../api/names.ts';
import type { CiIdentity } from '../api/v1alpha1/ci-identity.ts';
import { type Instant, parseRfc3339, systemClock, toRfc3339 } from '../clock.ts';
import type { PodFacts } from '../domain/session/machine.ts';
import { sessionCodec } from '../domain/session/record-codec.ts';
import { kinds } from '../kube/resources.ts';
import { printAnswer } from './answer.ts';
import { type Description, clusterOptions, outputOption, valueOf } from './arguments.ts';
import { type Cluster, required } from './cluster.ts';
import { livePods } from './live-pods.ts';
import { clusterVerb } from './run.ts';
import { CommandError, exitCodes } from './surface.ts';
import { age, renderTable } from './table.ts';

const description: Description = {
  name: 'sessions',
  synopsis: '',
  about:
    'Lists which running pods hold which identity, from the claims that admission wrote. With --records also what their tokens carry and\nwhen they expire: that reads the records in the namespace of the operator, which hold the tokens themselves. No token is ever printed.',
  examples: [
    ['Who holds an identity in my namespace?', 'sessions -n ci-payments'],
    ['Everything of one pool, in the whole cluster', 'sessions -A --pool ci-bots'],
    ['As an administrator: until when, and with what?', 'sessions -A --records'],
  ],
  options: [
    ...clusterOptions,
    { name: 'all-namespaces', short: 'A', help: 'Of all namespaces.' },
    { name: 'pool', placeholder: 'NAME', help: 'Only of this IdentityPool.' },
    { name: 'records', help: 'Read the session records too; needs the right to read Secrets of the operator.' },
    outputOption,
  ],
  exit: '0 also where there is none, 1 it could not be answered.',
};

export interface Session {
  readonly sessionId: string;
  readonly namespace: string;
  readonly pod: string;
  readonly identity: string;
  readonly pool?: string;
  readonly phase: string;
  readonly requester?: string;
  readonly node?: string;
  /** As the pod claims; not proven. */
  readonly claimedRunUrl?: string;
  readonly since: string;
  /** Newest last; only with --records. */
  readonly tokens?: readonly TokenView[];
}

export interface TokenView {
  /** SHA-256 of the token, as in the audit log. */
  readonly sha256: string;
  readonly scopes: readonly string[];
  readonly audiences: readonly string[];
  readonly expiresAt: string;
  readonly end?: string;
}

export const runSessions = clusterVerb(description, async (cluster, args, surface) => {
  if (args.positionals.length > 0) throw new CommandError('no names are expected; see --help');
  const namespace = args.given.has('all-namespaces') ? undefined : cluster.namespace;
  const pool = valueOf(args, 'pool');
  if (namespace !== undefined) await cluster.requireNamespace(namespace);
  if (pool !== undefined) await requirePool(cluster, pool);
  const identities = required(await cluster.identities(namespace));
  const pods = required(await livePods(cluster, namespace));
  const tokens = args.given.has('records') ? await readTokens(cluster) : undefined;
  const sessions = sessionsOf(pods, identities, tokens).filter((one) => pool === undefined || one.pool === pool);
  printAnswer(args, surface, { json: { sessions }, text: sessionsText(sessions, systemClock.now()) });
  return exitCodes.done;
});

/** A caller who may not see pools is believed. */
async function requirePool(cluster: Cluster, name: string): Promise<void> {
  const found = await cluster.get<unknown>(kinds.identityPools, { name });
  if (found.is === 'Read' && found.value === undefined)
    throw new CommandError(`IdentityPool ${name} does not exist in context ${cluster.context}`);
}

/** Pure: one session per claim that names the CiIdentity as it exists now. */
export function sessionsOf(
  pods: readonly PodFacts[],
  identities: readonly CiIdentity[],
  tokens: ReadonlyMap<string, readonly TokenView[]> | undefined,
): readonly Session[] {
  return pods.flatMap((pod) =>
    Object.entries(pod.claims).flatMap(([name, uid]): readonly Session[] => {
      const identity = identities.find(
        ({ metadata }) => metadata.namespace === pod.namespace && metadata.name === name && metadata.uid === uid,
      );
      if (identity === undefined) return [];
      const id = sessionId(pod.uid, name);
      return [
        {
          sessionId: id,
          namespace: pod.namespace,
          pod: pod.name,
          identity: name,
          pool: identity.spec.pool,
          phase: pod.phase,
          ...(pod.requester === undefined ? {} : { requester: pod.requester }),
          ...(pod.node === undefined ? {} : { node: pod.node }),
          ...(pod.claimedRunUrl === undefined ? {} : { claimedRunUrl: pod.claimedRunUrl }),
          since: toRfc3339(pod.created),
          ...(tokens === undefined ? {} : { tokens: tokens.get(id) ?? [] }),
        },
      ];
    }),
  );
}

/** What the records say about the tokens; their values stay in their boxes. */
async function readTokens(cluster: Cluster): Promise<ReadonlyMap<string, readonly TokenView[]>> {
  const place = { namespace: cluster.operatorNamespace };
  const secrets = required(
    await cluster.list<{ readonly data?: Readonly<Record<string, string>> }>(kinds.secrets, place, {
      labelSelector: `${labels.kind}=session`,
    }),
  );
  const views = secrets.flatMap(({ data }): readonly (readonly [string, readonly TokenView[]])[] => {
    const decoded = sessionCodec.decode(Buffer.from(data?.[recordKey] ?? '', 'base64').toString('utf8'));
    if (decoded.is !== 'Record') return [];
    const { pod, identity, tokens } = decoded.record;
    const shown = tokens.map(({ sha256, ask, exp, end }): TokenView => ({
      sha256,
      scopes: ask.scopes,
      audiences: ask.audiences,
      expiresAt: toRfc3339(exp),
      ...(end === undefined ? {} : { end }),
    }));
    return [[sessionId(pod.uid, identity.name), shown]];
  });
  return new Map(views);
}

/** Pure: the list for people. */
export function sessionsText(sessions: readonly Session[], now: Instant): string {
  if (sessions.length === 0) return 'No running pod holds an identity.\n';
  const withTokens = sessions.some(({ tokens }) => tokens !== undefined);
  const rows = sessions.map((one) => {
    const newest = one.tokens?.at(-1);
    return [
      one.namespace,
      one.pod,
      one.identity,
      one.pool ?? '-',
      one.phase,
      one.requester ?? '-',
      ...(withTokens ? [newest?.scopes.join(' ') ?? '(no token)', newest?.end ?? newest?.expiresAt ?? '-'] : []),
      age(now - (parseRfc3339(one.since) ?? now)),
    ];
  });
  const more = withTokens ? ['SCOPES', 'EXPIRES'] : [];
  return renderTable(['NAMESPACE', 'POD', 'CIIDENTITY', 'POOL', 'PHASE', 'CREATED BY', ...more, 'AGE'], rows);
}
