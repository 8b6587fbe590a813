/** What the record says after a call that failed. */
import test from 'ava';
import type { Reason } from '#src/api/reasons.ts';
import { afterFailure } from '#src/controllers/client/failed-call.ts';
import type { Intent } from '#src/domain/client/record.ts';
import { OperatorError } from '#src/errors.ts';
import { misbehaves } from '#src/providers/classify.ts';
import { buildClientRecord, buildGeneration, issuer, noon } from '#test/support/builders.ts';
import { VirtualClock } from '#test/support/virtual-clock.ts';

const unusable = misbehaves('Register', { issuer, now: noon }, '200 without a JSON object');
const failed = (reason: Reason): OperatorError => new OperatorError({ class: 'Transient', reason, message: 'no' });
const clock = new VirtualClock(noon);

for (const [call, title, error, intent] of [
  ['Register', 'was answered with nothing usable: that is kept', unusable, { unusable: '200 without a JSON object' }],
  ['Register', 'was not answered: it stays open as it is', failed('ProviderUnavailable'), 'AsItIs'],
  ['Register', 'was refused: it is over', failed('RegistrationRefused'), 'Closed'],
  ['Register', 'met an id that is taken: when', failed('ClientIdTaken'), { takenAt: noon }],
  ['Update', 'was answered with nothing usable: it is sent again', unusable, 'AsItIs'],
] as const)
  test(`a ${call} ${title}`, (t) => {
    const noted: Intent = { call, generation: 1, at: noon };
    const record = buildClientRecord({ generations: [buildGeneration({ state: 'Planned' })], intent: noted });
    const next = afterFailure(error, noted, undefined, clock)?.(record) ?? record;
    const expected = { AsItIs: noted, Closed: undefined };
    t.deepEqual(next.intent, typeof intent === 'string' ? expected[intent] : { ...noted, ...intent });
  });
