/**
 * `npm test`: every suite, one after the other, also after one that failed; with arguments, those suites (`npm test -- test:keycloak`).
 * What fails of a suite with clusters is run once more, because they start dozens of real programs on whatever machine this is; that it took two
 * tries is said, and both outputs stay. Such a suite runs file by file, so that only the file that failed is repeated. Pure suites get one try.
 * What a suite takes by chance is drawn here, so that both tries meet the same.
 */
import { spawn } from 'node:child_process';
import { randomInt } from 'node:crypto';
import { globSync, readFileSync } from 'node:fs';
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

const { scripts } = JSON.parse(readFileSync('package.json', 'utf8')) as { scripts: Readonly<Record<string, string>> };

interface Part {
  readonly name: string;
  readonly command: readonly string[];
}

const script = (...args: readonly string[]): readonly string[] => ['npm', 'run', '--silent', ...args];

/** The suite, or each of its files where its script is one call of AVA that takes them one after the other. */
function partsOf(suite: string): readonly Part[] {
  const [, flags = '', globs = ''] = /^ava ((?:--\S+ )+)('[^'&|;]+'(?: '[^'&|;]+')*)$/.exec(scripts[suite] ?? '') ?? [];
  if (!flags.includes('--serial ')) return [{ name: suite, command: script(suite) }];
  const files = globSync([...globs.matchAll(/'([^']+)'/g)].flatMap(([, glob = '']) => glob)).toSorted();
  return files.map((file) => ({ name: `${suite} ${file}`, command: ['npx', 'ava', ...flags.trim().split(' '), file] }));
}

/** Runs it with its output on ours; resolves with whether it succeeded. */
async function run([program = '', ...args]: readonly string[], isLastTry: boolean): Promise<boolean> {
  const child = spawn(program, args, { stdio: ['ignore', 'pipe', 'inherit'] });
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

/** Each of them, also after one that failed, and once more if it did. */
async function attemptParts(parts: readonly Part[]): Promise<boolean> {
  const failed: string[] = [];
  if (parts.length === 0) failed.push('there is no file');
  for (const { name, command } of parts) {
    say(`== ${name}`);
    if (await run(command, false)) continue;
    say(`== ${name} failed and is run again`);
    if (await run(command, true)) say(`== ${name} passed at its second try`);
    else failed.push(name);
  }
  for (const name of failed) say(`== ${name} FAILED twice`);
  return failed.length === 0;
}

async function attempt(suite: string): Promise<boolean> {
  const started = Date.now();
  const seed = seeds[suite];
  if (seed !== undefined) say(`== ${suite} with ${seed}=${(process.env[seed] ??= String(randomInt(2 ** 31)))}`);
  const passed = await (pure.has(suite) ? run(script(suite), true) : attemptParts(partsOf(suite)));
  say(`== ${suite} ${passed ? 'passed' : 'FAILED'} after ${Math.round((Date.now() - started) / 1_000)} s`);
  return passed;
}

const asked = process.argv.slice(2);
const failed: string[] = [];
if (await run(script('cluster', '--', 'build'), true)) {
  for (const suite of asked.length > 0 ? asked : everyday) if (!(await attempt(suite))) failed.push(suite);
} else failed.push('cluster -- build');
say(failed.length === 0 ? '== every suite passed' : `== failed: ${failed.join(', ')}`);
process.exitCode = failed.length === 0 ? 0 : 1;
