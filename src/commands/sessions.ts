import { recordKey, secretTypes, sessionId } from '../api/names.ts';
import type { CiIdentity } from '../api/v1alpha1/ci-identity.ts';
import { type Instant, parseRfc3339, systemClock, toRfc3339 } from '../clock.ts';
import { hasEnded } from '../domain/session/end-cause.ts';
import type { PodFacts } from '../domain/session/machine.ts';
import { sessionCodec } from '../domain/session/record-codec.ts';
import { kinds } from '../kube/resources.ts';
import { printAnswer } from './answer.ts';
import { type Description, clusterOptions, noNames, outputOption, valueOf } from './arguments.ts';
import { type Cluster, required } from './cluster.ts';
import { claimingPods } from './live-pods.ts';
import { clusterVerb } from './run.ts';
import { CommandError, exitCodes } from './surface.ts';
import { age, renderTable } from './table.ts';

const description: Description = {
  name: 'sessions',
  synopsis: '',
  about:
    'Lists which running pods hold which identity, from the claims that admission wrote. With --records also what their tokens carry and\nwhen they expire, and sessions whose pod or CiIdentity has ended while a token may still work: that reads the records in the namespace of the\noperator, which hold the tokens themselves. No token is ever printed.',
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
  refusesNames: noNames,
  exit: '0 also where there is none, 1 it could not be answered.',
};

export interface Session {
  readonly sessionId: string;
  readonly namespace: string;
  readonly pod: string;
  readonly identity: string;
  readonly pool?: string;
  /** Of the pod, `Terminating` while it is being deleted; `Gone`: only the record of the session is left. */
  readonly phase: string;
  readonly requester?: string;
  readonly node?: string;
  /** As the pod claims; not proven. */
  readonly claimedRunUrl?: string;
  readonly since: string;
  /** Newest last; only with --records. */
  readonly tokens?: readonly TokenView[];
}

/** What a session record says, without the tokens. */
export interface RecordView extends Pick<Session, 'namespace' | 'pod' | 'identity' | 'requester' | 'since'> {
  readonly pool: string;
  readonly podUid: string;
  readonly tokens: readonly TokenView[];
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
  const namespace = args.given.has('all-namespaces') ? undefined : cluster.namespace;
  const pool = valueOf(args, 'pool');
  // Records outlive the namespace of their pod.
  if (namespace !== undefined && !args.given.has('records')) await cluster.requireNamespace(namespace);
  if (pool !== undefined) await requirePool(cluster, pool);
  const identities = required(await cluster.identities(namespace));
  const pods = required(await claimingPods(cluster, namespace));
  const records = args.given.has('records') ? await readRecords(cluster) : undefined;
  const sessions = sessionsOf(pods, identities, records)
    .filter((one) => pool === undefined || one.pool === pool)
    .filter((one) => namespace === undefined || one.namespace === namespace);
  printAnswer(args, surface, { json: { sessions }, text: sessionsText(sessions, systemClock.now()) });
  return exitCodes.done;
});

/** A caller who may not see pools is believed. */
async function requirePool(cluster: Cluster, name: string): Promise<void> {
  const found = await cluster.get<unknown>(kinds.identityPools, { name });
  if (found.is === 'Read' && found.value === undefined)
    throw new CommandError(`IdentityPool ${name} does not exist in context ${cluster.context}`);
}

/** Pure: one session per claim of a pod that has not ended, if it names the CiIdentity as it exists now, and one per record that is left of another. */
export function sessionsOf(
  pods: readonly PodFacts[],
  identities: readonly CiIdentity[],
  records: ReadonlyMap<string, RecordView> | undefined,
): readonly Session[] {
  const live = pods.filter((pod) => !hasEnded(pod));
  const claimed = live.flatMap((pod) =>
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
          ...(records === undefined ? {} : { tokens: records.get(id)?.tokens ?? [] }),
        },
      ];
    }),
  );
  const listed = new Set(claimed.map((one) => one.sessionId));
  const left = [...(records ?? [])].filter(([id]) => !listed.has(id));
  return [
    ...claimed,
    ...left.map(([id, { podUid, ...record }]): Session => {
      const pod = pods.find(({ uid }) => uid === podUid);
      return { sessionId: id, phase: pod?.deleting === true ? 'Terminating' : (pod?.phase ?? 'Gone'), ...record };
    }),
  ];
}

/** What the records say; the values of the tokens stay in their boxes. */
async function readRecords(cluster: Cluster): Promise<ReadonlyMap<string, RecordView>> {
  const place = { namespace: cluster.operatorNamespace };
  const secrets = required(
    await cluster.list<{ readonly data?: Readonly<Record<string, string>> }>(kinds.secrets, place, {
      fieldSelector: `type=${secretTypes.sessionRecord}`,
    }),
  );
  const views = secrets.flatMap(({ data }): readonly (readonly [string, RecordView])[] => {
    const decoded = sessionCodec.decode(Buffer.from(data?.[recordKey] ?? '', 'base64').toString('utf8'));
    if (decoded.is !== 'Record') return [];
    const { pod, identity, pool, requester, since, tokens } = decoded.record;
    const shown = tokens.map(({ sha256, ask, exp, end }): TokenView => ({
      sha256,
      scopes: ask.scopes,
      audiences: ask.audiences,
      expiresAt: toRfc3339(exp),
      ...(end === undefined ? {} : { end }),
    }));
    const view = {
      namespace: pod.namespace,
      pod: pod.name,
      podUid: pod.uid,
      identity: identity.name,
      pool: pool.name,
      requester,
      since: toRfc3339(since),
      tokens: shown,
    };
    return [[sessionId(pod.uid, identity.name), view]];
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
      ...(withTokens
        ? [
            newest?.scopes.join(' ') ?? '(no token)',
            newest === undefined
              ? '-'
              : [...(newest.end === undefined ? [] : [newest.end]), newest.expiresAt].join(' until '),
          ]
        : []),
      age(now - (parseRfc3339(one.since) ?? now)),
    ];
  });
  const more = withTokens ? ['SCOPES', 'EXPIRES'] : [];
  return renderTable(['NAMESPACE', 'POD', 'CIIDENTITY', 'POOL', 'PHASE', 'CREATED BY', ...more, 'AGE'], rows);
}
