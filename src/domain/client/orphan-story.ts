/** What people hear of clients that may be left at a provider because an answer was lost: that somebody dealt with them, and the last word. */
import { highestGeneration, tagText } from './generations.ts';
import { openOrphans, possibleOrphans } from './orphans.ts';
import type { ClientRecord } from './record.ts';
import type { Telling } from './telling.ts';

/** Somebody acknowledged what may be left at the provider; `before`: the record until then. */
export function dealtWith(before: ClientRecord): Telling {
  const count = openOrphans(before);
  const what = count === 1 ? 'the client' : `the ${count} clients`;
  const answers = count === 1 ? 'a registration' : 'registrations';
  return {
    step: 'Acknowledged',
    generation: highestGeneration(before),
    reason: 'OrphanAcknowledged',
    good: true,
    message: `somebody acknowledged that ${what} which ${answers} without an answer may have left at the provider ${count === 1 ? 'is' : 'are'} dealt with; no more is said of it.`,
  };
}

/** With the record goes the count of what may be left, so it is said for the last time. */
export function forgotten(record: ClientRecord): Telling {
  const count = possibleOrphans(record);
  const answers = count === 1 ? 'the answer to a registration was' : `the answers to ${count} registrations were`;
  const left = count === 1 ? 'a client that nobody uses' : `${count} clients that nobody uses`;
  const ids = record.generations.flatMap(({ unheard, clientId }) => (unheard === true && clientId ? [clientId] : []));
  const named = ids.length === 0 ? '' : ` as client id ${ids.join(', ')}`;
  const message = `${answers} lost, so ${left} may be left at the provider${named}: look there for software_id ${tagText(record.tag)}, and delete it.`;
  return {
    step: 'Deregistered',
    generation: highestGeneration(record),
    reason: 'OrphanPossible',
    good: false,
    message,
  };
}
