/**
 * `npm test`: every suite, one after the other, also after one that failed; with arguments, those suites (`npm test -- test:keycloak`).
 * A suite with clusters that fails is run once more, because they start dozens of real programs on whatever machine this is; that it took two
 * tries is said, and both outputs stay. Pure suites get one try. What a suite takes by chance is drawn here, so that both tries meet the same.
 */
import { spawn } from 'node:child_process';
import { randomInt } from 'node:crypto';
import { createInterface } from 'node:readline';

const pure: ReadonlySet<string> = new Set(['test:unit']);

/** Where a suite reads its seed. */
const seeds: Readonly<Record<string, string>> = {
  'test:kill': 'KILL_SEED',
  'test:rotation-sample': 'ROTATION_SEED',
  'test:walk': 'WALK_SEED',
};

const everyday: readonly string[] = [
  'test:unit',
  'test:api',
  'test:clients',
  'test:faults',
  'test:monitoring',
  'test:cli',
  'test:node',
  'test:quickstart',
  'test:kill',
  'test:rotation-sample',
  'test:sessions',
  'test:walk',
  'test:bench',
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

async function attempt(suite: string): Promise<boolean> {
  const started = Date.now();
  const seed = seeds[suite];
  if (seed !== undefined) say(`== ${suite} with ${seed}=${(process.env[seed] ??= String(randomInt(2 ** 31)))}`);
  const tries = pure.has(suite) ? 1 : 2;
  let passed = await run([suite], tries === 1);
  if (!passed && tries === 2) {
    say(`== ${suite} failed and is run again`);
    passed = await run([suite], true);
    if (passed) say(`== ${suite} passed at its second try`);
  }
  say(`== ${suite} ${passed ? 'passed' : 'FAILED'} after ${Math.round((Date.now() - started) / 1_000)} s`);
  return passed;
}

const asked = process.argv.slice(2);
const failed: string[] = [];
if (await run(['cluster', '--', 'build'], true)) {
  for (const suite of asked.length > 0 ? asked : everyday) if (!(await attempt(suite))) failed.push(suite);
} else failed.push('cluster -- build');
say(failed.length === 0 ? '== every suite passed' : `== failed: ${failed.join(', ')}`);
process.exitCode = failed.length === 0 ? 0 : 1;
