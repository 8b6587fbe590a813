/**
 * The session table: the first matching row decides. A session is one of three things: without a record (it holds no token), live (its newest
 * token may be used), or ending (every token that it holds is to be revoked or to expire).
 */
import { firstRow } from '../../decision.ts';
import type { Decision } from '../../decision.ts';
import type { Instant } from '../../clock.ts';
import { endingRows } from './rows-ending.ts';
import { mintingRows } from './rows-minting.ts';
import type { SessionAction, SessionRowName, SessionSnapshot } from './machine.ts';
import type { SessionRow } from './steps.ts';

export const sessionRows: readonly SessionRow[] = [...endingRows, ...mintingRows];

/** What this session needs next. Pure; `now` is the wall clock. */
export function decideSession(s: SessionSnapshot, now: Instant): Decision<SessionAction, SessionRowName> {
  return firstRow(sessionRows, s, now);
}
