import { type ChildProcess, spawn } from 'node:child_process';
import { closeSync, openSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { patience } from './eventually.ts';

export interface OperatorOptions {
  readonly kubeconfig: string;
  readonly configFile: string;
  /** Where `operator.log` and `audit.log` go. */
  readonly dir: string;
  readonly logLevel?: string;
  readonly id?: string;
  /** `<effect>:<before|after>[:<n>]`: the process kills itself there (SIGKILL), the nth time that it comes by; default the first. */
  readonly crashAt?: string;
  readonly metricsPort?: number;
  readonly healthPort?: number;
  readonly environment?: Readonly<Record<string, string>>;
  /** In a session of its own, so that no Ctrl-C reaches it. */
  readonly detached?: boolean;
  /** Another file for audit lines than `<dir>/<name>.audit`. */
  readonly auditPath?: string;
}

/** The real program, as its own process: `node src/main.ts controller …`. */
export interface OperatorProcess {
  readonly pid: number;
  readonly args: readonly string[];
  readonly environment: Readonly<Record<string, string | undefined>>;
  readonly logFile: string;
  readonly auditFile: string;
  /** Ports, known once the process says that it listens. */
  ports(): Promise<{ readonly metrics: number; readonly health: number }>;
  /** Resolves when `/readyz` answers 200. */
  ready(timeoutMs?: number): Promise<void>;
  readonly exited: Promise<{ readonly code: number | null; readonly signal: NodeJS.Signals | null }>;
  log(): string;
  audit(): string;
  stop(signal?: NodeJS.Signals): Promise<void>;
}

const main = fileURLToPath(new URL('../../src/main.ts', import.meta.url));
const deployment = readFileSync(new URL('../../manifests/controller/deployment.yaml', import.meta.url), 'utf8');
/** What the Deployment gives to Node and glibc, so that memory is what it is there. */
const given = Object.fromEntries(
  [...deployment.matchAll(/{ name: (\w+), value: "?([^"}]+?)"? }/g)].map(([, name, value]) => [name, value]),
) as Readonly<Record<string, string>>;
let started = 0;

function argumentsOf(options: OperatorOptions, id: string, auditFile: string): readonly string[] {
  return [
    main,
    'controller',
    `--kubeconfig=${options.kubeconfig}`,
    `--config=${options.configFile}`,
    '--namespace=ci-identity-system',
    `--id=${id}`,
    `--metrics-address=127.0.0.1:${options.metricsPort ?? 0}`,
    `--health-address=127.0.0.1:${options.healthPort ?? 0}`,
    `--audit-path=${auditFile}`,
    ...(options.logLevel === undefined ? [] : [`--log-level=${options.logLevel}`]),
  ];
}

function environmentOf({ environment, crashAt }: OperatorOptions): OperatorProcess['environment'] {
  return {
    PATH: process.env['PATH'],
    HOME: process.env['HOME'],
    ...given,
    ...environment,
    NODE_OPTIONS: `${given['NODE_OPTIONS'] ?? ''} ${environment?.['NODE_OPTIONS'] ?? ''}`,
    ...(crashAt === undefined ? {} : { CI_IDENTITY_OPERATOR_CRASH_AT: crashAt }),
  };
}

export function startOperator(options: OperatorOptions): OperatorProcess {
  started += 1;
  const name = `operator-${process.pid}-${started}`;
  const logFile = join(options.dir, `${name}.log`);
  const auditFile = options.auditPath ?? join(options.dir, `${name}.audit`);
  const args = argumentsOf(options, options.id ?? name, auditFile);
  const environment = environmentOf(options);
  const log = openSync(logFile, 'a');
  const child: ChildProcess = spawn(process.execPath, args, {
    stdio: ['ignore', log, log],
    env: environment,
    detached: options.detached ?? false,
  });
  closeSync(log);
  const exited = new Promise<{ code: number | null; signal: NodeJS.Signals | null }>((resolve) => {
    child.once('exit', (code, signal) => resolve({ code, signal }));
  });
  let over = false;
  void exited.then(() => (over = true));
  const read = (file: string): string => {
    try {
      return readFileSync(file, 'utf8');
    } catch {
      return '';
    }
  };
  const ports = async (): Promise<{ metrics: number; health: number }> => {
    for (;;) {
      const match = /"healthPort":(\d+).*?"metricsPort":(\d+)/.exec(read(logFile));
      if (match !== null) return { health: Number(match[1]), metrics: Number(match[2]) };
      if (over) throw new Error(`the operator ended before it listened: ${read(logFile).slice(-2_000)}`);
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  };
  return {
    pid: child.pid ?? 0,
    args,
    environment,
    logFile,
    auditFile,
    ports,
    async ready(timeoutMs = 30_000) {
      const { health } = await ports();
      const until = Date.now() + patience * timeoutMs;
      let text = '';
      while (Date.now() < until && !over) {
        const answer = await fetch(`http://127.0.0.1:${health}/readyz`).catch(() => undefined);
        if (answer?.status === 200) return;
        text = (await answer?.text()) ?? '';
        await new Promise((resolve) => setTimeout(resolve, 30));
      }
      throw new Error(`the operator did not get ready: ${text}\n${read(logFile).slice(-3_000)}`);
    },
    exited,
    log: () => read(logFile),
    audit: () => read(auditFile),
    async stop(signal = 'SIGTERM') {
      if (!over) child.kill(signal);
      await exited;
    },
  };
}
