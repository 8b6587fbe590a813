import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import test from 'ava';
import fc from 'fast-check';
import { runAudit } from '#src/commands/audit.ts';
import type { AuditFacts } from '#src/telemetry/audit.ts';
import { everyEvent, tokenFacts, written } from '../telemetry/audit-lines.ts';
import { surface } from './surface.ts';

const request: AuditFacts = { event: 'Requested', outcome: 'Pending', reason: 'NewPod', ...tokenFacts };
const chain = written('p', everyEvent);
const next = written('q', [...everyEvent, request]);
const total = chain.length + next.length;

/** Writes the files, runs the verb on them, and takes the folder's name out of what it says. */
async function verify(
  files: Readonly<Record<string, string | Buffer>>,
  ...more: readonly string[]
): Promise<{ readonly code: number; readonly text: string }> {
  const folder = mkdtempSync(join(tmpdir(), 'audit-verify-'));
  try {
    for (const [name, content] of Object.entries(files)) writeFileSync(join(folder, name), content);
    const out = surface();
    const code = await runAudit(
      ['verify', ...Object.keys(files).map((name) => join(folder, name)), ...more],
      out.surface,
    );
    return { code, text: (out.printed() + out.complained()).replaceAll(`${folder}/`, '') };
  } finally {
    rmSync(folder, { recursive: true });
  }
}

const file = (lines: readonly string[]): string => lines.map((line) => `${line}\n`).join('');
/** How far each process reaches. */
const ends = (...processes: readonly (readonly string[])[]): string =>
  processes
    .map((lines) => {
      const { process_id, seq, time, event } = JSON.parse(lines.at(-1) ?? '') as Record<string, string>;
      const how = event === 'Stopped' ? 'where it stopped' : open;
      return `\nprocess ${process_id} ends with number ${seq} at ${time}, ${how}`;
    })
    .join('');
const open = 'without the line Stopped: it runs still, was killed, or its last lines are missing';
const noOutcome = (place: string): string =>
  `${place}: the token request of session 5f0c.publisher has no outcome; a token may live unseen until it expires\n`;

const cases: readonly {
  readonly name: string;
  readonly files: Readonly<Record<string, string | Buffer>>;
  readonly flags?: readonly string[];
  readonly code: number;
  readonly text: string;
}[] = [
  {
    name: 'an empty file proves nothing',
    files: { 'audit.log': '' },
    code: 2,
    text: 'no audit line: the log is empty, or this is another file; check the path, and what was shipped elsewhere\n',
  },
  {
    name: 'a restart is no gap, an unanswered request and a torn end are told',
    files: { 'audit.log': `${file(chain)}${file(next)}{"vers` },
    code: 0,
    text: `${total} lines of 2 processes, every chain whole${ends(chain, next)}\nline ${total + 1} is torn: its process was killed or could not write; what it says did not happen or is repeated\n${noOutcome(`line ${total}`)}`,
  },
  {
    name: 'rotated files, newest first as the shell gives them, the oldest compressed',
    files: {
      'audit.log': file(next.slice(4)),
      'audit.log.1': file([...chain.slice(9), ...next.slice(0, 4)]),
      'audit.log.2.gz': gzipSync(file(chain.slice(0, 9))),
    },
    code: 0,
    text: `${total} lines of 2 processes, every chain whole${ends(chain, next)}\n${noOutcome(`audit.log:${next.length - 4}`)}`,
  },
  {
    name: 'the last lines of an earlier process were cut off: it is told that it does not end where it stopped',
    files: { 'audit.log': `${file(chain.slice(0, -3))}${file(next)}` },
    code: 0,
    text: `${total - 3} lines of 2 processes, every chain whole${ends(chain.slice(0, -3), next)}\n${noOutcome(`line ${total - 3}`)}`,
  },
  {
    name: 'an id that would print lines of its own',
    files: {
      'audit.log': JSON.stringify({ ...JSON.parse(chain[0] ?? ''), process_id: 'x\nevery chain whole', seq: 3 }),
    },
    code: 2,
    text: 'line 1: process x?every chain whole begins with number 3 instead of 0: its earlier lines are missing; check older files and this one as one stream\n',
  },
  {
    name: 'a rotated file is missing: the first missing line is named with file and number',
    files: { 'audit.log': file(chain.slice(9)), 'audit.log.2': file(chain.slice(0, 4)) },
    code: 2,
    text: 'audit.log:1: process p goes from number 3 to 9: numbers 4 to 8 are missing before this one: removed, swapped, or in a file that was not given\n',
  },
  {
    name: 'a line was changed in an older file',
    files: {
      'audit.log': file(chain.slice(5)),
      'audit.log.1': file(chain.slice(0, 5).with(2, (chain[2] ?? '').replace('Success', 'Failure'))),
    },
    code: 2,
    text: 'audit.log.1:4: the line before it of process p, number 2, was changed, or this one was inserted\n',
  },
  {
    name: 'the oldest file is gone',
    files: { 'audit.log': file(chain.slice(5)) },
    code: 2,
    text: 'line 1: process p begins with number 5 instead of 0: its earlier lines are missing; check older files and this one as one stream\n',
  },
  {
    name: 'the oldest file is gone, and that is known',
    files: { 'audit.log': file(chain.slice(8)) },
    flags: ['--any-start'],
    code: 0,
    text: `${chain.length - 8} lines of 1 process, every chain whole${ends(chain)}\n`,
  },
  {
    name: 'no audit log at all',
    files: { 'audit.log': 'hello\n' },
    code: 2,
    text: 'line 1: it is not an audit line of version 1\n',
  },
];

for (const { name, files, flags = [], code, text } of cases) {
  test(`audit verify: ${name}`, async (t) => t.deepEqual(await verify(files, ...flags), { code, text }));
}

test('audit verify: a file that is not there is an error, not a verdict', async (t) => {
  const { code, text } = await verify({}, '/nowhere/audit.log');
  t.is(code, 1);
  t.is(text, 'kubectl ci-identity audit: /nowhere/audit.log cannot be read (ENOENT): check the path and your rights\n');
});

test('audit verify -o json: the same for programs', async (t) => {
  const { code, text } = await verify({ 'audit.log': file(chain.toSpliced(3, 1)) }, '-o', 'json');
  t.is(code, 2);
  t.like(JSON.parse(text), { whole: false, broken: { place: 'line 4' } });
});

test('however a log is cut into files and in whatever order they are named, it is whole', async (t) => {
  await fc.assert(
    fc.asyncProperty(
      fc.uniqueArray(fc.nat(total - 1), { maxLength: 4 }),
      fc.infiniteStream(fc.nat()),
      async (cuts, order) => {
        const lines = [...chain, ...next];
        const edges = [0, ...cuts.toSorted((a, b) => a - b), lines.length];
        const parts = edges
          .slice(1)
          .map((end, index) => [`audit-${order.next().value}-${index}`, file(lines.slice(edges[index], end))]);
        t.is((await verify(Object.fromEntries(parts) as Record<string, string>)).code, 0);
      },
    ),
    { numRuns: 50 },
  );
});

test('a file that somebody forged says nothing to the terminal', async (t) => {
  const forged = { version: 1, process_id: '\u001b]0;owned\u0007\u009b2J', seq: 7, previous: '', event: 'Minted' };
  const { code, text } = await verify({ 'a.log': file([JSON.stringify(forged)]) });
  t.is(code, 2);
  t.regex(text, /process \?\]0;owned\?\?2J begins with number 7/);
});
