/** When time alone may change what is decided about a client, and what wakes nobody. */
import test from 'ava';
import { day, hour, type Instant, minute, plus, second } from '#src/clock.ts';
import type { ClientRecord } from '#src/domain/client/record.ts';
import { nextLook } from '#src/domain/client/schedule.ts';
import { buildDesired, noon } from '#test/support/builders.ts';
import { closed, expiresIn, external, g, record, snapshot, theirOne, withGenerations } from './cases.ts';

const desired = buildDesired();
const opensSoon = { window: { ...closed, opensAt: plus(noon, hour) } };
const tokens = (n: number, exp: Instant) => ({ lastExp: new Map([[n, exp]]) });
const secret = withGenerations([g({ credential: expiresIn(10 * hour) })]);
const old = { retireAfter: plus(noon, -hour) };

const rows: readonly (readonly [
  title: string,
  record: ClientRecord,
  more: Parameters<typeof snapshot>[0],
  at: Instant,
  next: Instant,
])[] = [
  ['each day, because somebody may have changed the client', record(), {}, noon, plus(noon, day)],
  ['not when a window opens for which nothing waits', record(), opensSoon, noon, plus(noon, day)],
  ['when a third of the life of a secret is left', secret, {}, noon, plus(noon, (20 / 3) * hour)],
  [
    'when a tenth of it is left, where the window opens later than that',
    secret,
    { window: closed },
    plus(noon, 7 * hour),
    plus(noon, 9 * hour),
  ],
  [
    'not for the age of a secret that mints no more',
    withGenerations([g({ state: 'Draining', ...old, credential: expiresIn(10 * hour) }), g({ n: 2 })]),
    {},
    noon,
    plus(noon, day),
  ],
  [
    'half a minute after the last token of an old credential',
    withGenerations([g({ state: 'Draining', ...old }), g({ n: 2 })]),
    tokens(1, plus(noon, 10 * minute)),
    noon,
    plus(noon, 10 * minute + 30 * second),
  ],
  [
    'after the overlap, where no token of it is left',
    withGenerations([g({ state: 'Draining', retireAfter: plus(noon, hour) }), g({ n: 2 })]),
    {},
    noon,
    plus(noon, hour),
  ],
  [
    'when an administrator is to be reminded of his credential',
    external([theirOne({ expiresAt: plus(noon, 10 * hour) })]),
    {},
    noon,
    plus(noon, 9 * hour),
  ],
  [
    'when it expires',
    external([theirOne({ expiresAt: plus(noon, 10 * hour) })]),
    {},
    plus(noon, 9 * hour),
    plus(noon, 10 * hour),
  ],
  [
    'when a removal that was confirmed is believed, an hour after it',
    withGenerations([g({ state: 'Retiring', removedAt: noon }), g({ n: 2 })]),
    {},
    noon,
    plus(noon, hour),
  ],
  [
    'when an emergency revokes, whether its new credential has come or not',
    record({ revoking: { id: 'r1', since: noon } }),
    {},
    noon,
    plus(noon, 5 * minute),
  ],
];

for (const [title, of, more, at, next] of rows)
  test(`a client is looked at ${title}`, (t) =>
    t.is(nextLook(snapshot({ record: of, ...more }), of, desired, at), next));
