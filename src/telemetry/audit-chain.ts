import { clean } from '../clean.ts';
import { sha256 } from '../digest.ts';
import { type AuditLine, firstPrevious } from './audit.ts';

export type ChainVerdict =
  | {
      readonly is: 'Whole';
      readonly lines: number;
      readonly processes: number;
      /** In the order of their first lines, each with its last one: whether more followed only another copy of the log can tell. */
      readonly ends: readonly ProcessEnd[];
      /** Numbers of the lines whose writing a killed process or a full disk cut short. They are part of no chain. */
      readonly torn: readonly number[];
      /** Token requests without an outcome: the process ended between request and record, or the request is still under way. */
      readonly unanswered: readonly { readonly line: number; readonly session: string }[];
    }
  /** `problem` is the sentence about the line; `message` has its number in front. */
  | { readonly is: 'Broken'; readonly line: number; readonly problem: string; readonly message: string };

export interface ProcessEnd extends Pick<AuditLine, 'process_id' | 'seq' | 'time'> {
  /** It ends with `Stopped`. Without that the process runs still, was killed, or its last lines were cut off. */
  readonly stopped: boolean;
}

export interface VerifyOptions {
  /** Chains may begin at any number: their oldest lines were deleted with an old file, as log rotation does in the end. */
  readonly anyStart?: boolean;
}

interface Chain {
  readonly seq: number;
  readonly hash: string;
  readonly last?: ParsedLine;
}

const noChain: Chain = { seq: 0, hash: firstPrevious };

type ParsedLine = Pick<AuditLine, 'time' | 'process_id' | 'seq' | 'previous' | 'event' | 'session_id'>;

/**
 * Checks every chain in the lines of one or more processes, in the order in which they were written; names the first line that is broken or
 * before which one is missing. What it cannot know: whether the *last* lines of a process were cut off, or its very last one was changed
 * (nothing follows them), whether a whole process is missing (ship the lines elsewhere as they come), and what a torn line would have said. A torn line is the beginning of exactly the line that its
 * process had to write next; the event itself then did not count as recorded, so it is reported and is no break.
 */
export function verifyChain(lines: Iterable<string>, options: VerifyOptions = {}): ChainVerdict {
  const chains = new Map<string, Chain>();
  const requests = new Requests();
  const torn: number[] = [];
  let number = 0;
  let count = 0;
  for (const text of lines) {
    number += 1;
    if (text === '') continue;
    const line = parseLine(text);
    if (line === undefined && isTorn(text, chains)) {
      torn.push(number);
      continue;
    }
    const before = line === undefined ? undefined : chains.get(line.process_id);
    const starts = options.anyStart === true && before === undefined && (line?.seq ?? 0) > 0;
    const problem =
      line === undefined ? 'it is not an audit line of version 1' : starts ? undefined : problemOf(line, before);
    if (problem !== undefined || line === undefined)
      return { is: 'Broken', line: number, problem: problem ?? '', message: `line ${number}: ${problem ?? ''}` };
    count += 1;
    chains.set(line.process_id, { seq: line.seq + 1, hash: sha256(text), last: line });
    requests.see(number, line);
  }
  return {
    is: 'Whole',
    lines: count,
    processes: chains.size,
    ends: [...chains.values()].flatMap(({ last }) => (last === undefined ? [] : [endOf(last)])),
    torn,
    unanswered: requests.unanswered(),
  };
}

function endOf({ process_id, seq, time, event }: ParsedLine): ProcessEnd {
  return { process_id, seq, time, stopped: event === 'Stopped' };
}

function problemOf({ process_id, seq, previous }: ParsedLine, chain: Chain | undefined): string | undefined {
  const id = clean(process_id, 64);
  const expected = chain ?? noChain;
  if (seq !== expected.seq) {
    return chain === undefined
      ? `process ${id} begins with number ${seq} instead of 0: its earlier lines are missing; check older files and this one as one stream`
      : `process ${id} goes from number ${chain.seq - 1} to ${seq}: ${gap(chain.seq, seq)}`;
  }
  if (previous === expected.hash) return undefined;
  return chain === undefined
    ? `it is number 0 of process ${id} but names a line before it: it was changed`
    : `the line before it of process ${id}, number ${seq - 1}, was changed, or this one was inserted`;
}

function gap(expected: number, seq: number): string {
  if (seq < expected) return 'this line was inserted, or lines were swapped';
  const missing = seq - 1 === expected ? `number ${expected} is` : `numbers ${expected} to ${seq - 1} are`;
  return `${missing} missing before this one: removed, swapped, or in a file that was not given`;
}

const answers: ReadonlySet<string> = new Set([
  'Minted',
  'Renewed',
  'Narrowed',
  'Discarded',
  'Denied',
  'Failed',
] satisfies AuditLine['event'][]);

/** Which token requests got an outcome: the next line of the same process and session that is one. */
class Requests {
  readonly #open = new Map<string, { line: number; session: string }>();
  readonly #unanswered: { line: number; session: string }[] = [];

  see(number: number, { process_id, session_id, event }: ParsedLine): void {
    if (session_id === undefined || (event !== 'Requested' && !answers.has(event))) return;
    const key = `${process_id} ${session_id}`;
    const open = this.#open.get(key);
    if (event === 'Requested') {
      if (open !== undefined) this.#unanswered.push(open);
      this.#open.set(key, { line: number, session: session_id });
    } else this.#open.delete(key);
  }

  unanswered(): readonly { readonly line: number; readonly session: string }[] {
    return [...this.#unanswered, ...this.#open.values()].toSorted((a, b) => a.line - b.line);
  }
}

const begin = '{"version":1,"time":"';
const header = /^\{"version":1,"time":"[^"]*","process_id":"([^"]*)","seq":(\d+),"previous":"([0-9a-f]{64})"/;
/** No header is longer, so a longer text without one is something else. */
const headerLimit = 400;

function isTorn(text: string, chains: ReadonlyMap<string, Chain>): boolean {
  const [, id, seq, previous] = header.exec(text) ?? [];
  if (id === undefined)
    return text.length <= headerLimit && (begin.startsWith(text) || text.startsWith(begin)) && !isJson(text);
  const expected = chains.get(id) ?? noChain;
  return Number(seq) === expected.seq && previous === expected.hash && !isJson(text);
}

function isJson(text: string): boolean {
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
}

function parseLine(text: string): ParsedLine | undefined {
  try {
    const line = JSON.parse(text) as Partial<AuditLine> | null;
    if (line?.version !== 1 || typeof line.seq !== 'number' || typeof line.event !== 'string') return undefined;
    if (typeof line.process_id !== 'string' || typeof line.previous !== 'string') return undefined;
    const { time = '', process_id, seq, previous, event, session_id } = line;
    return { time, process_id, seq, previous, event, ...(typeof session_id === 'string' ? { session_id } : {}) };
  } catch {
    return undefined;
  }
}
