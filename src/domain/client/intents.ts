/** The write-ahead note of a call that changes something at the provider: taken, and given back where the call surely had no effect. */
import { plus } from '../../clock.ts';
import type { Instant } from '../../clock.ts';
import { generation } from './generations.ts';
import type { ClientRecord, Generation, Intent } from './record.ts';
import { refusedPause } from './schedule.ts';
import { checked } from './transitions.ts';

/**
 * The note before the call. `orphanPossible`: an earlier Register may have left a client that nobody can find, so it is counted.
 */
export function withIntent(record: ClientRecord, intent: Intent, orphanPossible = false): ClientRecord {
  const orphans = (record.possibleOrphans ?? 0) + (orphanPossible ? 1 : 0);
  const { intent: before } = record;
  const isAgain = before?.call === intent.call && before.generation === intent.generation;
  return checked({
    ...record,
    intent: isAgain ? { ...intent, firstAt: begunAt(before) } : intent,
    ...(orphans === 0 ? {} : { possibleOrphans: orphans }),
  });
}

/** From when on the call may have had its effect. */
export function begunAt({ at, firstAt }: Intent): Instant {
  return firstAt ?? at;
}

/** The call surely had no effect: it was refused, or never left. */
export function withoutIntent(record: ClientRecord, orphanPossible = false): ClientRecord {
  const { intent: _, ...rest } = record;
  return orphanPossible ? checked({ ...rest, possibleOrphans: (rest.possibleOrphans ?? 0) + 1 }) : checked(rest);
}

/**
 * The call that is noted in `record` surely had no effect. `before`: the intent that it took the place of. A registration under our own id
 * whose answer was lost may have taken effect all the same, so that the question stays open.
 */
export function refusedCall(record: ClientRecord, before: Intent | undefined): ClientRecord {
  const { intent } = record;
  const isSecondTry =
    intent?.call === 'Register' && before?.call === 'Register' && before.generation === intent.generation;
  const isOurId = intent !== undefined && generation(record, intent.generation)?.clientId !== undefined;
  return isSecondTry && isOurId ? record : withoutIntent(record);
}

/** The provider answered the registration that is noted in `record` with nothing that can be used. What became of it is open. */
export function answeredWith(record: ClientRecord, unusable: string): ClientRecord {
  const { intent } = record;
  return intent === undefined ? record : checked({ ...record, intent: { ...intent, unusable } });
}

/**
 * The provider says that the id which we chose is taken. That may be our own registration, whose answer was lost, so that a proof has to show
 * whose client it is. If one has done so just now, the client is somebody else's, and the call had no effect. Later it is asked again: the
 * provider may have been slower than anybody knew.
 */
export function idTaken(record: ClientRecord, now: Instant): ClientRecord {
  const { intent } = record;
  if (intent === undefined || isOthersClient(generation(record, intent.generation), now)) return withoutIntent(record);
  return checked({ ...record, intent: { ...intent, takenAt: now } });
}

function isOthersClient(of: Generation | undefined, now: Instant): boolean {
  return of?.state === 'Planned' && of.refusedAt !== undefined && now < plus(of.refusedAt, refusedPause);
}
