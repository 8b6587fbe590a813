/** A cluster that belongs to somebody else, and the quickstart as a process that is let loose on it. */
import { spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import type { Cluster } from '#test/cluster/cluster.ts';

const kinds = [
  'customresourcedefinitions',
  'namespaces',
  'clusterroles',
  'clusterrolebindings',
  'mutatingadmissionpolicies',
  'mutatingadmissionpolicybindings',
  'validatingadmissionpolicies',
  'validatingadmissionpolicybindings',
  'roles',
  'rolebindings',
  'serviceaccounts',
  'secrets',
  'pods',
  'events',
];

/** Everything in the cluster that the quickstart might create or remove, one line each. */
export async function contentsOf(cluster: Cluster): Promise<readonly string[]> {
  const path = '{range .items[*]}{.kind}{.involvedObject.kind} {.metadata.namespace}/{.metadata.name}{"\\n"}{end}';
  const { stdout, stderr, code } = await cluster.kubectlRun(['get', kinds.join(), '-A', '-o', `jsonpath=${path}`]);
  if (code !== 0) throw new Error(stderr);
  const lines = stdout.split('\n').filter((line) => line !== '');
  // What Kubernetes makes for itself is still appearing in a cluster that has just begun.
  const own = /^\S+ kube-|^Event(?!IdentityPool|ScopePolicy)|^ServiceAccount default\//;
  return lines.filter((line) => !own.test(line)).toSorted();
}

const main = fileURLToPath(new URL('main.ts', import.meta.url));

export interface Ended {
  readonly code: number | null;
  readonly out: string;
}

/** What somebody does once the output matches: a signal, or what he types, perhaps after something else. */
export interface Act {
  readonly at: RegExp;
  readonly does: NodeJS.Signals | { readonly types: string; readonly after?: () => Promise<unknown> };
}

/** Runs it to its end, and does `acts` one after the other; with `terminal` it has one, as far as it can tell. */
export function quickstart(
  args: readonly string[],
  acts: readonly Act[] = [],
  { terminal = false } = {},
): Promise<Ended> {
  const line = [process.execPath, main, ...args];
  const [program = '', ...rest] = terminal
    ? ['script', '-qefc', line.map((word) => `'${word}'`).join(' '), '/dev/null']
    : line;
  return new Promise((resolve, reject) => {
    const child = spawn(program, rest, { stdio: [terminal ? 'pipe' : 'ignore', 'pipe', 'pipe'] });
    const left = [...acts];
    let out = '';
    const take = (text: string): void => {
      out += text;
      if (left[0]?.at.test(out) !== true) return;
      const { does } = left.shift() as Act;
      if (typeof does === 'string') child.kill(does);
      else void (does.after?.() ?? Promise.resolve()).then(() => child.stdin?.write(does.types), reject);
    };
    child.stdout?.setEncoding('utf8').on('data', take);
    child.stderr?.setEncoding('utf8').on('data', take);
    child.once('error', reject).once('close', (code) => resolve({ code, out }));
  });
}
