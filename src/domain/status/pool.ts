import { poolFinalizer } from '../../api/names.ts';
import type { Reason } from '../../api/reasons.ts';
import type { IdentityPoolStatus, IdentityPoolStatusCapabilities } from '../../api/v1alpha1/identity-pool.ts';
import { earliest, plus, second, toRfc3339, type Instant, type Milliseconds } from '../../clock.ts';
import type { Decision } from '../../decision.ts';
import { cut, issuerNotListed } from '../access/explain.ts';
import { stopSentence, stoppedBy } from '../access/stops.ts';
import { currentOf } from '../client/generations.ts';
import { openOrphans } from '../client/orphans.ts';
import { nextTryAt } from '../failure.ts';
import { clientsPer } from '../pool-defaults.ts';
import { authenticating } from './authentication.ts';
import { isReady, mayReplace, nextTextChangeAt, registrationCredential, withNextTry } from './clients.ts';
import { credentialCurrent } from './credential-current.ts';
import { existingCredential, existingRegistered } from './existing.ts';
import type { ClientView, PoolFacts } from './pool-facts.ts';
import { registered } from './registered.ts';
import { requestsOf } from './requests.ts';
import { gapInWords } from './rotation.ts';
import { about, draft, marked, setConditions, summarise, type Draft, type Going } from './conditions.ts';
import { finalizerDecision, notSynced, readyReason, statusDecision, type StatusAction } from './decision.ts';
import { guardDraft } from './guard.ts';

/** Status and finalizer of a pool. The finalizer is there before the first client is, and stays until no client record is left. */
export function decidePool(facts: PoolFacts, now: Instant): Decision<StatusAction<IdentityPoolStatus>> {
  const { metadata, status } = facts.pool;
  const group = 'identitypools';
  if (!facts.synced) return notSynced();
  const holds = metadata.finalizers?.includes(poolFinalizer) ?? false;
  const deleted = metadata.deletionTimestamp !== undefined;
  if (!deleted && !holds) return finalizerDecision('AddFinalizer', group, now);
  if (deleted && !facts.clients.some(isLeft)) {
    return holds ? finalizerDecision('RemoveFinalizer', group, now) : { row: 'leaving', reason: 'Deregistered' };
  }
  if (facts.guard.is === 'Unknown') return notSynced();
  const next = poolStatus(facts, now);
  return statusDecision(
    {
      current: status,
      next,
      counts: ['clients'],
      zeroIsNews: true,
      writtenAt: facts.writtenAt,
      group,
      recheckAt: nextTextChangeAt(facts, now),
      wordsFrom: wordsFrom(facts, now),
      firstFrom: firstFrom(facts, next),
    },
    now,
  );
}

/** Something of it may be at the provider. */
function isLeft({ record, unreadable }: ClientView): boolean {
  return record !== undefined || unreadable === true;
}

/** A provider gets ten seconds for taking over a change, and that is nothing to write about. */
const longStep: Milliseconds = 12 * second;

/** Events tell each step; a step is put into words here once it has lasted. Those of many clients may follow each other for very long. */
function wordsFrom({ clients, writtenAt }: PoolFacts, now: Instant): Instant | undefined {
  const steps = clients.flatMap(({ record }) => [
    record?.intent?.at,
    ...(record?.generations ?? []).flatMap(({ since, removedAt, retireAfter }) => [since, removedAt, retireAfter]),
  ]);
  const last = steps.reduce<Instant | undefined>(
    (later, at) => (at !== undefined && at <= now && (later === undefined || at > later) ? at : later),
    undefined,
  );
  if (writtenAt === undefined || last === undefined) return undefined;
  const lasted = plus(last, longStep);
  return clients.length > 1 ? earliest(lasted, plus(writtenAt, 20 * second)) : lasted;
}

/** What a client passes through within milliseconds where nothing is in its way. */
const passing: readonly Reason[] = ['Registering', 'CredentialUnverified'];

