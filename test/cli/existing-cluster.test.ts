/** `npm run quickstart -- --kubeconfig …` on a cluster of somebody else: asks first, cleans up, touches nothing that was there. */
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import test from 'ava';
import { parse, stringify } from 'yaml';
import { type Cluster, startCluster } from '#test/cluster/cluster.ts';
import { createAuthority } from '#test/cluster/x509.ts';
import { stopAfterwards } from '#test/support/hooks.ts';
import { contentsOf, quickstart } from '#test/quickstart/foreign-cluster.ts';

let cluster: Cluster;
let before: readonly string[];

test.before(async () => {
  cluster = await startCluster();
  before = await contentsOf(cluster);
});

stopAfterwards(() => [cluster]);

test.serial('without a terminal and without --yes nothing is created; what would be is shown', async (t) => {
  const { code, out } = await quickstart(['--kubeconfig', cluster.kubeconfig]);
  t.is(code, 1, out);
  t.regex(out, /CustomResourceDefinition: ciidentities\.ci-identity\.dev, identitypools/);
  t.regex(out, /nobody can be asked, because standard input is no terminal: say --yes if this is meant/);
  t.deepEqual(await contentsOf(cluster), before);
});

test.serial('somebody who is no administrator is told so', async (t) => {
  const kubeconfig = await cluster.kubeconfigFor('eve', ['developers']);
  const { code, out } = await quickstart(['--kubeconfig', kubeconfig, '--yes']);
  t.is(code, 1, out);
  t.regex(out, /takes a cluster administrator, and this user is none: use another context/);
});

interface Parts {
  readonly cluster?: object;
  readonly user?: object;
  readonly context?: object;
  readonly current?: string;
}

/** The administrator's kubeconfig, changed. */
function strange(name: string, { cluster: at = {}, user, context = {}, current = 'mine' }: Parts): string {
  const { clusters, users } = parse(readFileSync(cluster.kubeconfig, 'utf8')) as {
    readonly clusters: readonly { readonly cluster: object }[];
    readonly users: readonly { readonly user: object }[];
  };
  return written(name, {
    clusters: [{ name: 'there', cluster: { ...clusters[0]?.cluster, ...at } }],
    users: [{ name: 'me', user: user ?? users[0]?.user }],
    contexts: [{ name: 'mine', context: { cluster: 'there', user: 'me', ...context } }],
    'current-context': current,
  });
}

function written(name: string, content: object | string): string {
  const file = join(cluster.dir, `strange-${name}`);
  writeFileSync(
    file,
    typeof content === 'string' ? content : stringify({ apiVersion: 'v1', kind: 'Config', ...content }),
  );
  return file;
}

const plugin = { apiVersion: 'client.authentication.k8s.io/v1', command: '/nowhere/login', interactiveMode: 'Never' };
const ofAnother = Buffer.from(createAuthority('another').certificate).toString('base64');

