import test from 'ava';
import type { LogLevel } from '#src/config.ts';
import { OperatorError } from '#src/errors.ts';
import { Redacted } from '#src/redacted.ts';
import { type Fields, type Logger, createLogger } from '#src/telemetry/logger.ts';
import { VirtualClock } from '#test/support/virtual-clock.ts';

function listen(level: LogLevel = 'debug', base: Fields = {}): { readonly logger: Logger; readonly lines: string[] } {
  const lines: string[] = [];
  return {
    logger: createLogger({ level, base, clock: new VirtualClock(), write: (line) => void lines.push(line) }),
    lines,
  };
}

/** What a reader gets for one field. */
function printed(value: unknown): unknown {
  const { logger, lines } = listen();
  logger.info('m', { value });
  return (JSON.parse(lines[0] ?? '') as { readonly value?: unknown }).value;
}

test('a line: time, level, message, base, fields; written before the call returns', (t) => {
  const { logger, lines } = listen('info', { replica: 'r1' });
  logger.warn('failed', { key: 'a/b', attempts: 2 });
  t.deepEqual(lines, [
    '{"time":"2026-11-24T12:00:00Z","level":"warn","message":"failed","replica":"r1","key":"a/b","attempts":2}\n',
  ]);
});

test('fields never replace time, level and message', (t) => {
  const { logger, lines } = listen('info');
  logger.error('failed', { message: 'forged', level: 'debug', time: 'then', stack: 's', cause: 'c', splat: [1] });
  t.deepEqual(JSON.parse(lines[0] ?? ''), {
    time: '2026-11-24T12:00:00Z',
    level: 'error',
    message: 'failed',
    stack: 's',
    cause: 'c',
    splat: [1],
  });
});

const levels: readonly LogLevel[] = ['error', 'warn', 'info', 'debug'];
for (const [index, level] of levels.entries()) {
  test(`level ${level} shows itself and what is worse, from the start and when it is set later`, (t) => {
    const from = listen(level);
    const set = listen('error');
    set.logger.setLevel(level);
    for (const { logger, lines } of [from, set]) {
      for (const each of levels) logger[each]('m');
      t.deepEqual(
        lines.map((line) => (JSON.parse(line) as { level: string }).level),
        levels.slice(0, index + 1),
      );
    }
  });
}

test('text of others stays on its line and cannot forge one', (t) => {
  const { logger, lines } = listen();
  logger.info('m\n{"level":"error"}', { 'k\n': 'v\r\n{"level":"error"}\u202e\u001b[31m' });
  t.is(lines.length, 1);
  t.regex(lines[0] ?? '', /^[^\p{Cc}\p{Cf}]+\n$/u);
  t.like(JSON.parse(lines[0] ?? ''), { message: 'm?{"level":"error"}', 'k?': 'v??{"level":"error"}??[31m' });
});

const circular: Record<string, unknown> = { name: 'c' };
circular['self'] = circular;

const values: readonly (readonly [string, unknown, unknown])[] = [
  ['a box', new Redacted('hunter2'), '[redacted]'],
  ['a box deep down', { list: [{ token: new Redacted({ value: 'hunter2' }) }] }, { list: [{ token: '[redacted]' }] }],
  ['a big number', 10n ** 20n, '100000000000000000000'],
  ['null', null, null],
  ['undefined', undefined, undefined],
  ['a date', new Date(0), '1970-01-01T00:00:00.000Z'],
  ['a URL', new URL('https://idp.example.com'), 'https://idp.example.com/'],
  [
    'something in itself',
    circular,
    {
      name: 'c',
      self: {
        name: 'c',
        self: { name: 'c', self: { name: 'c', self: { name: 'c', self: { name: 'c', self: '…' } } } },
      },
    },
  ],
  ['a long name', { ['k'.repeat(201)]: 1 }, { [`${'k'.repeat(199)}…`]: 1 }],
  ['a long text', 'x'.repeat(5_000), `${'x'.repeat(3_999)}…`],
];

for (const [name, value, expected] of values) test(`prints ${name}`, (t) => t.deepEqual(printed(value), expected));

test('an expected failure: reason and causes, no stack', (t) => {
  const cause = new OperatorError({ class: 'Transient', reason: 'TimedOut', message: 'inner\nline' });
  const error = new OperatorError({ class: 'Transient', reason: 'ProviderUnavailable', message: 'outer', cause });
  t.deepEqual(printed(error), {
    name: 'OperatorError',
    message: 'outer',
    reason: 'ProviderUnavailable',
    cause: { name: 'OperatorError', message: 'inner?line', reason: 'TimedOut' },
  });
});

test('a bug: name, message, stack in one line and every cause, nested in other fields too', (t) => {
  const error = new TypeError('outer', {
    cause: new AggregateError([new RangeError('one'), { secret: 'hunter2' }], 'inner'),
  });
  const shown = printed({ deep: [error] }) as { readonly deep: readonly [Readonly<Record<string, unknown>>] };
  t.like(shown.deep[0], { name: 'TypeError', message: 'outer' });
  t.regex(shown.deep[0]['stack'] as string, /^TypeError: outer \| +at .*logger\.test\.ts/);
  const cause = shown.deep[0]['cause'] as Readonly<Record<string, unknown>>;
  t.like(cause, { name: 'AggregateError', message: 'inner' });
  const [first, second] = cause['errors'] as readonly [object, string];
  t.like(first, { name: 'RangeError', message: 'one' });
  t.is(second, 'object');
});

test('of very many causes five are told', (t) => {
  const error = new AggregateError(Array.from({ length: 6 }, () => new Error('one')));
  t.is((printed(error) as { readonly errors: readonly unknown[] }).errors.length, 5);
});

test('a cause that is no error may hold anything, so only its type is told', (t) => {
  const shown = printed(new Error('refused', { cause: { access_token: 'hunter2' } }));
  t.like(shown, { cause: 'object' });
  t.false(JSON.stringify(shown).includes('hunter2'));
});

test('errors that name each other end', (t) => {
  const error = new Error('a');
  error.cause = new Error('b', { cause: error });
  t.regex(JSON.stringify(printed(error)), /…/);
});
