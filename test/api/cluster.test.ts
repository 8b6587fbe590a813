import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test from 'ava';
import { attachCluster, startCluster } from '#test/cluster/cluster.ts';
import { processesOf, signal } from '#test/cluster/processes.ts';
import { run } from '#test/cluster/run.ts';
import { waitFor } from '#test/cluster/wait.ts';

const main = join(import.meta.dirname, '../cluster/main.ts');
const cli = (...args: string[]) => run(process.execPath, [main, ...args]);

/** Another process that owns a cluster, and the cluster's directory. */
async function ownerOfCluster(): Promise<{ child: ChildProcess; dir: string }> {
  const program = `
    import { startCluster } from ${JSON.stringify(join(import.meta.dirname, '../cluster/cluster.ts'))};
    console.log((await startCluster()).dir);
    setInterval(() => {}, 1000);`;
  const child = spawn(process.execPath, ['--input-type=module', '-e', program], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const [line] = (await once(child.stdout.setEncoding('utf8'), 'data')) as [string];
  return { child, dir: line.trim() };
}

async function isGone(dir: string): Promise<boolean> {
  return !existsSync(dir) && (await processesOf(dir)).length === 0;
}

test.serial('two clusters run side by side and leave nothing', async (t) => {
  const clusters = await Promise.all([startCluster(), startCluster()]);
  const [one, two] = clusters;
  t.not(one.server, two.server);
  t.is((await one.kubectlRun(['create', 'configmap', 'only-here'])).code, 0);
  t.is((await one.kubectlRun(['get', 'configmap', 'only-here'])).code, 0);
  t.not((await two.kubectlRun(['get', 'configmap', 'only-here'])).code, 0);
  await Promise.all(clusters.map((cluster) => cluster.stop()));
  for (const { dir } of clusters) t.true(await isGone(dir));
});

test.serial('users, service accounts and a restarted API server', async (t) => {
  await using cluster = await startCluster({
    audit: true,
    apiServerFlags: ['--service-account-issuer=https://issuer.test'],
  });
  const whoAmI = async (kubeconfig: string): Promise<{ username: string; groups: string[] }> => {
    const { stdout } = await run(cluster.kubectl, ['--kubeconfig', kubeconfig, 'auth', 'whoami', '-o', 'json']);
    return JSON.parse(stdout).status.userInfo;
  };
  const jane = await whoAmI(await cluster.kubeconfigFor('jane', ['developers']));
  t.is(jane.username, 'jane');
  t.true(jane.groups.includes('developers'));
  const account = await cluster.kubeconfigForServiceAccount('default', 'default');
  t.is((await whoAmI(account)).username, 'system:serviceaccount:default:default');
  const token = /token: (\S+)/.exec(readFileSync(account, 'utf8'))?.[1] ?? '';
  t.is(JSON.parse(Buffer.from(token.split('.')[1] ?? '', 'base64url').toString()).iss, 'https://issuer.test');
  t.true(readFileSync(cluster.audit!, 'utf8').includes('"jane"'));

  await cluster.kubectlRun(['create', 'configmap', 'kept']);
  await cluster.restartApiServer('SIGKILL');
  t.is((await cluster.kubectlRun(['get', 'configmap', 'kept'])).code, 0);
  await cluster.stopApiServer();
  t.not((await cluster.kubectlRun(['get', 'configmap', 'kept', '--request-timeout=2s'])).code, 0);
});

test.serial('a cluster goes with the process that started it, however that dies', async (t) => {
  const { child, dir } = await ownerOfCluster();
  t.false(await isGone(dir));
  child.kill('SIGKILL');
  await t.notThrowsAsync(waitFor('a clean machine', () => isGone(dir), []));
});

test.serial('what a killed process and its watchdog left goes with the next start', async (t) => {
  const { child, dir } = await ownerOfCluster();
  const children = readFileSync(`/proc/${child.pid}/task/${child.pid}/children`, 'utf8').trim().split(' ').map(Number);
  const watchdog = children.find((pid) => readFileSync(`/proc/${pid}/cmdline`, 'utf8').includes('watchdog.ts'));
  signal(watchdog!, 'SIGKILL');
  child.kill('SIGKILL');
  await once(child, 'exit');
  t.false(await isGone(dir));
  await using next = await startCluster();
  t.true(await isGone(dir));
  t.false(await isGone(next.dir));
});

test.serial('the command: up, up again, status, up after a kill -9 of everything, down', async (t) => {
  const parent = mkdtempSync(join(tmpdir(), 'cluster-test-'));
  const dir = join(parent, "it's mine");
  try {
    t.is((await cli('status', '--dir', dir)).code, 1);
    const line = `export KUBECONFIG='${parent}/it'\\''s mine/kubeconfig/administrator.yaml'\n`;
    const [first, second] = await Promise.all([cli('up', '--dir', dir), cli('up', '--dir', dir)]);
    t.deepEqual([first.stdout, second.stdout], [line, line], first.stderr + second.stderr);
    const begin = Date.now();
    t.is((await cli('up', '--dir', dir)).stdout, line);
    t.true(Date.now() - begin < 10_000, 'nothing was started');
    const status = await cli('status', '--dir', dir);
    t.is(status.code, 0);
    t.regex(status.stderr, /kube-apiserver \(\d+\)[^]*\nready\n$/);
    const attached = await attachCluster(dir);
    t.is((await attached.kubectlRun(['create', 'configmap', 'before'])).code, 0);

    for (const { pid } of await processesOf(dir)) signal(pid, 'SIGKILL');
    t.is((await cli('status', '--dir', dir)).code, 1);
    t.is((await cli('up', '--dir', dir)).stdout, line);
    t.is((await cli('down', '--dir', dir)).code, 0);
    t.true(await isGone(dir));
    t.is((await cli('down', '--dir', dir)).code, 0, 'nothing to do is no error');
  } finally {
    await cli('down', '--dir', dir);
    rmSync(parent, { recursive: true });
  }
});

test.serial('what is wrong is said before anything starts', async (t) => {
  const dir = mkdtempSync(join(tmpdir(), 'cluster-test-'));
  try {
    writeFileSync(join(dir, 'mine.txt'), 'precious');
    await t.throwsAsync(startCluster({ dir }), { message: /holds files that are not a cluster's – name a new/ });
    t.true(existsSync(join(dir, 'mine.txt')));
    const bare = { PATH: '/nowhere', XDG_CACHE_HOME: dir };
    const withoutGo = await run(process.execPath, [main, 'up'], { env: bare });
    t.is(withoutGo.code, 1);
    t.regex(withoutGo.stderr, /^etcd, .* cannot be built because Go is not on the PATH – install Go .*\n$/);
    t.is((await cli('sideways')).code, 2);
  } finally {
    rmSync(dir, { recursive: true });
  }
});