for (const [name, file, says] of [
  ['missing', () => '/nowhere/config', /kubeconfig \/nowhere\/config cannot be read; check the path/],
  ['several, and all are missing', () => '/nowhere/a:/nowhere/b', /names no file that is there: "\/nowhere\/a:/],
  ['empty, as an unset variable', () => '', /names no file that is there: ""/],
  ['no YAML', () => written('text', 'a: b: c'), /cannot be read; check the path and that it is a kubeconfig/],
  [
    'without a current context',
    () => strange('current', { current: '' }),
    /has no context \(none is current\) with a cluster and a user; those that it has: mine/,
  ],
  ['without TLS', () => strange('http', { cluster: { server: 'http://127.0.0.1:1' } }), /names a server without TLS/],
  [
    'of an API server that is away',
    () => strange('away', { cluster: { server: 'https://127.0.0.1:1' } }),
    /the API server at https:\/\/127\.0\.0\.1:1 \(context mine\) cannot be reached; see whether it is up: .*refused/,
  ],
  [
    'that trusts another authority',
    () => strange('authority', { cluster: { 'certificate-authority-data': ofAnother } }),
    /has a certificate that is not accepted; compare the kubeconfig and the clocks: .*x509/,
  ],
  [
    'with credentials that expired',
    () => strange('expired', { user: { token: 'expired' } }),
    /does not accept these credentials; they may have expired, so log in again/,
  ],
  [
    'with a login program that is not there',
    () => strange('plugin', { user: { exec: plugin } }),
    /there are no credentials for it; log in: .*\/nowhere\/login/,
  ],
] as const) {
  test.serial(`a kubeconfig ${name}: one sentence says so, and nothing is created`, async (t) => {
    const { code, out } = await quickstart(['--kubeconfig', file(), '--yes']);
    t.is(code, 1, out);
    t.regex(out, says);
    t.is(out.trim().split('\n').length, 1, out);
  });
}

test.serial('a context without a kubeconfig: nothing is told at all', async (t) => {
  const { code, out } = await quickstart(['--context', 'mine']);
  t.is(code, 2);
  t.is(out, '--context goes together with --kubeconfig: without it the story is told on a cluster of its own\n');
});

for (const [what, types, code, says] of [
  ['no', 'n\r', 1, /Nothing was created, as you wish\./],
  ['nothing', '\r', 1, /Nothing was created, as you wish\./],
  ['Ctrl-D', '\u0004', 1, /Nothing was created, as you wish\./],
  ['Ctrl-C', '\u0003', 130, /Interrupted; nothing is left behind\./],
] as const) {
  test.serial(`asked at a terminal, somebody types ${what}: nothing is created`, async (t) => {
    const acts = [{ at: /\[y\/N\]/, does: { types } }];
    const ended = await quickstart(['--kubeconfig', cluster.kubeconfig], acts, { terminal: true });
    t.is(ended.code, code, ended.out);
    t.regex(ended.out, says);
    t.deepEqual(await contentsOf(cluster), before);
  });
}

/** As $KUBECONFIG has it where several tools write one each: none says which context, one is not there, and the namespace is of another cluster. */
const pieces = (): readonly string[] => {
  const { clusters, users, contexts } = parse(
    readFileSync(strange('whole', { context: { namespace: 'elsewhere' } }), 'utf8'),
  ) as Record<string, unknown>;
  const files = [written('clusters', { clusters }), '/nowhere/config', written('users', { users, contexts })];
  return ['--kubeconfig', files.join(':'), '--context', 'mine'];
};

const removing = { at: /Removing what was created/, does: 'SIGINT' } as const;

for (const [moment, kubeconfig, acts, code] of [
  [
    'Ctrl-C while it installs',
    () => ['--kubeconfig', cluster.kubeconfig],
    [{ at: /is created and never scheduled/, does: 'SIGINT' }],
    130,
  ],
  [
    'the terminal closes while the operator starts, and somebody presses Ctrl-C while that is removed',
    () => ['--kubeconfig', cluster.kubeconfig],
    [{ at: /Identity provider up/, does: 'SIGHUP' }, removing],
    129,
  ],
  [
    'by a kubeconfig in pieces, SIGTERM while a pod holds a token',
    pieces,
    [{ at: /Token delivered/, does: 'SIGTERM' }, removing],
    143,
  ],
] as const) {
  test.serial(`${moment}: everything goes that was created`, async (t) => {
    const { code: ended, out } = await quickstart([...kubeconfig(), '--yes'], acts);
    t.is(ended, code, out);
    t.regex(out, /Removed; the cluster is as it was before\./);
    t.regex(out, /Interrupted; nothing is left behind\.\n$/);
    t.deepEqual(await contentsOf(cluster), before, out);
  });
}

test.serial(
  'where something of it is there already, or comes while somebody is asked, it does nothing at all',
  async (t) => {
    let mine: readonly string[] = [];
    const after = async (): Promise<void> => {
      const role = ['create', 'clusterrole', 'ci-identity-view', '--verb=get', '--resource=pods'];
      const { code, stderr } = await cluster.kubectlRun(role);
      t.is(code, 0, stderr);
      mine = await contentsOf(cluster);
    };
    const acts = [{ at: /\[y\/N\]/, does: { types: 'y\r', after } }];
    const asked = await quickstart(['--kubeconfig', cluster.kubeconfig], acts, { terminal: true });
    const again = await quickstart(['--kubeconfig', cluster.kubeconfig, '--yes']);
    for (const { code, out } of [asked, again]) {
      t.is(code, 1, out);
      t.regex(out, /is there already, and it never touches what it did not create: clusterrole.*\/ci-identity-view/);
    }
    t.deepEqual(await contentsOf(cluster), mine);
  },
);
