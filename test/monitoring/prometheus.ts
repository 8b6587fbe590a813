import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { stringify } from 'yaml';
import { unpackedPackages, whyPackagesAreMissing } from '#test/cluster/debian-packages.ts';
import { cacheDirectory } from '#test/cluster/layout.ts';
import { run } from '#test/cluster/run.ts';
import { eventually } from '#test/support/eventually.ts';

const wanted = { name: 'prometheus', cache: cacheDirectory(), packages: ['prometheus'] };

/** Says in one sentence why Prometheus cannot be had here, or returns `undefined`. */
export const whyPrometheusIsMissing = (): Promise<string | undefined> =>
  whyPackagesAreMissing(wanted, 'test:monitoring');

export async function prometheusBinaries(
  log: (line: string) => void,
): Promise<{ prometheus: string; promtool: string }> {
  const directory = await unpackedPackages(wanted, log);
  return { prometheus: join(directory, 'usr/bin/prometheus'), promtool: join(directory, 'usr/bin/promtool') };
}

/** Runs promtool on files that are there only for it; what it printed, and its exit code. */
export async function promtool(
  binary: string,
  args: readonly string[],
  files: Readonly<Record<string, unknown>>,
): Promise<{ readonly code: number | null; readonly text: string }> {
  const dir = mkdtempSync(join(tmpdir(), 'ci-identity-promtool-'));
  try {
    for (const [name, content] of Object.entries(files)) writeFileSync(join(dir, name), stringify(content));
    const { code, stdout, stderr } = await run(binary, [...args], { cwd: dir });
    return { code, text: `${stdout}${stderr}` };
  } finally {
    rmSync(dir, { recursive: true, force: true });
  }
}

export interface Sample {
  readonly metric: Readonly<Record<string, string>>;
  readonly value: readonly [number, string];
}

/** A real Prometheus that scrapes one target every second. */
export interface Prometheus {
  query(expr: string): Promise<readonly Sample[]>;
  /** Name, health (`ok`) and last error of each rule. */
  rules(): Promise<readonly { readonly name: string; readonly health: string; readonly lastError?: string }[]>;
  stop(): Promise<void>;
}

export async function startPrometheus(o: {
  readonly binary: string;
  readonly target: string;
  readonly rules: unknown;
}): Promise<Prometheus> {
  const dir = mkdtempSync(join(tmpdir(), 'ci-identity-prometheus-'));
  const port = await freePort();
  writeFileSync(join(dir, 'rules.yaml'), stringify(o.rules));
  writeFileSync(
    join(dir, 'prometheus.yaml'),
    stringify({
      global: { scrape_interval: '1s', evaluation_interval: '1s' },
      rule_files: ['rules.yaml'],
      scrape_configs: [{ job_name: 'ci-identity-controller', static_configs: [{ targets: [o.target] }] }],
    }),
  );
  const args = [
    `--config.file=${join(dir, 'prometheus.yaml')}`,
    `--storage.tsdb.path=${join(dir, 'data')}`,
    `--web.listen-address=127.0.0.1:${port}`,
    '--log.level=warn',
  ];
  const child: ChildProcess = spawn(o.binary, args, { stdio: 'ignore', cwd: dir });
  const exited = new Promise((resolve) => child.once('exit', resolve));
  const ask = async <T>(path: string): Promise<T> => {
    const answer = (await (await fetch(`http://127.0.0.1:${port}/api/v1/${path}`)).json()) as {
      status: string;
      data: T;
      error?: string;
    };
    if (answer.status !== 'success') throw new Error(answer.error ?? 'it fails');
    return answer.data;
  };
  const query = async (expr: string): Promise<readonly Sample[]> => {
    const { resultType, result } = await ask<{ resultType: string; result: unknown }>(
      `query?query=${encodeURIComponent(expr)}`,
    );
    return resultType === 'scalar' ? [{ metric: {}, value: result as Sample['value'] }] : (result as readonly Sample[]);
  };
  await eventually('Prometheus has scraped twice', async () => {
    const [sample] = await query('count_over_time(up{job="ci-identity-controller"}[1m])');
    return Number(sample?.value[1] ?? 0) >= 2 ? true : undefined;
  });
  return {
    query,
    async rules() {
      const { groups } = await ask<{ groups: readonly { rules: Awaited<ReturnType<Prometheus['rules']>> }[] }>('rules');
      return groups.flatMap((group) => group.rules);
    },
    async stop() {
      child.kill('SIGTERM');
      await exited;
      rmSync(dir, { recursive: true, force: true });
    },
  };
}

function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const probe = createServer()
      .once('error', reject)
      .listen(0, '127.0.0.1', () => {
        const address = probe.address();
        probe.close(() => resolve(typeof address === 'object' && address !== null ? address.port : 0));
      });
  });
}
