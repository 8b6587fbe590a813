import { execFile } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import test from 'ava';
import type { Target } from './bench.ts';

const main = fileURLToPath(new URL('main.ts', import.meta.url));

interface Report {
  readonly commit: string;
  readonly results: readonly {
    readonly benchmark: string;
    readonly runs: readonly object[];
    readonly targets: readonly Target[];
  }[];
}

/** Tiny sizes: that the benchmark runs and reports, and what it counts; never how fast it was. */
const smokes: readonly (readonly [name: string, runs: number, ...args: string[]])[] = [
  ['latency', 2, '--runs=1', '--size=4'],
  ['burst', 2, '--runs=1', '--size=16'],
  ['admission', 8, '--runs=1', '--size=16'],
  ['registration', 2, '--size=4'],
  ['revocation', 2, '--runs=1', '--size=4'],
  ['size', 1, '--size=10', '--minutes=0.05'],
  ['rotation', 1, '--size=2'],
  ['soak', 1, '--minutes=0.2'],
];

for (const [name, runs, ...args] of smokes) {
  test.serial(`${name} runs and reports`, async (t) => {
    t.timeout(900_000);
    const dir = mkdtempSync(join(tmpdir(), 'ci-identity-bench-'));
    try {
      const file = join(dir, 'report.json');
      const { stdout } = await promisify(execFile)(process.execPath, [main, name, ...args, `--json=${file}`]);
      const { commit, results } = JSON.parse(readFileSync(file, 'utf8')) as Report;
      t.regex(stdout, new RegExp(`^${name}`, 'm'));
      t.not(commit, '');
      t.deepEqual(
        results.map((result) => [result.benchmark, result.runs.length]),
        [[name, runs]],
      );
      for (const { name: aim, actual, sense, met } of results[0]!.targets) {
        t.true(Number.isFinite(actual), aim);
        // Counts: token requests, failures, leftovers.
        if (sense === 'Exactly') t.true(met, `${aim}: ${actual}`);
      }
    } finally {
      rmSync(dir, { recursive: true });
    }
  });
}
