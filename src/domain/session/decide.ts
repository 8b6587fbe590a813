/** The session table (reference/architecture.md §4.2): the first matching row decides. States: no record, Live, Ending. */
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
