/**
 * The client table, the life of a credential generation: `Planned → Created → Current → Draining → Retiring → dropped`. The first matching
 * row decides. A rotation has one row per trigger (`rows-planning.ts`), each named after it.
 */
import type { Instant } from '../../clock.ts';
import { firstRow } from '../../decision.ts';
import type { Decision, Row } from '../../decision.ts';
import type { ClientAction, ClientSnapshot } from './machine.ts';
import { endingRows } from './rows-ending.ts';
import { planningRows } from './rows-planning.ts';
import { recoveryRows } from './rows-recovery.ts';
import { rotationRows } from './rows-rotation.ts';
import { upkeepRows } from './rows-upkeep.ts';

export const clientRows: readonly Row<ClientSnapshot, ClientAction>[] = [
  ...recoveryRows,
  ...endingRows,
  ...planningRows,
  ...rotationRows,
  ...upkeepRows,
];

/** What this client needs next. Pure; `now` is the wall clock. */
export function decideClient(s: ClientSnapshot, now: Instant): Decision<ClientAction> {
  return firstRow(clientRows, s, now);
}
