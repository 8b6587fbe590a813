/**
 * Every way in which a session record changes. Pure: the old record stays as it is, the new one is frozen. The record store writes its own
 * epoch into whatever it stores.
 */
import type { Reason } from '../../api/reasons.ts';
import type { Instant } from '../../clock.ts';
import type { RevocationOutcome, Token } from '../token.ts';
import { assertSessionInvariants } from './invariants.ts';
import type { ClientFacts } from './machine.ts';
import type { IdentityRef, PodRef, SessionRecord } from './record.ts';

/** Whose session it is; fixed at the first token, but for the subject. */
export interface SessionFacts {
  readonly pod: PodRef;
  readonly identity: IdentityRef;
  readonly pool: { readonly name: string; readonly uid: string };
  /** Name of the client record. */
  readonly client: string;
  readonly requester: string;
  readonly issuer: string;
  readonly subject?: string;
  readonly revocation: ClientFacts['revocation'];
}

/**
 * `token` becomes the newest one; the one that was usable until now gets `predecessorEnd`. `Forbidden` is the end of every older one as well:
 * it may carry what was taken away just like the predecessor, and `endedFor` says why. Expired tokens leave.
 * @throws Error when as many unexpired tokens are held already as may be: the rows do not mint then.
 */
export function minted(
  record: SessionRecord | undefined,
  token: Token,
  facts: SessionFacts,
  predecessorEnd: 'Superseded' | 'Forbidden',
  now: Instant,
  endedFor: Reason,
): SessionRecord {
  const older = (record?.tokens ?? [])
    .filter((held) => held.exp > now)
    .map((held) => ended(held, predecessorEnd, now, facts.revocation, endedFor))
    .map((held) => ofClient(held, record?.client, facts.client));
  const { pod, identity, pool, client, requester, issuer } = facts;
  const subject = facts.subject ?? record?.subject;
  return checked({
    formatVersion: 1,
    epoch: record?.epoch ?? 0,
    pod,
    identity,
    pool,
    client,
    requester,
    since: record?.since ?? now,
    ...(subject === undefined ? {} : { subject }),
    issuer,
    tokens: nonEmpty([...older, token]) ?? [token],
  });
}

/** The named tokens are no longer allowed, for the reason `endedFor`. With `ExpiryOnly` their values go too: nobody could do anything with them but harm. */
export function forbidden(
  record: SessionRecord,
  tokens: readonly string[],
  now: Instant,
  revocation: ClientFacts['revocation'],
  endedFor: Reason,
): SessionRecord {
  const next = record.tokens.map((token) =>
    tokens.includes(token.sha256) ? ended(token, 'Forbidden', now, revocation, endedFor) : token,
  );
  return checked({ ...record, tokens: nonEmpty(next) ?? record.tokens });
}

/** The named tokens leave, because they expired; `undefined`: it was the last one and the record goes. */
export function dropped(record: SessionRecord, tokens: readonly string[]): SessionRecord | undefined {
  const rest = nonEmpty(record.tokens.filter((token) => !tokens.includes(token.sha256)));
  return rest === undefined ? undefined : checked({ ...record, tokens: rest });
}

/**
 * What the provider answered when it was asked to revoke: a revoked token leaves, one that cannot be revoked stays until it expires, without
 * its value. `undefined`: the last one left and the record goes.
 */
export function concluded(
  record: SessionRecord,
  answered: ReadonlyMap<string, RevocationOutcome>,
): SessionRecord | undefined {
  const rest = record.tokens.flatMap((token) => {
    const outcome = answered.get(token.sha256);
    if (outcome === undefined) return [token];
    return outcome === 'NotSupported' ? [token.end === undefined ? token : withoutValue(token)] : [];
  });
  const tokens = nonEmpty(rest);
  return tokens === undefined ? undefined : checked({ ...record, tokens });
}

/** What a new token finds: what the provider answered since the record was written is told with it. */
export function heldBefore(
  record: SessionRecord | undefined,
  answered: ReadonlyMap<string, RevocationOutcome> | undefined,
): SessionRecord | undefined {
  return record === undefined || answered === undefined ? record : concluded(record, answered);
}

/** The session moves to another client: a token says which one minted it, unless that is the session's. */
function ofClient({ client: own, ...token }: Token, before: string | undefined, now: string): Token {
  const client = own ?? before;
  return client === undefined || client === now ? token : { ...token, client };
}

/** An end only ever becomes stricter. */
function ended(
  token: Token,
  end: 'Superseded' | 'Forbidden',
  now: Instant,
  revocation: ClientFacts['revocation'],
  endedFor: Reason,
): Token {
  if (token.end === end || token.end === 'Forbidden') return token;
  const why = end === 'Superseded' ? {} : { endedFor };
  const next = { ...token, end, endedAt: now, ...why };
  return revocation === 'ExpiryOnly' ? withoutValue(next) : next;
}

function withoutValue(token: Token): Token {
  const { value: _, ...rest } = token;
  return rest;
}

function nonEmpty(tokens: readonly Token[]): readonly [Token, ...Token[]] | undefined {
  const [first, ...rest] = tokens;
  return first === undefined ? undefined : [first, ...rest];
}

function checked(record: SessionRecord): SessionRecord {
  assertSessionInvariants(record);
  for (const token of record.tokens) Object.freeze(token);
  Object.freeze(record.tokens);
  return Object.freeze(record);
}
