import { closeSync, openSync, readFileSync, readSync } from 'node:fs';
import { gunzipSync } from 'node:zlib';
import { CommandError } from './surface.ts';

/** One file of an audit log. */
export interface LogFile {
  readonly name: string;
  /** Read anew at each call; a log of any size takes little memory, a compressed one its whole size. */
  readonly lines: () => Iterable<string>;
}

/** The files in the order in which they were written, whatever the order on the command line: `audit.log*` gives the newest first. */
export function openLogs(paths: readonly string[]): readonly LogFile[] {
  return inOrder([...new Set(paths)].map((path) => ({ name: path, lines: () => linesOf(path) })));
}

/**
 * A file comes before another if some process has a lower number in it. Times are not looked at: replicas have clocks of their own. Where the
 * numbers contradict each other, somebody swapped lines, and the order on the command line stays.
 */
function inOrder(files: readonly LogFile[]): readonly LogFile[] {
  const left = files.map((file) => ({ file, first: firstNumbers(file) }));
  const ordered: LogFile[] = [];
  while (left.length > 0) {
    const free = left.findIndex((one) => !left.some((other) => other !== one && precedes(other.first, one.first)));
    ordered.push(...left.splice(Math.max(free, 0), 1).map(({ file }) => file));
  }
  return ordered;
}

const header = /^\{"version":1,"time":"[^"]*","process_id":"([^"]*)","seq":(\d+),/;

/** The first number of each process in a file. */
function firstNumbers(file: LogFile): ReadonlyMap<string, number> {
  const first = new Map<string, number>();
  for (const line of file.lines()) {
    const [, process, seq] = header.exec(line) ?? [];
    if (process !== undefined && !first.has(process)) first.set(process, Number(seq));
  }
  return first;
}

function precedes(a: ReadonlyMap<string, number>, b: ReadonlyMap<string, number>): boolean {
  return [...a].some(([process, seq]) => seq < (b.get(process) ?? -1));
}

const chunk = 1 << 20;

function* linesOf(path: string): Iterable<string> {
  if (path.endsWith('.gz')) {
    yield* readable(path, () => gunzipSync(readFileSync(path)).toString('utf8').split('\n'));
    return;
  }
  const fd = readable(path, () => openSync(path, 'r'));
  try {
    const buffer = Buffer.alloc(chunk);
    let rest = Buffer.alloc(0);
    for (;;) {
      const size = readable(path, () => readSync(fd, buffer));
      if (size === 0) break;
      const bytes = Buffer.concat([rest, buffer.subarray(0, size)]);
      const end = bytes.lastIndexOf(0x0a);
      if (end >= 0) yield* bytes.subarray(0, end).toString('utf8').split('\n');
      rest = Buffer.from(bytes.subarray(end + 1));
    }
    if (rest.length > 0) yield rest.toString('utf8');
  } finally {
    closeSync(fd);
  }
}

function readable<T>(path: string, read: () => T): T {
  try {
    return read();
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? String(error.code) : 'unknown error';
    throw new CommandError(`${path} cannot be read (${code}): check the path and your rights`);
  }
}
