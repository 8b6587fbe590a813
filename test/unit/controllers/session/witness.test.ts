/** Whether the provider still honours a token that is replaced: what it says counts only while it calls the new one good. */
import test from 'ava';
import { systemClock } from '#src/clock.ts';
import { Effects } from '#src/runtime/effect.ts';
import { minute } from '#src/clock.ts';
import { type Renewed, Witness, type WitnessOptions } from '#src/controllers/session/witness.ts';
import { buildKey, buildLiveSnapshot, buildSessionRecord, buildToken } from '#test/support/builders.ts';
import { VirtualClock } from '#test/support/virtual-clock.ts';

/** A renewal: what the provider says of the old and the new token, and what follows. */
interface Step {
  readonly before: boolean;
  readonly after: boolean;
  /** Minutes since the step before. */
  readonly later?: number;
  readonly told: readonly string[];
  readonly calls: number;
}

const wrong = 'warn introspection calls a good token inactive: tokens that somebody else revokes are not noticed';
const right = 'info introspection is right again: tokens that somebody else revokes are noticed';

const stories: readonly (readonly [string, readonly Step[]])[] = [
  ['nobody touched it', [{ before: true, after: true, told: [], calls: 1 }]],
  ['somebody else revoked it', [{ before: false, after: true, told: ['RevokedElsewhere'], calls: 2 }]],
  [
    'it calls every token inactive: told once, and asked about a good one every ten minutes',
    [
      { before: false, after: false, told: [wrong], calls: 2 },
      { before: false, after: false, later: 9, told: [], calls: 0 },
      { before: false, after: false, later: 1, told: [], calls: 1 },
      { before: false, after: false, later: 1, told: [], calls: 0 },
    ],
  ],
  [
    'it was wrong once: what is revoked afterwards is noticed again',
    [
      { before: false, after: false, told: [wrong], calls: 2 },
      { before: false, after: true, later: 10, told: [right, 'RevokedElsewhere'], calls: 3 },
      { before: true, after: true, told: [], calls: 1 },
    ],
  ],
];

for (const [title, steps] of stories)
  test(title, async (t) => {
    const clock = new VirtualClock();
    const told: string[] = [];
    const log = (level: string) => (message: string) => void told.push(`${level} ${message}`);
    const witness = new Witness({
      effects: new Effects({ clock: systemClock, held: () => true }),
      audit: { record: () => undefined },
      metrics: { count: () => undefined },
      reporter: { onPod: (_key: string, reason: string) => void told.push(reason) },
      logger: { warn: log('warn'), info: log('info') },
      clock,
      credentialOf: () => buildKey(),
    } as unknown as WitnessOptions);
    const record = buildSessionRecord();
    for (const { before, after, later = 0, ...expected } of steps) {
      await clock.advance(later * minute);
      told.length = 0;
      let calls = 0;
      const introspect = (value: { reveal(): string }): Promise<{ active: boolean }> => {
        calls += 1;
        return Promise.resolve({ active: value.reveal() === 'value of before' ? before : after });
      };
      const renewed = {
        facts: record,
        tokens: { introspect },
        before: buildToken({ sha256: 'before' }),
        after: buildToken({ sha256: 'after' }),
      } as unknown as Renewed;
      await witness.look('key', buildLiveSnapshot(), renewed, new AbortController().signal);
      t.deepEqual({ told, calls }, expected);
    }
  });
