import { type ChainVerdict, type ProcessEnd, verifyChain } from '../telemetry/audit-chain.ts';
import { clean } from '../clean.ts';
import { printAnswer } from './answer.ts';
import { type Description, outputOption } from './arguments.ts';
import { type LogFile, openLogs } from './audit-files.ts';
import { verb } from './run.ts';
import { CommandError, exitCodes } from './surface.ts';
import { counted } from './words.ts';

const description: Description = {
  name: 'audit',
  synopsis: 'verify FILE…',
  about:
    'Checks the hash chains of audit logs and names the first line that was changed, or before which one is missing. Rotated files of one\nlog belong together, in any order and also as .gz; logs of several replicas may be checked at once. A restart is no gap. Token requests\nwithout an outcome are told: their process ended in between, so a token may have lived unseen until it expired.',
  examples: [
    ['A log with its rotated files', 'audit verify /var/log/ci-identity/audit.log*'],
    ['The oldest files are deleted after a year', 'audit verify --any-start audit.log*'],
  ],
  options: [
    { name: 'any-start', help: 'Chains may begin in the middle, because the oldest files are gone.' },
    outputOption,
  ],
  exit: '0 every chain is whole, 2 one is broken or there is no line, 1 a file could not be read.',
};

export const runAudit = verb(description, async (args, surface) => {
  const [what, ...paths] = args.positionals;
  if (what !== 'verify' || paths.length === 0) throw new CommandError('expected: verify FILE…; see --help');
  const report = verifyLogs(openLogs(paths), args.given.has('any-start'));
  printAnswer(args, surface, { json: report, text: reportText(report) });
  return report.whole ? exitCodes.done : exitCodes.no;
});

/** `place` is `file:line`, or only the line where one file was given. */
interface AuditReport {
  readonly whole: boolean;
  readonly lines?: number;
  readonly processes?: number;
  /** How far each reaches: compare it with what you shipped elsewhere, because what was cut off or changed at an end leaves no gap. */
  readonly ends?: readonly ProcessEnd[];
  readonly broken?: { readonly place: string; readonly problem: string };
  readonly torn: readonly string[];
  readonly unanswered: readonly { readonly place: string; readonly session: string }[];
}

function verifyLogs(files: readonly LogFile[], anyStart: boolean): AuditReport {
  const starts: { readonly name: string; readonly before: number }[] = [];
  const verdict = verifyChain(numbered(files, starts), { anyStart });
  return reportOf(verdict, (line) => {
    const file = starts.findLast(({ before }) => before < line);
    return files.length === 1 || file === undefined ? `line ${line}` : `${file.name}:${line - file.before}`;
  });
}

/** Every line of every file, as one stream; notes how many lines came before each file. */
function* numbered(files: readonly LogFile[], starts: { name: string; before: number }[]): Iterable<string> {
  let before = 0;
  for (const { name, lines } of files) {
    starts.push({ name, before });
    for (const line of lines()) {
      before += 1;
      yield line;
    }
  }
}

function reportOf(verdict: ChainVerdict, place: (line: number) => string): AuditReport {
  if (verdict.is === 'Broken') {
    return { whole: false, broken: { place: place(verdict.line), problem: verdict.problem }, torn: [], unanswered: [] };
  }
  return {
    whole: verdict.lines > 0,
    lines: verdict.lines,
    processes: verdict.processes,
    ends: verdict.ends,
    torn: verdict.torn.map(place),
    unanswered: verdict.unanswered.map(({ line, session }) => ({ place: place(line), session })),
  };
}

/** Pure: the report for people. */
function reportText({ lines = 0, processes = 0, ends = [], broken, torn, unanswered }: AuditReport): string {
  if (broken !== undefined) return `${broken.place}: ${broken.problem}\n`;
  return [
    ends.length === 0
      ? 'no audit line: the log is empty, or this is another file; check the path, and what was shipped elsewhere'
      : `${counted(lines, 'line', 'lines')} of ${counted(processes, 'process', 'processes')}, every chain whole`,
    ...ends.map(
      ({ process_id, seq, time, stopped }) =>
        `process ${clean(process_id, 64)} ends with number ${seq} at ${clean(time, 64)}, ${stopped ? 'where it stopped' : 'without the line Stopped: it runs still, was killed, or its last lines are missing'}`,
    ),
    ...torn.map(
      (at) => `${at} is torn: its process was killed or could not write; what it says did not happen or is repeated`,
    ),
    ...unanswered.map(
      ({ place, session }) =>
        `${place}: the token request of session ${session} has no outcome; a token may live unseen until it expires`,
    ),
    '',
  ].join('\n');
}