/** Nothing was said of the pool yet, and so far there is nothing to say but that work goes on. */
function firstFrom({ pool, seenAt }: PoolFacts, next: IdentityPoolStatus): Instant | undefined {
  const first = pool.status?.observedGeneration === undefined && passing.includes(readyReason(next));
  return first && seenAt !== undefined ? plus(seenAt, longStep) : undefined;
}

export function poolStatus(facts: PoolFacts, now: Instant): IdentityPoolStatus {
  const { pool, clients, capabilities } = facts;
  const generation = pool.metadata.generation ?? 0;
  const wanted = clients.filter((client) => client.wanted);
  const orphans = clients.reduce((sum, { record }) => sum + (record === undefined ? 0 : openOrphans(record)), 0);
  const only = clientsPer(pool) === 'Pool' ? wanted[0] : undefined;
  const clientId =
    (only && (currentOf(only.record)?.clientId ?? only.record?.generations.at(-1)?.clientId)) ?? undefined;
  const requests = requestsOf(facts, now);
  return {
    conditions: setConditions(pool.status?.conditions, conditions(facts, now), generation, now),
    observedGeneration: generation,
    ...(clientId === undefined ? {} : { clientId: cut(clientId, 256) }),
    clients: {
      total: wanted.length,
      ready: wanted.filter(isReady).length,
      ...(orphans === 0 ? {} : { possibleOrphans: orphans }),
    },
    ...credentialOf(wanted),
    ...stableSubjectOf(facts),
    ...(capabilities === undefined ? {} : { capabilities: shown(capabilities) }),
    ...(facts.stop === undefined ? {} : { stoppedBy: stoppedBy(facts.stop) }),
    ...(requests.length === 0 ? {} : { requests }),
  };
}

function conditions(facts: PoolFacts, now: Instant): readonly Draft[] {
  const { pool, stop } = facts;
  const subject = `IdentityPool ${pool.metadata.name}`;
  const parts = [
    existingRegistered(facts) ?? registered(facts),
    existingCredential(facts, now) ?? credentialCurrent(facts, now),
    registrationCredential(facts, now),
    authenticating(facts, now),
  ];
  const blocked = blockedBy(facts);
  if (blocked !== undefined)
    return [...marked(blocked.ready, blocked.going), ...parts.map((part) => waiting(part, blocked.ready))];
  if (pool.metadata.deletionTimestamp !== undefined) {
    const failure = facts.clients.find((client) => isLeft(client) && client.failure !== undefined)?.failure;
    const left = failure ?? parts.find(({ reason }) => keepsLeaving.includes(reason));
    const why =
      (failure === undefined ? left?.message : withNextTry(facts, failure)) ??
      facts.brake ??
      'its tokens are revoked and its clients deleted at the provider before it goes.';
    return [
      ...marked(
        draft(
          'Ready',
          'False',
          left?.reason ?? (facts.brake === undefined ? 'Deregistering' : 'BrakeHolds'),
          about(subject, why),
        ),
        'Reconciling',
      ),
      ...parts,
    ];
  }
  if (stop !== undefined) {
    const ready = draft('Ready', 'True', 'Suspended', about(subject, stopSentence(stop)));
    return [ready, ...parts.map((part) => waiting(part, ready))];
  }
  // A registration credential is used up or expires without harm once every client exists; where one is missing, Registered says so.
  const dependents = [
    ...guardDraft('Ready', facts.guard, subject),
    ...parts.slice(0, 2),
    ...outageDraft(facts, subject),
  ];
  const ready = summarise(dependents, `${subject}: tokens can be issued.`);
  const terminal =
    (ready.reason === 'ClientGone' && !mayReplace(facts)) ||
    untilSomebodyActs.includes(ready.reason) ||
    facts.clients.some(
      ({ wanted, failure }) => wanted && failure?.terminal === true && failure.reason === ready.reason,
    );
  return [...marked(ready, terminal ? 'Stalled' : 'Reconciling'), ...parts];
}

/** What keeps a pool that is deleted from going, besides failures. */
const keepsLeaving: readonly Reason[] = [
  'RegistrationAccessTokenLost',
  'RegistrationRefused',
  'RestoredState',
  'ProviderMisbehaves',
];

