/**
 * The session table: the first matching row decides. A session is one of three things: without a record (it holds no token), live (its newest
 * token may be used), or ending (every token that it holds is to be revoked or to expire).
 */
import { firstRow } from '../../decision.ts';
import type { Decision, Row } from '../../decision.ts';
import type { Instant } from '../../clock.ts';
import { endingRows } from './rows-ending.ts';
import { mintingRows } from './rows-minting.ts';
import type { SessionAction, SessionSnapshot } from './machine.ts';

export const sessionRows: readonly Row<SessionSnapshot, SessionAction>[] = [...endingRows, ...mintingRows];

/** What this session needs next. Pure; `now` is the wall clock. */
export function decideSession(s: SessionSnapshot, now: Instant): Decision<SessionAction> {
  return firstRow(sessionRows, s, now);
}
