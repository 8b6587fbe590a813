import type { ClientRecord, Generation } from './record.ts';
import { isLive, isNewestClient } from './generations.ts';

export const mostProofs = 256;

/** Two live credentials, three for the length of one crash recovery; and old clients that nobody can remove, where emergencies made more. */
const mostLive = 3;

/** A record fits into a Secret. */
export const mostGenerations = 20;

/** Throws when the record could not have come out of the client machine. */
export function assertClientInvariants(record: ClientRecord): void {
  const { generations, intent } = record;
  const states = generations.map(({ state }) => state);
  assert(states.filter((state) => state === 'Current').length <= 1, 'has two Current generations');
  assert(
    states.filter((state) => state === 'Planned' || state === 'Created').length <= 1,
    'has two credentials in work',
  );
  const live = generations.filter((one) => isLive(one, record) && !isOfOldClient(one, record));
  assert(live.length <= mostLive, 'has more than three live credentials');
  assert(generations.length <= mostGenerations, 'has too many generations');
  assert(Object.keys(record.proofs).length <= mostProofs, 'has too many proofs');
  for (const [index, one] of generations.entries()) {
    const next = generations[index + 1];
    assert(next === undefined || next.n > one.n, 'has generations out of order');
    assert(one.state !== 'Draining' || one.retireAfter !== undefined, 'drains without an end');
    assert(one.removedAt === undefined || one.state === 'Retiring', 'has a removed credential that is not Retiring');
    assert(one.state === 'Planned' || one.clientId !== undefined, 'has a created credential without a client id');
  }
  if (intent === undefined) return;
  const subject = generations.find(({ n }) => n === intent.generation);
  assert(subject !== undefined, 'has an intent for no generation');
  assert(intent.call !== 'Register' || subject?.state === 'Planned', 'has an open Register for what exists already');
  assert(intent.call !== 'Deregister' || subject?.state === 'Retiring', 'has an open Deregister for what is in use');
}

function isOfOldClient(one: Generation, record: ClientRecord): boolean {
  return one.state === 'Retiring' && !isNewestClient(record, one);
}

function assert(holds: boolean, what: string): void {
  if (!holds) throw new Error(`client record ${what}`);
}
