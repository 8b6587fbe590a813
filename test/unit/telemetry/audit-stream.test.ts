import { existsSync, mkdirSync, mkdtempSync, readFileSync, renameSync, rmSync, rmdirSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test from 'ava';
import fc from 'fast-check';
import { minute } from '#src/clock.ts';
import { AuditLog } from '#src/telemetry/audit.ts';
import { verifyChain } from '#src/telemetry/audit-chain.ts';
import { type AuditSink, openAuditFile } from '#src/telemetry/audit-file.ts';
import { AuditStream } from '#src/telemetry/audit-stream.ts';
import { VirtualClock } from '#test/support/virtual-clock.ts';
import { written } from './audit-lines.ts';

/** A disk or pipe with so much room; `error`: what it says when it has none. */
class Sink {
  text = '';
  room = Number.POSITIVE_INFINITY;
  error: string | undefined;
  moved = false;
  /** What opening the new file says, while it cannot be opened. */
  shut: string | undefined;
  closed = false;

  write(bytes: Uint8Array): number {
    const taken = Math.min(this.room, bytes.length);
    if (taken === 0 && this.error !== undefined) throw Object.assign(new Error(this.error), { code: this.error });
    this.text += Buffer.from(bytes.subarray(0, taken)).toString('latin1');
    this.room -= taken;
    return taken;
  }

  follow(): boolean {
    const { moved } = this;
    if (moved && this.shut !== undefined) throw Object.assign(new Error(this.shut), { code: this.shut });
    this.moved = false;
    return moved;
  }

  close(): void {
    this.closed = true;
  }
}

const started = { event: 'Started', outcome: 'Success', reason: 'Ready' } as const;

function streamOn(sink: AuditSink, most?: number) {
  const clock = new VirtualClock();
  const lines: string[] = [];
  const stream = new AuditStream({
    sink,
    clock,
    onLine: (outcome) => void lines.push(outcome),
    ...(most === undefined ? {} : { most }),
  });
  const log = new AuditLog({ write: (line) => stream.push(line), clock, processId: 'p' });
  const record = (): void => log.record(started);
  return { stream, record, lines, clock };
}

test('a line is with the operating system before the program goes on', (t) => {
  const sink = new Sink();
  const { stream, record, lines } = streamOn(sink);
  record();
  t.like(verifyChain(sink.text.split('\n')), { is: 'Whole', lines: 1, torn: [] });
  t.deepEqual([stream.waiting, stream.trouble, lines], [0, undefined, ['Written']]);
});

for (const [what, error, says] of [
  ['a full disk', 'ENOSPC', 'ENOSPC'],
  ['a pipe that nobody reads', undefined, 'nobody reads it'],
] as const) {
  test(`${what}: lines wait whole and in order, and the trouble has a sentence`, (t) => {
    const sink = new Sink();
    sink.error = error;
    const { stream, record, clock } = streamOn(sink);
    record();
    sink.room = 100;
    for (let n = 0; n < 3; n += 1) record();
    clock.setWall(minute);
    stream.keepUp();
    t.is(stream.waiting, 3);
    t.is(
      stream.trouble,
      `the audit stream takes no lines since 2026-11-24T12:00:00Z (${says}), 3 wait: no pod gets a token until it does, revocation goes on. Make room, or let somebody read it`,
    );
    sink.room = Number.POSITIVE_INFINITY;
    record();
    t.is(stream.waiting, 4, 'nobody tries for every line');
    stream.keepUp();
    t.deepEqual([stream.waiting, stream.trouble], [0, undefined]);
    t.like(verifyChain(sink.text.split('\n')), { is: 'Whole', lines: 5, torn: [] });
    sink.room = 0;
    record();
    t.regex(stream.trouble ?? '', /since 2026-11-24T12:01:00Z/, 'the next trouble begins anew');
  });
}

test('a file that is renamed in the middle of a line: the new file has the line whole', (t) => {
  const sink = new Sink();
  const { stream, record } = streamOn(sink);
  record();
  sink.room = 50;
  record();
  const old = sink.text;
  sink.text = '';
  sink.moved = true;
  sink.room = Number.POSITIVE_INFINITY;
  stream.follow();
  stream.keepUp();
  t.like(verifyChain(`${old}\n${sink.text}`.split('\n')), { is: 'Whole', lines: 2, torn: [2] });
});

test('a file that was renamed and whose name cannot be opened: nothing goes into the old one, and the trouble has a sentence', (t) => {
  const sink = new Sink();
  const { stream, record, clock } = streamOn(sink);
  record();
  [sink.moved, sink.shut] = [true, 'EACCES'];
  stream.follow();
  clock.setWall(minute);
  const sentence = (waiting: number): string =>
    `the audit file was renamed or removed, and since 2026-11-24T12:00:00Z its name cannot be opened (EACCES), ${waiting} lines wait: no pod gets a token until it can, revocation goes on. Let the operator’s user create it, or write and read what took its name`;
  t.is(stream.trouble, sentence(0), 'before anything waits');
  const old = sink.text;
  record();
  stream.follow();
  stream.keepUp();
  t.deepEqual([stream.trouble, sink.text], [sentence(1), old]);
  sink.shut = undefined;
  stream.follow();
  stream.keepUp();
  t.is(stream.trouble, undefined);
  t.like(verifyChain(sink.text.split('\n')), { is: 'Whole', lines: 2, torn: [] });
});

test('closing follows once more: what waited for a name is in its file', async (t) => {
  const sink = new Sink();
  const { stream, record } = streamOn(sink);
  [sink.moved, sink.shut] = [true, 'EACCES'];
  stream.follow();
  record();
  sink.shut = undefined;
  const stop = new AbortController();
  const closed = stream.close(stop.signal);
  stop.abort();
  await closed;
  t.like(verifyChain(sink.text.split('\n')), { is: 'Whole', lines: 1 });
});

test('real files, however they are rotated: every line is in one of them, in order, none twice', (t) => {
  const how = fc.constantFrom('not', 'renamed', 'renamed and taken', 'given back');
  fc.assert(
    fc.property(fc.array(fc.record({ lines: fc.nat(3), rotated: how }), { maxLength: 20 }), (steps) => {
      const directory = mkdtempSync(join(tmpdir(), 'audit-'));
      const path = join(directory, 'audit.log');
      const files: string[] = [];
      const rename = (): void => {
        if (!existsSync(path) || statSync(path).isDirectory()) return;
        files.push(`${path}.${files.length}`);
        renameSync(path, files.at(-1) ?? '');
      };
      const free = (): void => {
        if (existsSync(path) && statSync(path).isDirectory()) rmdirSync(path);
      };
      try {
        const { stream, record } = streamOn(openAuditFile(path));
        let recorded = 0;
        for (const { lines, rotated } of [...steps, { lines: 1, rotated: 'given back' }]) {
          if (rotated.startsWith('renamed')) rename();
          if (rotated === 'renamed and taken' && !existsSync(path)) mkdirSync(path);
          if (rotated === 'given back') free();
          stream.follow();
          const blocked = existsSync(path) && statSync(path).isDirectory();
          t.is(stream.trouble !== undefined, blocked);
          for (let n = 0; n < lines; n += 1) record();
          recorded += lines;
          stream.keepUp();
        }
        const text = [...files, path].map((file) => readFileSync(file, 'utf8')).join('');
        t.like(verifyChain(text.split('\n')), { is: 'Whole', lines: recorded, torn: [] });
      } finally {
        rmSync(directory, { recursive: true });
      }
    }),
  );
});

test('what is no trouble of the system is a bug, and says so', (t) => {
  const bug = (): never => {
    throw new TypeError('a bug');
  };
  const { stream, record } = streamOn({ write: bug, follow: bug, close: () => undefined });
  t.throws(() => stream.follow(), { message: 'a bug' });
  t.throws(record, { message: 'a bug' });
});

test('more than memory may hold is lost, counted, and a gap in the chain', (t) => {
  const sink = new Sink();
  sink.room = 0;
  const { stream, record, lines } = streamOn(sink, 2.5 * Buffer.byteLength(written('p', [started])[0] ?? ''));
  for (let n = 0; n < 4; n += 1) record();
  t.deepEqual(lines, ['Lost', 'Lost']);
  sink.room = Number.POSITIVE_INFINITY;
  stream.keepUp();
  record();
  t.like(verifyChain(sink.text.split('\n')), { is: 'Broken', line: 3 });
  for (let n = 0; n < 9; n += 1) record();
  t.is(lines.filter((line) => line === 'Lost').length, 2, 'what was written makes room again');
});

test('whatever a sink takes at a time, nothing is lost, doubled or reordered', (t) => {
  const rooms = fc.array(fc.record({ room: fc.nat(700), lines: fc.nat(3), full: fc.boolean() }), { maxLength: 30 });
  fc.assert(
    fc.property(rooms, (steps) => {
      const sink = new Sink();
      const { stream, record } = streamOn(sink);
      let recorded = 0;
      for (const { room, lines, full } of steps) {
        sink.room = room;
        sink.error = full ? 'ENOSPC' : undefined;
        for (let n = 0; n < lines; n += 1) record();
        recorded += lines;
        stream.keepUp();
      }
      sink.room = Number.POSITIVE_INFINITY;
      stream.keepUp();
      t.like(verifyChain(sink.text.split('\n')), { is: 'Whole', lines: recorded, torn: [] });
    }),
  );
});

test('closing gives what waits a last chance, and not more', async (t) => {
  const sink = new Sink();
  const { stream, record } = streamOn(sink);
  record();
  await stream.close(AbortSignal.abort());
  t.true(sink.closed);
});
