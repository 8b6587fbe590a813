import { appendFileSync, mkdtempSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test from 'ava';
import fc from 'fast-check';
import { verifyChain } from '#src/telemetry/audit-chain.ts';
import { openAuditFile } from '#src/telemetry/audit-file.ts';
import type { AuditFacts } from '#src/telemetry/audit.ts';
import { everyEvent, sessionFacts, tokenFacts, written } from './audit-lines.ts';

const request: AuditFacts = { event: 'Requested', outcome: 'Pending', reason: 'NewPod', ...tokenFacts };
const started: AuditFacts = { event: 'Started', outcome: 'Success', reason: 'Ready' };
const denied: AuditFacts = { event: 'Denied', outcome: 'Failure', reason: 'NoRule', ...sessionFacts };

/** Lines of up to three processes, shuffled into each other as they came, each process in its own order. */
const streams = fc
  .tuple(
    fc.array(fc.array(fc.constantFrom(...everyEvent), { minLength: 3, maxLength: 8 }), { minLength: 1, maxLength: 3 }),
    fc.array(fc.nat(2), { maxLength: 24 }),
  )
  .map(([processes, turns]) => {
    const queues = processes.map((facts, index) => [...written(`process-${index}`, facts)]);
    const lines = turns.flatMap((turn) => queues[turn % queues.length]?.splice(0, 1) ?? []);
    return { lines: [...lines, ...queues.flat()], processes: processes.length };
  });
const positions = fc.nat(1_000);
const processOf = (line: string | undefined): unknown => (JSON.parse(line ?? '') as { process_id: unknown }).process_id;
const nextOfSame = (lines: readonly string[], from: number): number =>
  lines.findIndex((line, index) => index > from && processOf(line) === processOf(lines[from]));

test('interleaved processes and restarts are whole', (t) => {
  fc.assert(
    fc.property(streams, ({ lines, processes }) =>
      t.like(verifyChain([...lines, '']), { is: 'Whole', lines: lines.length, processes, torn: [] }),
    ),
  );
});

test('a changed line is named by the one after it in its chain, whatever was changed', (t) => {
  fc.assert(
    fc.property(streams, positions, ({ lines }, position) => {
      const at = position % lines.length;
      const next = nextOfSame(lines, at);
      const forged = lines.with(at, (lines[at] ?? '').replace(/"outcome":"[A-Za-z]+"/, '"outcome":"Forged"'));
      fc.pre(next !== -1);
      t.like(verifyChain(forged), { is: 'Broken', line: next + 1 });
    }),
  );
});

test('a flipped character anywhere but in the last line of a process is found', (t) => {
  fc.assert(
    fc.property(streams, positions, positions, ({ lines }, position, column) => {
      const at = position % lines.length;
      fc.pre(nextOfSame(lines, at) !== -1);
      const line = lines[at] ?? '';
      const place = column % line.length;
      const flipped = `${line.slice(0, place)}${line[place] === 'x' ? 'y' : 'x'}${line.slice(place + 1)}`;
      t.is(verifyChain(lines.with(at, flipped)).is, 'Broken', flipped);
    }),
  );
});

test('a removed line is named, unless it was the last of its process', (t) => {
  fc.assert(
    fc.property(streams, positions, ({ lines }, position) => {
      const at = position % lines.length;
      const next = nextOfSame(lines, at);
      const verdict = verifyChain(lines.toSpliced(at, 1));
      if (next === -1) t.is(verdict.is, 'Whole');
      else t.like(verdict, { is: 'Broken', line: next });
    }),
  );
});

test('a line that is inserted twice, or of one process into another, is named', (t) => {
  fc.assert(
    fc.property(streams, positions, positions, ({ lines }, from, to) => {
      const copy = lines[from % lines.length] ?? '';
      t.is(verifyChain(lines.toSpliced(to % (lines.length + 1), 0, copy)).is, 'Broken');
      const foreign = copy.replace(/"process_id":"[^"]+"/, '"process_id":"forged"').replace(/"seq":\d+/, '"seq":3');
      const at = to % (lines.length + 1);
      t.like(verifyChain(lines.toSpliced(at, 0, foreign)), { is: 'Broken', line: at + 1 });
    }),
  );
});

test('two swapped lines of one process are named', (t) => {
  fc.assert(
    fc.property(streams, positions, ({ lines }, position) => {
      const at = position % lines.length;
      const next = nextOfSame(lines, at);
      fc.pre(next !== -1);
      const swapped = lines.with(at, lines[next] ?? '').with(next, lines[at] ?? '');
      t.like(verifyChain(swapped), { is: 'Broken', line: at + 1 });
    }),
  );
});

test('a last line that was cut anywhere is torn, not broken, also when other processes follow', (t) => {
  fc.assert(
    fc.property(streams, positions, positions, ({ lines }, position, length) => {
      const whole = position % lines.length;
      fc.pre(nextOfSame(lines, whole) === -1);
      const line = lines[whole] ?? '';
      const torn = line.slice(0, 1 + (length % (line.length - 1)));
      t.like(verifyChain(lines.with(whole, torn)), { is: 'Whole', lines: lines.length - 1, torn: [whole + 1] });
    }),
  );
});

const chain = written('p', [started, denied, started]);
const [first = '', second = '', third = ''] = chain;
const broken: readonly (readonly [string, readonly string[], string])[] = [
  ['garbage', [first, 'hello', second], 'line 2: it is not an audit line of version 1'],
  ['another version', [first.replace('"version":1', '"version":2')], 'line 1: it is not an audit line of version 1'],
  ['JSON that is no object', ['null'], 'line 1: it is not an audit line of version 1'],
  [
    'a line cut in the middle of a chain',
    [first, second.slice(0, -9), third],
    'line 3: process p goes from number 0 to 2: number 1 is missing before this one: removed, swapped, or in a file that was not given',
  ],
  ...[
    ['a number that is none', first.replace('"seq":0', '"seq":"0"')],
    ['a process that is no text', first.replace('"process_id":"p"', '"process_id":7')],
    ['a whole line with hardly a member', '{"version":1,"time":"2026-11-24T12:00:01Z"}'],
    ['more than the beginning of a line, without one', `{"version":1,"time":"${'x'.repeat(400)}`],
  ].map(([name = '', line = '']): (typeof broken)[number] => [
    name,
    [line],
    'line 1: it is not an audit line of version 1',
  ]),
  ['a cut line that is not the next', [first, third.slice(0, -9)], 'line 2: it is not an audit line of version 1'],
  [
    'a beginning that was rotated away',
    [second, third],
    'line 1: process p begins with number 1 instead of 0: its earlier lines are missing; check older files and this one as one stream',
  ],
  [
    'a changed line',
    [first.replace('Ready', 'Steady'), second],
    'line 2: the line before it of process p, number 0, was changed, or this one was inserted',
  ],
  [
    'a first line with a predecessor',
    [second.replace('"seq":1', '"seq":0')],
    'line 1: it is number 0 of process p but names a line before it: it was changed',
  ],
  [
    'a first line again',
    [first, first],
    'line 2: process p goes from number 0 to 0: this line was inserted, or lines were swapped',
  ],
];

for (const [name, lines, message] of broken) {
  test(`broken: ${name}`, (t) => t.is((verifyChain(lines) as { message?: string }).message, message));
}

test('line numbers are those of the file, blank lines included', (t) => {
  t.like(verifyChain([first, '', second.replace('NoRule', 'Rule'), third]), { is: 'Broken', line: 4 });
});

const stories: readonly (readonly [
  string,
  readonly (readonly [string, readonly AuditFacts[]])[],
  readonly number[],
])[] = [
  ['a request and its token', [['p', [request, { ...request, event: 'Minted', outcome: 'Success' }]]], []],
  ['a request and its renewal', [['p', [request, { ...request, event: 'Renewed', outcome: 'Success' }]]], []],
  ['a request and its narrowing', [['p', [request, { ...request, event: 'Narrowed', outcome: 'Success' }]]], []],
  ['a request and its failure', [['p', [request, { ...request, event: 'Failed', outcome: 'Failure' }]]], []],
  ['a request and its denial', [['p', [request, { ...request, event: 'Denied', outcome: 'Failure' }]]], []],
  ['a request at the end', [['p', [started, request]]], [2]],
  [
    'killed, and the next process asks again',
    [
      ['p', [request]],
      ['q', [request, { ...request, event: 'Minted', outcome: 'Success' }]],
    ],
    [1],
  ],
  [
    'asked twice, answered once',
    [['p', [request, request, { ...request, event: 'Discarded', outcome: 'Failure' }]]],
    [1],
  ],
  ['asked three times, never answered', [['p', [request, request, request]]], [1, 2, 3]],
  [
    'another process answers nothing',
    [
      ['p', [request]],
      ['q', [{ ...request, event: 'Minted', outcome: 'Success' }]],
    ],
    [1],
  ],
  ['another session answers nothing', [['p', [request, { ...denied, session_id: 'other' }]]], [1]],
];

for (const [name, processes, expected] of stories) {
  test(`without an outcome: ${name}`, (t) => {
    const verdict = verifyChain(processes.flatMap(([id, facts]) => written(id, facts)));
    t.deepEqual(
      verdict.is === 'Whole' ? verdict.unanswered : verdict,
      expected.map((line) => ({ line, session: tokenFacts.session_id })),
    );
  });
}

test('where old files were deleted, a chain may begin at any number, and is checked from there', (t) => {
  t.like(verifyChain([second, third], { anyStart: true }), { is: 'Whole', lines: 2 });
  t.like(verifyChain([second.replace('NoRule', 'Rule'), third], { anyStart: true }), { is: 'Broken', line: 2 });
  t.like(verifyChain([third, second], { anyStart: true }), { is: 'Broken', line: 2 });
  const forged = second.replace('"seq":1', '"seq":0');
  t.like(verifyChain([forged], { anyStart: true }), { is: 'Broken', line: 1 }, 'nothing comes before number 0');
});

test('an audit file: appended, private, and a torn end is closed before a new process writes', (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'audit-'));
  t.teardown(() => rmSync(folder, { recursive: true }));
  const path = join(folder, 'audit.jsonl');
  const append = (lines: readonly string[]): void => {
    const file = openAuditFile(path);
    for (const line of lines) file.write(Buffer.from(`${line}\n`));
    file.close();
  };
  append(chain);
  t.is(statSync(path).mode & 0o777, 0o600);
  appendFileSync(path, (written('p', [started, denied, started, denied])[3] ?? '').slice(0, 250));
  append(written('é', [started]));
  append([]);
  t.like(verifyChain(readFileSync(path, 'utf8').split('\n')), { is: 'Whole', lines: 4, processes: 2, torn: [4] });
  writeFileSync(path, '');
  append([]);
  t.is(readFileSync(path, 'utf8'), '');
});

test('an audit file with a torn end needs no room to be opened: the first write ends that line, once', (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'audit-'));
  t.teardown(() => rmSync(folder, { recursive: true }));
  const path = join(folder, 'audit.jsonl');
  const text = (): string => readFileSync(path, 'utf8');
  writeFileSync(path, 'torn');
  const file = openAuditFile(path);
  t.is(text(), 'torn');
  for (const line of ['a\n', 'b\n']) file.write(Buffer.from(line));
  t.is(text(), 'torn\na\nb\n');
  renameSync(path, `${path}.1`);
  writeFileSync(path, 'torn too');
  t.true(file.follow());
  file.write(Buffer.from('c\n'));
  t.is(text(), 'torn too\nc\n');
  file.close();
});
