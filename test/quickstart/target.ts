import { existsSync } from 'node:fs';
import { delimiter } from 'node:path';
import { run } from '#test/cluster/run.ts';
import { loadConfig } from '#src/kube/kubeconfig.ts';

/** The cluster that a kubeconfig of somebody else means. */
export interface Target {
  readonly server: string;
  readonly context: string;
  /** Of kubectl, before all others. */
  readonly args: readonly string[];
  readonly env: NodeJS.ProcessEnv;
}

/**
 * `kubeconfig`: one file, or several as $KUBECONFIG has them. Throws a sentence where they lead nowhere, or to an API server with which the
 * operator would not speak.
 */
export function targetOf(kubeconfig: string, context?: string): Target {
  const named = kubeconfig.split(delimiter).filter((file) => file !== '');
  // As kubectl does it: of several, those that are not there are passed over.
  const files = named.length > 1 ? named.filter((file) => existsSync(file)) : named;
  if (files.length === 0) throw new Error(`--kubeconfig names no file that is there: "${kubeconfig}"`);
  const config = loadConfig({ kubeconfig: files, ...(context === undefined ? {} : { context }) });
  return {
    server: config.server.href.replace(/\/$/, ''),
    context: config.context,
    args: [`--context=${config.context}`],
    env: { ...process.env, KUBECONFIG: files.join(delimiter) },
  };
}

/** What kubectl calls a version, once the API server answers to these credentials. Throws a sentence where it does not. */
export async function versionOf(program: string, { args, env, server, context }: Target): Promise<unknown> {
  const { stdout, stderr, code } = await run(program, [...args, 'version', '-o', 'json', '--request-timeout=20s'], {
    env,
    detached: true,
  });
  if (code === 0) return JSON.parse(stdout);
  const said = lastLine(stderr);
  const [, why = 'does not tell its version'] = reasons.find(([pattern]) => pattern.test(said)) ?? [];
  throw new Error(`the API server at ${server} (context ${context}) ${why}: ${said}`);
}

/** In this order: kubectl also says that it is unable to connect where it has no credentials to connect with. */
const reasons: readonly (readonly [RegExp, string])[] = [
  [/getting credentials|exec plugin|auth provider/, 'was not asked, because there are no credentials for it; log in'],
  [
    /Unauthorized|logged in|provide credentials/,
    'does not accept these credentials; they may have expired, so log in again',
  ],
  [/x509|certificate|tls:/, 'has a certificate that is not accepted; compare the kubeconfig and the clocks'],
  [/[Ff]orbidden/, 'does not let this user look; use another context'],
  [
    /refused|time|no such host|no route|unreachable|EOF|[Uu]nable to connect/,
    'cannot be reached; see whether it is up',
  ],
];

/** Before it, kubectl tells each attempt as a log line. */
function lastLine(stderr: string): string {
  const lines = stderr.split('\n').filter((line) => line.trim() !== '' && !/^[EWI]\d{4} /.test(line));
  return (lines.at(-1) ?? stderr.trim()).replace(/^(error|Error from server( \(\w+\))?): /, '');
}
