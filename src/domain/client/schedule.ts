/** When something is due. Instants only: who acts on them is the table's business. */
import { day, earliest, hour, minute, plus, second } from '../../clock.ts';
import type { Instant, Milliseconds } from '../../clock.ts';
import type { ClientSnapshot, Desired } from './machine.ts';
import type { ClientRecord, Generation } from './record.ts';

/** Clocks of pods, provider and controller may differ by this much. */
export const skew: Milliseconds = 30 * second;

/** A refusal is asked about again after this long, while the provider may still be taking the credential over. */
export const proofPause: Milliseconds = 5 * second;

/** A refused Current is tried again this often: an administrator may have switched the client off and on. */
export const refusedPause: Milliseconds = 5 * minute;

/** Proofs that were refused, and the daily drift check. */
export const lookAgainAfter: Milliseconds = day;

/** When the Current credential reaches its age: up to 5 % early, so that pools made together do not rotate together; never late. */
export function dueAt(current: Generation, every: Milliseconds, jitter: number): Instant {
  return plus(current.since, every * (1 - 0.05 * Math.abs(jitter)));
}

/** A secret with an expiry is replaced when a third of its life is left. */
export function expiringAt({ credential, since }: Generation): Instant | undefined {
  if (credential.type === 'PrivateKeyJwt' || credential.expiresAt === undefined) return undefined;
  return plus(since, ((credential.expiresAt - since) * 2) / 3);
}

/** Until when an old credential is kept: the overlap, and the last token that it minted. */
export function retireAfter(now: Instant, overlap: Milliseconds, lastExp: Instant | undefined): Instant {
  return plus(now, Math.max(overlap, lastExp === undefined ? 0 : lastExp + skew - now));
}

/** No token of this generation is left that is unexpired and unrevoked. */
export function isDrained(s: ClientSnapshot, { n }: Generation, now: Instant): boolean {
  const last = s.lastExp.get(n);
  return last === undefined || last + skew <= now;
}

export function staleAt(record: ClientRecord, jitter: number): Instant | undefined {
  return record.observed === undefined ? undefined : plus(record.observed.at, lookAgainAfter * (1 + 0.1 * jitter));
}

/** After new credentials that never worked: 5 minutes, doubling, a day at most. */
export function planAgainAt({ rollbacks }: ClientRecord): Instant | undefined {
  return rollbacks && plus(rollbacks.at, Math.min(5 * minute * 2 ** (rollbacks.count - 1), day));
}

/** The next moment at which time alone may change the decision about `record`. */
export function nextLook(
  s: ClientSnapshot,
  record: ClientRecord,
  desired: Desired | undefined,
  now: Instant,
): Instant | undefined {
  const propagation = s.capabilities?.credentialPropagation ?? 0;
  const jitter = s.jitter ?? 0;
  const moments: (Instant | undefined)[] = [staleAt(record, jitter), planAgainAt(record)];
  for (const one of record.generations) {
    const last = s.lastExp.get(one.n);
    if (one.state === 'Current') {
      if (desired !== undefined) moments.push(dueAt(one, desired.rotateEvery, jitter));
      moments.push(expiringAt(one));
    }
    if (one.state === 'Draining') moments.push(one.retireAfter, last && plus(last, skew));
    if (one.refusedAt !== undefined) {
      moments.push(plus(one.refusedAt, proofPause), plus(one.refusedAt, refusedPause), plus(one.since, propagation));
    }
    if (one.removedAt !== undefined) moments.push(plus(one.removedAt, propagation), plus(one.removedAt, hour));
  }
  if (record.intent !== undefined) moments.push(plus(record.intent.at, propagation));
  const refused = Object.values(record.proofs).filter((proof) => proof.outcome === 'Refused');
  moments.push(...refused.map((proof) => plus(proof.at, lookAgainAfter)));
  return earliest(...moments.filter((moment) => moment !== undefined && moment > now));
}
