import test from 'ava';
import { remedies } from '#src/api/troubleshooting.ts';
import { faultRows } from '#test/faults/rows.ts';

/** Told while everything is as it should be, or explained by its own sentence alone. */
const noTrouble = ['Ready', 'CredentialUnverified'];

test('whatever a faulty provider makes us say can be looked up', (t) => {
  const told = new Set(faultRows.flatMap((row) => row.told.map(({ reason }) => reason)));
  t.deepEqual(
    [...told].filter((reason) => !noTrouble.includes(reason) && !Object.hasOwn(remedies, reason)),
    [],
  );
});

test('causes and steps are sentences, and none is given twice', (t) => {
  const all = Object.values(remedies);
  for (const { cause, step } of all) {
    t.regex(cause, /^[A-Z].*\.$/);
    t.regex(step, /^[A-Z`].*\.$/);
    t.false(`${cause}${step}`.includes('|'), 'it stands in a table');
  }
  t.is(new Set(all.map(({ step }) => step)).size, all.length);
});

test('policies that are missing are not restored by a replace, which refuses what is not there', (t) => {
  const { step } = remedies.GuardMissing;
  t.regex(step, /missing one with `kubectl apply -k manifests\/admission`/);
  t.regex(step, /edited one with `kubectl replace -f`/);
});
