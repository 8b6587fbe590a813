import test from 'ava';
import { minute, plus } from '#src/clock.ts';
import { answeredWith, idTaken, refusedCall, withIntent } from '#src/domain/client/intents.ts';
import type { ClientRecord, Generation, Intent } from '#src/domain/client/record.ts';
import { refusedPause } from '#src/domain/client/schedule.ts';
import { buildClientRecord, buildGeneration, noon, omit } from '#test/support/builders.ts';

const register: Intent = { call: 'Register', generation: 1, at: noon };
const later: Intent = { ...register, at: plus(noon, minute) };
const planned = (more: Partial<Generation> = {}): Generation => buildGeneration({ state: 'Planned', ...more });
const nameless = omit(planned(), 'clientId') as Generation;
const noted = (intent: Intent | undefined, one: Generation = planned()): ClientRecord => {
  const record = buildClientRecord({ generations: [one] });
  return intent === undefined ? record : { ...record, intent };
};

for (const [title, before, intent, firstAt] of [
  ['nothing was noted before', undefined, register, undefined],
  ['the same call again began when the first one did', register, later, noon],
  ['and the third one, too', { ...later, firstAt: noon }, { ...later, at: plus(noon, 2 * minute) }, noon],
  ['another call begins by itself', { ...register, call: 'Update' }, later, undefined],
  ['and so does that of another credential', { ...register, generation: 2 }, later, undefined],
] satisfies readonly (readonly [string, Intent | undefined, Intent, unknown])[]) {
  test(`the note before a call: ${title}`, (t) => {
    const { intent: now } = withIntent(noted(before), intent);
    t.is(now?.at, intent.at);
    t.is(now?.firstAt, firstAt);
  });
}

for (const [title, known, orphanPossible, counted] of [
  ['none is possible', undefined, false, undefined],
  ['the first one', undefined, true, 1],
  ['one more', 2, true, 3],
  ['those that are counted stay', 2, false, 2],
] as const) {
  test(`clients that nobody can find are counted before the next registration: ${title}`, (t) => {
    const record = { ...noted(undefined), ...(known === undefined ? {} : { possibleOrphans: known }) };
    t.is(withIntent(record, register, orphanPossible).possibleOrphans, counted);
  });
}

for (const [title, before, intent, one, isOpen] of [
  ['it was the first try', undefined, register, planned(), false],
  ['the first try under our id may have taken effect', register, later, planned(), true],
  ['where the provider chooses the id nothing can be asked', register, later, nameless, false],
  ['the call before was another one', { ...register, call: 'Update' }, later, planned(), false],
  ['the try before was for another credential', { ...register, generation: 2 }, later, planned(), false],
  ['it was no registration', { ...register, call: 'Update' }, { ...later, call: 'Update' }, planned(), false],
] satisfies readonly (readonly [string, Intent | undefined, Intent, Generation, boolean])[]) {
  test(`a call that surely had no effect ${isOpen ? 'leaves the question open' : 'is over'}: ${title}`, (t) => {
    t.is(refusedCall(noted(intent, one), before).intent, isOpen ? intent : undefined);
  });
}

test('what an unusable answer said stays with the note of its call, if there is one', (t) => {
  t.is(answeredWith(noted(register), 'no client_id').intent?.unusable, 'no client_id');
  const record = noted(undefined);
  t.is(answeredWith(record, 'no client_id'), record);
});

for (const [title, intent, one, after, isAsked] of [
  ['it may be our own: a proof has to show it', register, planned(), 0, true],
  ["one has just shown that it is somebody else's", register, planned({ refusedAt: noon }), 0, false],
  ['and so it is until the pause ends', register, planned({ refusedAt: noon }), refusedPause - 1, false],
  ['then it is asked again', register, planned({ refusedAt: noon }), refusedPause, true],
  ['no call is noted', undefined, planned(), 0, false],
] as const) {
  test(`the id that we chose is taken: ${title}`, (t) => {
    const now = plus(noon, after);
    const { intent: left } = idTaken(noted(intent, one), now);
    t.is(left?.takenAt, isAsked ? now : undefined);
    t.is(left === undefined, !isAsked);
  });
}
