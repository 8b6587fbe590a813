import { spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';

export interface Said {
  readonly code: number | null;
  readonly out: string;
  readonly error: string;
}

const mainFile = fileURLToPath(new URL('../../src/main.ts', import.meta.url));

/** Runs the real program and waits for its end. */
export function run(
  command: string,
  args: readonly string[],
  o: { readonly environment?: Readonly<Record<string, string | undefined>>; readonly input?: string } = {},
): Promise<Said> {
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, { env: { ...o.environment }, stdio: ['pipe', 'pipe', 'pipe'] });
    let [out, error] = ['', ''];
    child.stdout.setEncoding('utf8').on('data', (text: string) => (out += text));
    child.stderr.setEncoding('utf8').on('data', (text: string) => (error += text));
    child.stdin.on('error', () => undefined).end(o.input ?? '');
    child.once('error', reject).once('close', (code) => resolve({ code, out, error }));
  });
}

/** The plugin with this kubeconfig, as its own process. */
export function plugin(kubeconfig: string, args: readonly string[], input?: string): Promise<Said> {
  return run(process.execPath, [mainFile, ...args], {
    environment: { KUBECONFIG: kubeconfig, HOME: '/nonexistent' },
    ...(input === undefined ? {} : { input }),
  });
}
