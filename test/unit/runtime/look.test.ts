import test from 'ava';
import fc from 'fast-check';
import { day, instant, minute, second } from '#src/clock.ts';
import type { Decision } from '#src/decision.ts';
import { OperatorError } from '#src/errors.ts';
import { Failures } from '#src/runtime/failures.ts';
import { lookAt } from '#src/runtime/look.ts';
import type { FailureNote, Machine } from '#src/runtime/machine.ts';
import { VirtualClock } from '#test/support/virtual-clock.ts';

const settled: Decision<string> = { row: 'settled', reason: 'Settled' };

/** Rows that are all to be done, in this order, each of which gives way to the next. */
function machineOf(rows: readonly string[]): Machine<unknown, unknown> {
  const machine: Machine<readonly FailureNote[], string> = {
    name: 'm',
    snapshot: (_key, held) => held,
    decide: (held) => {
      const row = rows.find((one) => !held.some((note) => note.row === one));
      return row === undefined ? settled : { row, action: row, reason: 'InProgress' };
    },
    apply: () => Promise.resolve(),
  };
  return machine as Machine<unknown, unknown>;
}

const rows = ['a', 'b', 'c', 'd', 'e'];

test('however many rows fail, and however: every row comes to its turn, and what failed is tried again', async (t) => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.constantFrom('Terminal' as const, 'Waiting' as const, 'Transient' as const), {
        minLength: rows.length,
        maxLength: rows.length,
      }),
      fc.double({ min: 0.1, max: 0.999, noNaN: true }),
      async (classes, random) => {
        const clock = new VirtualClock();
        const failures = new Failures({ clock, random: () => random });
        const machine = machineOf(rows);
        const tries = new Map(rows.map((row) => [row, 0]));
        for (let passed = 0; passed < day; passed += 10 * minute) {
          // What a look finds is tried until nothing is left that may be tried now.
          for (let i = 0; i < 2 * rows.length; i += 1) {
            const { row, action } = lookAt('k', machine, 'k', failures, clock)?.decision ?? settled;
            if (action === undefined || failures.dueAt('k', row, 9) > clock.monotonic()) break;
            tries.set(row, (tries.get(row) ?? 0) + 1);
            const failed = classes[rows.indexOf(row)] ?? 'Terminal';
            failures.record(
              'k',
              row,
              9,
              new OperatorError({ class: failed, reason: 'RegistrationRefused', message: '' }),
            );
          }
          await clock.advance(10 * minute);
        }
        for (const [row, count] of tries) t.true(count >= 100, `row ${row} was tried ${count} times a day`);
      },
    ),
    { numRuns: 20 },
  );
});

test('the first of the rows that gave way says when to look again; the failure of the row that is asked for comes first', async (t) => {
  const clock = new VirtualClock();
  const failures = new Failures({ clock, random: () => 0 });
  const fail = (row: string, seconds: number): void => {
    const retryAt = instant(clock.now() + seconds * second);
    failures.record('k', row, 9, new OperatorError({ class: 'Waiting', reason: 'ApiRefused', message: row, retryAt }));
  };
  const look = (): ReturnType<typeof lookAt> => lookAt('k', machineOf(['a', 'b']), 'k', failures, clock);
  t.is(look()?.decision.row, 'a');
  fail('a', 60);
  t.is(look()?.decision.row, 'b');
  t.is(look()?.retryAt, 60 * second);
  fail('b', 20);
  t.is(look()?.decision.row, 'settled');
  t.is(look()?.retryAt, 20 * second);
  t.deepEqual(
    ((look()?.snapshot ?? []) as readonly FailureNote[]).map(({ row }) => row),
    ['a', 'b'],
  );
  await clock.advance(20 * second);
  t.is(look()?.decision.row, 'b', 'its time has come');
  t.is(look()?.retryAt, 60 * second);
  failures.succeeded('k', 'b');
  await clock.advance(40 * second);
  t.is(look()?.decision.row, 'a');
  t.is(look()?.retryAt, undefined);
});

test('a row that does not give way keeps its turn', (t) => {
  const clock = new VirtualClock();
  const failures = new Failures({ clock, random: () => 0 });
  const stubborn = { ...machineOf(['a']), decide: () => ({ row: 'a', action: 'a', reason: 'InProgress' as const }) };
  failures.record('k', 'a', 9, new OperatorError({ class: 'Terminal', reason: 'ApiRefused', message: '' }));
  const look = lookAt('k', stubborn, 'k', failures, clock);
  t.is(look?.decision.row, 'a');
  t.is(look?.retryAt, undefined, 'it is queued and comes by itself');
});
