import type { Reason } from '../../api/reasons.ts';
import type { Clock } from '../../clock.ts';
import { answeredWith, idTaken, refusedCall } from '../../domain/client/intents.ts';
import { managementRefused } from '../../domain/client/management.ts';
import type { ClientRecord, Intent } from '../../domain/client/record.ts';
import type { OperatorError } from '../../errors.ts';
import { surelyWithoutEffect, unusableAnswer } from '../../providers/no-effect.ts';

/**
 * What a failed call leaves in the record where its intent is noted; `undefined`: nobody knows what became of the call. `before`: the intent that
 * it took the place of.
 */
export function afterFailure(
  error: OperatorError,
  { call }: Intent,
  before: Intent | undefined,
  clock: Clock,
): ((record: ClientRecord) => ClientRecord) | undefined {
  if (error.reason === 'ClientIdTaken' || surelyWithoutEffect(error))
    return (record) => refused(record, error.reason, before, clock);
  const unusable = call === 'Register' ? unusableAnswer(error) : undefined;
  return unusable === undefined ? undefined : (record) => answeredWith(record, unusable);
}

function refused(record: ClientRecord, reason: Reason, before: Intent | undefined, clock: Clock): ClientRecord {
  switch (reason) {
    case 'RegistrationAccessTokenLost':
      return managementRefused(record, clock.now());
    case 'ClientIdTaken':
      return idTaken(record, clock.now());
    default:
      return refusedCall(record, before);
  }
}
