import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test from 'ava';
import { stringify } from 'yaml';
import { OperatorError } from '#src/errors.ts';
import { loadConfig } from '#src/kube/kubeconfig.ts';

const dir = mkdtempSync(join(tmpdir(), 'kubeconfig-'));
test.after.always(() => rmSync(dir, { recursive: true }));

let files = 0;

function write(cluster: object, user: object): string {
  const path = join(dir, `${(files += 1)}.yaml`);
  writeFileSync(
    path,
    stringify({
      'current-context': 'c',
      clusters: [{ name: 'k', cluster: { server: 'https://127.0.0.1:6443', ...cluster } }],
      users: [{ name: 'u', user }],
      contexts: [
        { name: 'c', context: { cluster: 'k', user: 'u' } },
        { name: 'broken', context: { cluster: 'k', user: 'nobody' } },
      ],
    }),
  );
  return path;
}

const refused = [
  ['plain http', { server: 'http://127.0.0.1:8080' }, /without TLS/],
  ['no verification', { 'insecure-skip-tls-verify': true }, /skips TLS verification/],
  ['a proxy', { 'proxy-url': 'http://proxy:3128' }, /proxy-url/],
  ['no URL', { server: 'nowhere' }, /no usable server URL/],
] as const;

for (const [name, cluster, message] of refused) {
  test(`${name} is refused`, (t) => {
    const error = t.throws(() => loadConfig({ kubeconfig: write(cluster, { token: 'hunter2' }) }), {
      instanceOf: OperatorError,
      message,
    });
    t.is(error?.reason, 'ConfigurationInvalid');
  });
}

test('a file that is missing, no kubeconfig, or has no such context is refused with a sentence', (t) => {
  writeFileSync(join(dir, 'text'), '- hunter2');
  const kubeconfig = write({}, { token: 'x' });
  t.throws(() => loadConfig({ kubeconfig: join(dir, 'none') }), { message: /cannot be read/ });
  t.throws(() => loadConfig({ kubeconfig: join(dir, 'text') }), { instanceOf: OperatorError });
  t.throws(() => loadConfig({ kubeconfig, context: 'absent' }), {
    message: /has no context absent with a cluster and a user; those that it has: \w+/,
  });
  t.throws(() => loadConfig({ kubeconfig, context: 'broken' }), { message: /has no context broken/ });
});

test('no kubeconfig outside a pod says what to do', (t) => {
  t.throws(() => loadConfig({}), { message: /pass --kubeconfig/ });
});

test('in a pod the environment says where the API server is', (t) => {
  for (const [host, origin] of [
    ['10.96.0.1', 'https://10.96.0.1:6443'],
    ['fd00::1', 'https://[fd00::1]:6443'],
  ] as const) {
    const environment = { KUBERNETES_SERVICE_HOST: host, KUBERNETES_SERVICE_PORT: '6443' };
    t.is(loadConfig({ environment }).server.origin, origin);
  }
});

test('a bearer token, a user name with password, client certificates and CA', async (t) => {
  const bearer = await loadConfig({ kubeconfig: write({}, { token: 'abc' }) }).authenticate();
  t.deepEqual(bearer, { headers: { authorization: 'Bearer abc' }, tls: {} });
  const basic = await loadConfig({ kubeconfig: write({}, { username: 'a', password: 'b' }) }).authenticate();
  t.is(basic.headers['authorization'], 'Basic YTpi');
  const data = (text: string): string => Buffer.from(text).toString('base64');
  const cluster = { 'certificate-authority-data': data('CA'), 'tls-server-name': 'kubernetes' };
  const user = { 'client-certificate-data': data('CERT'), 'client-key-data': data('KEY') };
  const mutual = await loadConfig({ kubeconfig: write(cluster, user) }).authenticate();
  t.deepEqual(mutual, { headers: {}, tls: { ca: 'CA', cert: 'CERT', key: 'KEY', servername: 'kubernetes' } });
});

test('a tokenFile, relative to the kubeconfig, wins over a token and is read again each time', async (t) => {
  const kubeconfig = write({}, { token: 'old', tokenFile: 'token' });
  writeFileSync(join(dir, 'token'), 'zeroth');
  const config = loadConfig({ kubeconfig });
  for (const token of ['first', 'second']) {
    writeFileSync(join(dir, 'token'), `${token}\n`);
    t.is((await config.authenticate()).headers['authorization'], `Bearer ${token}`);
  }
});

test('an exec plugin gives its token', async (t) => {
  const credential = {
    apiVersion: 'client.authentication.k8s.io/v1',
    kind: 'ExecCredential',
    status: { token: 'from-plugin' },
  };
  const exec = {
    apiVersion: 'client.authentication.k8s.io/v1',
    command: 'echo',
    args: [JSON.stringify(credential)],
    interactiveMode: 'Never',
  };
  const { headers } = await loadConfig({ kubeconfig: write({}, { exec }) }).authenticate();
  t.is(headers['authorization'], 'Bearer from-plugin');
});

test('a plugin that fails is a sentence without its output', async (t) => {
  const exec = {
    apiVersion: 'client.authentication.k8s.io/v1',
    command: 'sh',
    args: ['-c', 'echo hunter2 >&2; exit 1'],
  };
  const error = await t.throwsAsync(loadConfig({ kubeconfig: write({}, { exec }) }).authenticate(), {
    instanceOf: OperatorError,
  });
  t.regex(error?.message ?? '', /exec plugin/);
  t.notRegex(error?.message ?? '', /hunter2/);
});

test('several files, as $KUBECONFIG has them: the first that names something wins', (t) => {
  const first = write({}, { token: 'first' });
  const second = join(dir, 'second.yaml');
  writeFileSync(
    second,
    stringify({
      'current-context': 'other',
      clusters: [
        { name: 'k', cluster: { server: 'https://127.0.0.1:1' } },
        { name: 'l', cluster: { server: 'https://127.0.0.1:2' } },
      ],
      users: [{ name: 'v', user: { token: 'second' } }],
      contexts: [{ name: 'other', context: { cluster: 'l', user: 'v', namespace: 'ci-payments' } }],
    }),
  );
  const joined = loadConfig({ kubeconfig: [first, second] });
  t.is(joined.server.port, '6443');
  t.is(joined.context, 'c');
  const other = loadConfig({ kubeconfig: [first, second], context: 'other' });
  t.is(other.server.port, '2');
  t.is(other.namespace, 'ci-payments');
});
