import type { Reason } from '../../api/reasons.ts';
import type { IdentityPool, IdentityPoolStatusRequest } from '../../api/v1alpha1/identity-pool.ts';
import { parseRfc3339, toRfc3339, type Instant } from '../../clock.ts';
import { cut } from '../access/explain.ts';
import { currentOf } from '../client/generations.ts';
import { requestIdsOf } from '../client/pool-requests.ts';
import type { ClientRecord } from '../client/record.ts';
import { hasRotated, idOfMark } from '../client/requests.ts';
import { longestMessage } from './conditions.ts';
import type { ClientView, PoolFacts } from './pool-facts.ts';
import { registered } from './registered.ts';
import { rotationInWords, tookInWords, unsupportedInWords, whenItOpens } from './rotation.ts';

const most = 5;

/** Reasons of the condition Registered for which no credential is replaced. */
const holdsUp: readonly Reason[] = ['RegistrationAccessTokenLost', 'ClientForeign', 'ClientGone', 'RestoredState'];

type Asked = Pick<IdentityPoolStatusRequest, 'kind' | 'id'>;

/**
 * The last requests, newest first. When a request was seen and done is kept in the status itself, as the transition time of a condition
 * is; whether it is done follows from the records.
 */
export function requestsOf(facts: PoolFacts, now: Instant): readonly IdentityPoolStatusRequest[] {
  const known = facts.pool.status?.requests ?? [];
  const asked = askedOf(facts.pool);
  const fresh = unlistedRequests(facts.pool).map((one) => ({
    ...one,
    at: toRfc3339(now),
    outcome: 'InProgress' as const,
  }));
  return [...fresh, ...known].slice(0, most).map((request) => brought(request, facts, asked, now));
}

/** What the pool asks for now and its status does not list yet. */
export function unlistedRequests(pool: IdentityPool | undefined): readonly Asked[] {
  if (pool === undefined) return [];
  const known = pool.status?.requests ?? [];
  return askedOf(pool).filter((one) => !known.some((other) => isSame(one, other)));
}

/** What spec and annotations ask for now; both count. */
function askedOf(pool: IdentityPool): readonly Asked[] {
  const { rotate, revoke } = requestIdsOf(pool);
  const asked: readonly Asked[] = [
    ...rotate.map((id) => ({ kind: 'Rotate' as const, id: shown(id) })),
    ...revoke.map((id) => ({ kind: 'Revoke' as const, id: shown(id) })),
  ];
  return asked.filter((one, index) => asked.findIndex((other) => isSame(one, other)) === index);
}

function brought(
  request: IdentityPoolStatusRequest,
  facts: PoolFacts,
  asked: readonly Asked[],
  now: Instant,
): IdentityPoolStatusRequest {
  if (request.outcome !== 'InProgress') return request;
  const { message: _, ...rest } = request;
  const wanted = facts.clients.filter((client) => client.wanted);
  const isHandled = (record: ClientRecord | undefined): boolean =>
    record?.handled.some((mark) => shown(idOfMark(request.kind, mark)) === request.id) ?? false;
  if (wanted.length > 0 && wanted.every(({ record }) => isHandled(record) && isDone(record, request.kind))) {
    const at = parseRfc3339(request.at) ?? now;
    return { ...rest, outcome: 'Done', doneAt: toRfc3339(now), message: doneInWords(request.kind, wanted, at, now) };
  }
  const isBegun = wanted.some(({ record }) => isHandled(record));
  if (!isBegun && !asked.some((one) => isSame(one, request))) {
    return {
      ...rest,
      outcome: 'Failed',
      message: 'it was withdrawn or replaced by another before it was carried out.',
    };
  }
  const isStopped = facts.stop !== undefined;
  const told = wanted
    .map((client) => client.failure?.message ?? underWay(client, request.kind, isStopped, now))
    .find(Boolean);
  const waits = isBegun ? undefined : turnInWords(request, asked, facts);
  const held = told ?? (request.kind === 'Rotate' ? (wrongWithClient(facts) ?? waits) : undefined);
  return held === undefined ? rest : { ...rest, message: cut(held, longestMessage) };
}

function underWay(client: ClientView, kind: Asked['kind'], isStopped: boolean, now: Instant): string | undefined {
  return (kind === 'Rotate' ? unsupportedInWords(client) : undefined) ?? rotationInWords(client, isStopped, now);
}

/** Nothing is changed at the provider while this is so. */
function wrongWithClient(facts: PoolFacts): string | undefined {
  const { reason, message } = registered(facts);
  return holdsUp.includes(reason) ? message : undefined;
}

/** Said with the request itself, so that a long wait costs no write of its own. An emergency waits for no turn. */
function turnInWords({ id }: Asked, asked: readonly Asked[], { clients, stop }: PoolFacts): string | undefined {
  const isUrgent = asked.some((one) => one.kind === 'Revoke' && one.id === id);
  if (isUrgent || stop !== undefined || clients.some(({ record }) => record === undefined)) return undefined;
  const held = clients.find(({ gapWaits, registersAnew }) => gapWaits !== undefined && registersAnew !== true);
  if (held !== undefined)
    return `it leaves a gap in which nothing can be minted, so it begins ${whenItOpens(held)}; an emergency (the same id in spec.revokeRequest) waits for no window.`;
  return 'it begins when its turn has come: rotations begin one after the other, as fast as the rate limit of the issuer allows.';
}

function doneInWords(kind: Asked['kind'], wanted: readonly ClientView[], at: Instant, now: Instant): string {
  const only = wanted.length === 1 ? currentOf(wanted[0]?.record) : undefined;
  const which = only === undefined ? `${wanted.length} clients have new credentials.` : `Generation ${only.n} mints.`;
  const what = kind === 'Rotate' ? which : 'No token from before the request is left.';
  return `${what} ${tookInWords(at, now)}`;
}

/** A request is handled as soon as its credential is planned; it is done when that one mints, or when no token from before is left. */
function isDone(record: ClientRecord | undefined, kind: Asked['kind']): boolean {
  if (record === undefined) return false;
  if (kind === 'Revoke') return record.revoking === undefined && record.emergency === undefined;
  const awaits = record.emergency !== undefined && !hasRotated(record);
  const isUnderWay = record.generations.some(({ state }) => state === 'Planned' || state === 'Created');
  return !awaits && !isUnderWay && record.rollbacks === undefined;
}

/** An annotation may be longer than the status takes. */
function shown(id: string): string {
  return cut(id, 64);
}

function isSame(a: Asked, b: Asked): boolean {
  return a.kind === b.kind && a.id === b.id;
}
