/** Settings of which only using them shows that they are unusable: the program ends with a sentence and exit code 2, and prints no stack. */
import test from 'ava';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { type AddressInfo, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type OperatorOptions, startOperator } from '#test/support/operator-process.ts';

const good = 'apiVersion: config.ci-identity.dev/v1alpha1\nkind: ControllerConfiguration\n';
const kubeconfig = (server: string): string =>
  JSON.stringify({
    apiVersion: 'v1',
    kind: 'Config',
    clusters: [{ name: 'a', cluster: { server } }],
    users: [{ name: 'a', user: { token: 'hush-hush-hush' } }],
    contexts: [{ name: 'a', context: { cluster: 'a', user: 'a' } }],
    'current-context': 'a',
  });

interface Files {
  readonly dir: string;
  readonly kubeconfig: string;
  readonly configFile: string;
}

const rows: readonly (readonly [string, (files: Files) => Partial<OperatorOptions>, RegExp])[] = [
  [
    'no configuration file',
    ({ dir }) => ({ configFile: join(dir, 'nothing.yaml') }),
    /^ci-identity-operator: \S+nothing\.yaml: cannot be read: ENOENT/,
  ],
  [
    'no kubeconfig',
    ({ dir }) => ({ kubeconfig: join(dir, 'nothing') }),
    /^ci-identity-operator: kubeconfig \S+nothing cannot be read; check the path and that it is a kubeconfig\n$/,
  ],
  [
    'an API server without TLS',
    ({ dir }) => {
      const file = join(dir, 'plain');
      writeFileSync(file, kubeconfig('http://127.0.0.1:1'));
      return { kubeconfig: file };
    },
    /^ci-identity-operator: kubeconfig \S+plain .*https/,
  ],
  [
    'an audit file that cannot be written',
    ({ dir }) => ({ auditPath: join(dir, 'no', 'such', 'audit.log') }),
    /^ci-identity-operator: \S+audit\.log cannot be opened \(ENOENT\); check --audit-path and audit\.path\n$/,
  ],
];

function withFiles(t: { teardown(fn: () => void): void }): Files {
  const dir = mkdtempSync(join(tmpdir(), 'ci-identity-start-'));
  t.teardown(() => rmSync(dir, { recursive: true, force: true }));
  const files = { dir, kubeconfig: join(dir, 'kubeconfig'), configFile: join(dir, 'config.yaml') };
  writeFileSync(files.kubeconfig, kubeconfig('https://127.0.0.1:1'));
  writeFileSync(files.configFile, good);
  return files;
}

async function ended(options: OperatorOptions): Promise<readonly [number | null, string]> {
  const process = startOperator(options);
  const { code } = await process.exited;
  return [code, process.log()];
}

for (const [name, change, says] of rows) {
  test.serial(`${name}: exit code 2 and a sentence`, async (t) => {
    const files = withFiles(t);
    const [code, text] = await ended({ ...files, ...change(files) });
    t.is(code, 2, text);
    t.regex(text, says);
    t.notRegex(text, /^ +at |hush/m);
  });
}

test.serial('a port that is taken: exit code 2 and which one', async (t) => {
  const files = withFiles(t);
  const taken = createServer();
  await new Promise<void>((resolve) => void taken.listen(0, '127.0.0.1', resolve));
  t.teardown(() => taken.close());
  const { port } = taken.address() as AddressInfo;
  const [code, text] = await ended({ ...files, healthPort: port });
  t.is(code, 2, text);
  t.regex(
    text,
    new RegExp(`ci-identity-operator: port ${port} cannot be listened on \\(EADDRINUSE\\); choose another`),
  );
});
