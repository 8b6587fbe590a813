/**
 * `npm test`: every suite, one after the other, also after one that failed. A suite with clusters that fails is run once more, because they
 * start dozens of real programs on whatever machine this is; that it took two tries is said, and both outputs stay. Pure suites get one try.
 */
import { spawn } from 'node:child_process';
import { createInterface } from 'node:readline';

interface Suite {
  readonly script: string;
  readonly tries: 1 | 2;
}

const suites: readonly Suite[] = [
  { script: 'test:unit', tries: 1 },
  { script: 'test:api', tries: 2 },
  { script: 'test:clients-sample', tries: 2 },
  { script: 'test:faults', tries: 2 },
  { script: 'test:monitoring', tries: 2 },
  { script: 'test:cli', tries: 2 },
  { script: 'test:node', tries: 2 },
  { script: 'test:kill', tries: 2 },
  { script: 'test:rotation-sample', tries: 2 },
  { script: 'test:sessions', tries: 2 },
  { script: 'test:walk', tries: 2 },
];

/** AVA's counts; those of a try that does not count are printed so that nobody adds them up. */
const counts = /^ *\d+ (tests?|hooks?|known failures?|uncaught exceptions?|unhandled rejections?)\b/;

const say = (line: string): void => void process.stdout.write(`${line}\n`);

/** Runs `npm run SCRIPT ARGS…` with its output on ours; resolves with whether it succeeded. */
async function run(args: readonly string[], isLastTry: boolean): Promise<boolean> {
  const child = spawn('npm', ['run', '--silent', ...args], { stdio: ['ignore', 'pipe', 'inherit'] });
  const closed = new Promise<number | null>((resolve) => child.once('close', resolve));
  const held: string[] = [];
  for await (const line of createInterface({ input: child.stdout })) {
    if (counts.test(line)) held.push(line);
    else say(line);
  }
  const code = await closed;
  for (const line of held) say(code === 0 || isLastTry ? line : `first try: ${line.trim()}`);
  return code === 0;
}

async function attempt({ script, tries }: Suite): Promise<boolean> {
  const started = Date.now();
  let passed = await run([script], tries === 1);
  if (!passed && tries === 2) {
    say(`== ${script} failed and is run again`);
    passed = await run([script], true);
    if (passed) say(`== ${script} passed at its second try`);
  }
  say(`== ${script} ${passed ? 'passed' : 'FAILED'} after ${Math.round((Date.now() - started) / 1_000)} s`);
  return passed;
}

const failed: string[] = [];
if (await run(['cluster', '--', 'build'], true)) {
  for (const suite of suites) if (!(await attempt(suite))) failed.push(suite.script);
} else failed.push('cluster -- build');
say(failed.length === 0 ? '== every suite passed' : `== failed: ${failed.join(', ')}`);
process.exitCode = failed.length === 0 ? 0 : 1;
