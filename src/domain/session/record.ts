import type { CiIdentityActor } from '../../api/v1alpha1/ci-identity.ts';
import type { Instant } from '../../clock.ts';
import type { Token } from '../token.ts';

export interface PodRef {
  readonly namespace: string;
  readonly name: string;
  readonly uid: string;
}

/** The CiIdentity as it was when the newest token was minted: it may be gone while the token is not. */
export interface IdentityRef {
  readonly name: string;
  readonly uid: string;
  /** `spec.roles`; absent in records from before they were kept. */
  readonly roles?: readonly string[];
  /** `spec.actor`. */
  readonly actor?: CiIdentityActor;
}

/**
 * The durable truth about one (pod, CiIdentity). It exists exactly while it holds an unexpired, unrevoked token.
 * Newest token last; **Live** = the newest has no `end`, otherwise **Ending**.
 */
export interface SessionRecord {
  readonly formatVersion: 1;
  /** `leaseTransitions` of the last writer's lease. */
  readonly epoch: number;
  readonly pod: PodRef;
  readonly identity: IdentityRef;
  readonly pool: { readonly name: string; readonly uid: string };
  /** Name of the client record that minted the newest token. */
  readonly client: string;
  readonly requester: string;
  readonly since: Instant;
  readonly subject?: string;
  readonly issuer: string;
  readonly tokens: readonly [Token, ...Token[]];
}

export function newestOf({ tokens }: SessionRecord): Token {
  return tokens.at(-1) ?? tokens[0];
}

/** The client record that minted this token, and whose credential revokes it. */
export function clientOf(record: SessionRecord, token: Token): string {
  return token.client ?? record.client;
}

/** Every client record of which the session holds a token. */
export function clientsOf(record: SessionRecord): readonly string[] {
  return [...new Set(record.tokens.map((token) => clientOf(record, token)))];
}

/**
 * Why a record that was found is not the one to go by: it is of another session, or a copy from before. What is stored after a record has its
 * newest token, or has ended it first; a record of a later epoch is another leader's word.
 */
export function objectionTo(record: SessionRecord, known: SessionRecord | undefined): string | undefined {
  if (known === undefined || record.epoch > known.epoch) return undefined;
  if (record.pod.uid !== known.pod.uid || record.identity.uid !== known.identity.uid) return 'it is of another session';
  const isOlder = record.epoch < known.epoch || isTokenFromBefore(record, known);
  return isOlder ? 'it is older than what was stored last' : undefined;
}

function isTokenFromBefore(record: SessionRecord, known: SessionRecord): boolean {
  const [newest, last] = [newestOf(record), newestOf(known)];
  const same = tokenIn(known, newest);
  if (same !== undefined) return newest.end === undefined && same.end !== undefined;
  return tokenIn(record, last) === undefined && newest.minted < last.minted;
}

function tokenIn({ tokens }: SessionRecord, { sha256 }: Token): Token | undefined {
  return tokens.find((token) => token.sha256 === sha256);
}