/** Told here once, and not by each of its identities. Live tokens stay good, which is what a reader wants to know first. */
function outageDraft({ outage }: PoolFacts, subject: string): readonly Draft[] {
  if (outage === undefined) return [];
  const whose = outage.owner === undefined ? '' : ` for the client of ${outage.owner}`;
  const message = `no tokens${whose} since ${toRfc3339(outage.since)}: ${outage.message}${nextTryAt(outage)} Tokens that pods hold stay good until they expire.`;
  return [draft('Ready', 'False', outage.reason, about(subject, message))];
}

/** Nothing that the operator does changes these. */
const untilSomebodyActs: readonly Reason[] = [
  'ClientForeign',
  'RestoredState',
  'ClientClaimed',
  'CredentialMissing',
  'CredentialMalformed',
  'RotationUnsupported',
  'RotationWindowInvalid',
];

/** Work that would be under way, were it not for what `why` says. */
function waiting(part: Draft, why: Draft): Draft {
  const underWay = part.reason === 'Registering' || part.reason === 'CredentialUnverified';
  return underWay ? { ...part, reason: why.reason, message: why.message } : part;
}

/** What stands before everything else and is for a person to change. */
function blockedBy({
  pool,
  issuerConfigured,
  nearIssuer,
  clients,
}: PoolFacts): { readonly ready: Draft; readonly going: Going } | undefined {
  const subject = `IdentityPool ${pool.metadata.name}`;
  if (pool.spec.purpose === 'Interactive') {
    const why = 'purpose Interactive is not built yet, so nothing is registered. Use purpose Automation for builds.';
    return { ready: draft('Ready', 'False', 'NotBuilt', about(subject, why)), going: 'Stalled' };
  }
  if (issuerConfigured) return undefined;
  const mints = clients.some((client) => currentOf(client.record) !== undefined);
  const live = mints
    ? ' Tokens that pods hold stay good until they expire, and none of them is renewed or revoked.'
    : '';
  const why = `${issuerNotListed(pool.spec.provider.issuer, nearIssuer)}. Add it under issuers, or create the pool with another issuer.${live}`;
  return { ready: draft('Ready', 'False', 'IssuerNotConfigured', about(subject, why)), going: 'Stalled' };
}

/** The credential that mints; of several the one that is replaced next. */
function credentialOf(wanted: readonly ClientView[]): Pick<IdentityPoolStatus, 'credential'> {
  const [first] = wanted
    .flatMap((client) => {
      const generation = currentOf(client.record);
      const gap = client.record && gapInWords(client.record);
      return generation === undefined ? [] : [{ generation, next: client.nextRotation, gap }];
    })
    .toSorted((a, b) => (a.next ?? Infinity) - (b.next ?? Infinity));
  if (first === undefined) return {};
  const { generation, next, gap } = first;
  return {
    credential: {
      generation: generation.n,
      since: toRfc3339(generation.since),
      ...(next === undefined ? {} : { nextRotation: toRfc3339(next) }),
      ...(gap === undefined ? {} : { gap }),
    },
  };
}

function stableSubjectOf({ clients, capabilities }: PoolFacts): Pick<IdentityPoolStatus, 'stableSubject'> {
  const variants = clients.flatMap(({ wanted, record }) => (wanted && record !== undefined ? [record.variant] : []));
  const best = variants.length > 0 ? variants : (capabilities?.variants.slice(0, 1) ?? []);
  return best.length === 0 ? {} : { stableSubject: !best.includes('NewClient') };
}

/** No provider finds a client by its tag so far, and each can give a token fewer scopes than its client has: the status has members for both. */
function shown({
  variants,
  clientIdBy,
  revocation,
}: NonNullable<PoolFacts['capabilities']>): IdentityPoolStatusCapabilities {
  return { variants: variants.slice(0, 8), clientIdBy, findByTag: false, revocation, narrowsScopes: true };
}
