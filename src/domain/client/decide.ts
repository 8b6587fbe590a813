/**
 * The client table, the life of a credential generation: `Planned → Created → Current → Draining → Retiring → dropped`. The first matching
 * row decides. A rotation has one row per trigger (`rows-planning.ts`), each named after it.
 */
import type { Instant } from '../../clock.ts';
import { firstRow } from '../../decision.ts';
import type { Decision } from '../../decision.ts';
import type { ClientAction, ClientRowName, ClientSnapshot } from './machine.ts';
import { endingRows } from './rows-ending.ts';
import { planningRows } from './rows-planning.ts';
import { recoveryRows } from './rows-recovery.ts';
import { retirementRows } from './rows-retirement.ts';
import { rotationRows } from './rows-rotation.ts';
import { upkeepRows } from './rows-upkeep.ts';
import type { ClientRow } from './steps.ts';

export const clientRows: readonly ClientRow[] = [
  ...recoveryRows,
  ...endingRows,
  ...planningRows,
  ...rotationRows,
  ...retirementRows,
  ...upkeepRows,
];

/** What this client needs next. Pure; `now` is the wall clock. */
export function decideClient(s: ClientSnapshot, now: Instant): Decision<ClientAction, ClientRowName> {
  return firstRow(clientRows, s, now);
}
