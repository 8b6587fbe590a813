/** Where the provider replaces a secret in place there is a gap in which nothing can be minted. When it may be. */
import type { Instant } from '../../clock.ts';
import { currentOf, isAsAnswered, isAsWanted } from './generations.ts';
import type { ClientSnapshot, Desired } from './machine.ts';
import type { ClientRecord } from './record.ts';
import { isFailing } from './schedule.ts';

/** Inside the declared window; and at any hour where nothing mints, or what mints is refused or about to expire: the gap is there anyway. */
export function mayLeaveGap({ record, window }: Pick<ClientSnapshot, 'record' | 'window'>, now: Instant): boolean {
  const current = currentOf(record);
  return window?.is === 'Open' || current === undefined || isFailing(current, now);
}

/** Whatever is sent about the client, its provider gives it a new secret and forgets the old one. */
export function changesLeaveGap({ record, capabilities }: Pick<ClientSnapshot, 'record' | 'capabilities'>): boolean {
  const isSecret = currentOf(record)?.credential.type !== 'PrivateKeyJwt';
  return isSecret && capabilities?.variants.includes('InPlace') === true;
}

export type ChangeFacts = Pick<ClientSnapshot, 'capabilities' | 'window'> & {
  readonly record: ClientRecord;
  readonly desired: Desired;
};

/**
 * The client differs from what is wanted, and setting it right costs it its secret, so that it waits for the window that the pool declares.
 * What takes rights away does not wait, be it a narrower ceiling or more than is wanted at the provider: a moment without tokens is the smaller
 * harm. Without a window nobody has said when a gap may be, and a change that never came would be worse: it is made at once.
 */
export function changeWaits(facts: ChangeFacts, now: Instant): boolean {
  const { window, record, desired } = facts;
  const isHeld = changesLeaveGap(facts) && window !== undefined && !mayLeaveGap(facts, now);
  return isHeld && !isAsWanted(record, desired) && !takesRightsAway(record, desired);
}

/** A record of an older version does not say what was sent: that may have been more. */
function takesRightsAway(record: ClientRecord, desired: Desired): boolean {
  const { sentScopes, sentCarriers, observed } = record;
  const isExcessive = observed?.excess === true && !isAsAnswered(record);
  const wanted = new Set([...desired.scopes, ...desired.carriers]);
  const sent = [...(sentScopes ?? []), ...(sentCarriers ?? [])];
  return sentScopes === undefined || isExcessive || sent.some((scope) => !wanted.has(scope));
}
