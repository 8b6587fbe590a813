import type { Clock, Instant, Milliseconds } from '../clock.ts';
import type { Decision, Work } from '../decision.ts';
import { OperatorError } from '../errors.ts';
import type { Failures } from './failures.ts';
import type { FailureNote, Machine } from './machine.ts';

/** What the loop keeps of a key. */
export interface KeyState {
  readonly machine: Machine<unknown, unknown>;
  readonly key: string;
  row: string | undefined;
  /** How often the report of a change came in. */
  changes: number;
  /** The last action that succeeded since there was nothing to do, and how often in a row the very same one did. */
  lastAction: string | undefined;
  repeats: number;
}

/** What a machine sees of a key and wants, at one moment. */
export interface Look {
  readonly snapshot: unknown;
  readonly decision: Decision<unknown>;
  /** Monotonic: when the first of the rows that failed and gave way may come again. */
  readonly retryAt?: Milliseconds;
}

/**
 * Snapshot and decision; `undefined`: nothing is known of this key. A failure is shown to the machine as long as it holds its row back, so
 * that the row may give way to another, and that one to the next if it failed as well; once its time has come again it is hidden, so that the
 * row comes again. Throws what the machine throws.
 */
export function lookAt(
  id: string,
  machine: Machine<unknown, unknown>,
  key: string,
  failures: Failures,
  clock: Clock,
): Look | undefined {
  const now = clock.now();
  const snapshot = machine.snapshot(key, []);
  if (snapshot === undefined) return undefined;
  const fresh = { snapshot, decision: machine.decide(snapshot, now) };
  failures.asked(id, fresh.decision.row);
  const held: FailureNote[] = [];
  const comeBack = new Map<string, Milliseconds>();
  let look: Look = fresh;
  for (;;) {
    const { row } = look.decision;
    const { lane } = workOf(look.decision);
    const note = failures.held(id, row, lane);
    if (note === undefined || comeBack.has(row)) break;
    held.push(note);
    comeBack.set(row, failures.dueAt(id, row, lane));
    const noted = machine.snapshot(key, held);
    if (noted === undefined) return fresh;
    look = { snapshot: noted, decision: machine.decide(noted, now) };
  }
  // What is queued comes at its time by itself.
  if (look.decision.action !== undefined) comeBack.delete(look.decision.row);
  return comeBack.size === 0 ? look : { ...look, retryAt: Math.min(...comeBack.values()) };
}

/** The last lane there is, for decisions that do not say. */
const unnamed: Work = { lane: 9, by: 0 as Instant, group: '' };

export function workOf(decision: Decision<unknown>): Work {
  return decision.work ?? unnamed;
}

/** Whether what was queued is still what is wanted: spending the same budget and not less urgent. */
export function isStillThat(decision: Decision<unknown>, queued: Work): boolean {
  const work = workOf(decision);
  return decision.action !== undefined && work.resource === queued.resource && work.lane <= queued.lane;
}

/** The same action that succeeded so often in a row without changing its decision is a bug in its machine. */
const mostRepeats = 5;

/** There is nothing to do for the key: whatever comes next has a cause of its own, such as the daily look at a client. */
export function settle(state: KeyState): void {
  state.lastAction = undefined;
  state.repeats = 0;
}

/** To be asked after each success: whether the key goes round in circles and has to be slowed down. */
export function isSpinning(state: KeyState, decision: Decision<unknown>): boolean {
  const action = JSON.stringify([decision.row, decision.action]);
  state.repeats = action === state.lastAction ? state.repeats + 1 : 1;
  state.lastAction = action;
  return state.repeats >= mostRepeats;
}

/** What the rest of the loop sees of an exception that nobody expected. */
export function bug(cause: unknown, errorClass: 'Transient' | 'Waiting'): OperatorError {
  return new OperatorError({
    class: errorClass,
    reason: 'InternalError',
    message: 'A bug: the log has the details.',
    cause,
  });
}
