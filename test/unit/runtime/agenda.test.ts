import test from 'ava';
import fc from 'fast-check';
import { second } from '#src/clock.ts';
import { Agenda } from '#src/runtime/agenda.ts';
import { VirtualClock } from '#test/support/virtual-clock.ts';

/** Keys that begin with `w` can wait. */
function agendaOf(clock: VirtualClock, ...ids: readonly string[]): Agenda {
  const agenda = new Agenda(clock, (id) => id.startsWith('w'));
  for (const id of ids) agenda.add(id);
  return agenda;
}

function keys(prefix: string, count: number): readonly string[] {
  return Array.from({ length: count }, (_, n) => `${prefix}${n}`);
}

const rows: readonly {
  readonly title: string;
  readonly keys: readonly string[];
  /** Of the turns that follow one another at once: whether no worker is free. */
  readonly busy: readonly boolean[];
  readonly looked: readonly number[];
}[] = [
  { title: 'first come, first served', keys: keys('f', 3), busy: [false], looked: [3] },
  {
    title: 'a turn has an end',
    keys: keys('f', 1_200),
    busy: [false, false, false, false],
    looked: [500, 500, 200, 0],
  },
  {
    title: 'one turn in five is for those that can wait',
    keys: [...keys('w', 600), ...keys('f', 10)],
    busy: [true, true],
    looked: [500, 10],
  },
  {
    title: 'and all the others while a worker is free',
    keys: keys('w', 1_100),
    busy: [false, false, false],
    looked: [500, 500, 100],
  },
];

for (const { title, keys: ids, busy, looked } of rows) {
  test(title, (t) => {
    const agenda = agendaOf(new VirtualClock(), ...ids);
    t.deepEqual(
      busy.map((isBusy) => [...agenda.turn(isBusy)].length),
      looked,
    );
  });
}

test('a key is looked at once however often it is added, and not at all once it is deleted', (t) => {
  const agenda = agendaOf(new VirtualClock(), 'f0', 'w0', 'f0', 'f1', 'w0', 'w1');
  agenda.delete('f1');
  agenda.delete('w1');
  t.is(agenda.size, 2);
  t.deepEqual([...agenda.turn(true)].toSorted(), ['f0', 'w0']);
  t.is(agenda.nextAt(false), undefined);
});

test('while no worker is free, those that can wait say when their turn comes', async (t) => {
  const clock = new VirtualClock();
  const agenda = agendaOf(clock, ...keys('w', 700));
  t.is(agenda.nextAt(true), 0);
  t.is([...agenda.turn(true)].length, 500);
  t.is(agenda.nextAt(true), 250);
  t.is(agenda.nextAt(false), 0);
  t.is([...agenda.turn(true)].length, 0);
  await clock.advance(250);
  t.is([...agenda.turn(true)].length, 200);
});

test('whatever comes, none is lost, none comes twice, and the turn of those that can wait comes within a second', async (t) => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.record({ key: fc.constantFrom(...keys('w', 9), ...keys('f', 9)), busy: fc.boolean() }), {
        maxLength: 60,
      }),
      async (steps) => {
        const clock = new VirtualClock();
        const agenda = agendaOf(clock);
        const owed = new Set<string>();
        const take = (isBusy: boolean): void => {
          for (const id of agenda.turn(isBusy)) t.true(owed.delete(id));
        };
        for (const { key, busy } of steps) {
          agenda.add(key);
          owed.add(key);
          take(busy);
          t.is(agenda.size, owed.size);
          await clock.advance(20);
        }
        await clock.advance(second);
        take(true);
        t.is(owed.size, 0);
      },
    ),
  );
});
