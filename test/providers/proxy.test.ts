/** An issuer behind an HTTP proxy: calls go through it, and it is no way around what the operator may call. */
import { createServer, type Server } from 'node:http';
import { type AddressInfo, connect, type Socket } from 'node:net';
import { promisify } from 'node:util';
import test, { type ExecutionContext } from 'ava';
import type { IssuerSettings } from '#src/providers/issuers.ts';
import { surelyWithoutEffect } from '#src/providers/no-effect.ts';
import { ask, desired, failure, registered, signal } from './contract.ts';
import { issuerAt } from './contract-issuer.ts';
import { startOidcProvider } from './oidc-provider.ts';

const audience = 'https://registry.example.com';

interface Proxy {
  readonly url: string;
  /** What it was asked to connect to. */
  readonly asked: readonly string[];
  /** Everything that it saw of what it passed on. */
  seen(): string;
}

/** A proxy as companies have one; `answer`: it refuses so. `elsewhere`: it connects to this port instead. */
async function startProxy(
  t: ExecutionContext,
  { answer, elsewhere }: { readonly answer?: string; readonly elsewhere?: number } = {},
): Promise<Proxy> {
  const asked: string[] = [];
  const bytes: Buffer[] = [];
  const sockets = new Set<Socket>();
  const server: Server = createServer();
  server.on('connect', ({ url = '' }, socket: Socket) => {
    sockets.add(socket);
    asked.push(url);
    if (answer !== undefined) return socket.end(`HTTP/1.1 ${answer}\r\ncontent-length: 0\r\n\r\n`);
    const at = url.lastIndexOf(':');
    const there = connect(elsewhere ?? Number(url.slice(at + 1)), url.slice(0, at));
    sockets.add(there);
    for (const one of [socket, there]) one.on('error', () => [socket, there].forEach((each) => each.destroy()));
    socket.on('data', (chunk: Buffer) => bytes.push(chunk));
    there.once('connect', () => {
      socket.write('HTTP/1.1 200 Connection established\r\n\r\n');
      socket.pipe(there).pipe(socket);
    });
    return undefined;
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  t.teardown(async () => {
    for (const socket of sockets) socket.destroy();
    await promisify(server.close.bind(server))();
  });
  const { port } = server.address() as AddressInfo;
  return { url: `http://127.0.0.1:${port}`, asked, seen: () => Buffer.concat(bytes).toString('latin1') };
}

async function setUp(t: ExecutionContext, options: { readonly host?: string } = {}) {
  const provider = await startOidcProvider(options);
  t.teardown(() => provider.stop());
  const issuer = (change: Partial<IssuerSettings>) => {
    const made = issuerAt(provider, 'Generic', provider.initialAccessToken, change);
    t.teardown(() => made.close());
    return made;
  };
  return { provider, issuer };
}

test('every call goes through it, TLS end to end, to an address that was resolved here', async (t) => {
  const { provider, issuer } = await setUp(t, { host: 'localhost' });
  const proxy = await startProxy(t);
  const there = issuer({ proxyUrl: proxy.url });
  const { client, tokens, key } = await registered({ issuer: there, scopes: ['artifacts:publish', 'x'], audience });
  const { value } = await tokens.mint(ask(audience, 'artifacts:publish'), client.clientId, key, signal());
  t.is(await tokens.revoke(value, client.clientId, key, signal()), 'Confirmed');
  const port = new URL(provider.issuer).port;
  t.true(proxy.asked.length > 0);
  t.deepEqual([...new Set(proxy.asked)], [`127.0.0.1:${port}`], 'an address, never a name');
  for (const text of [provider.initialAccessToken, value.reveal(), 'client_assertion', '/token'])
    t.false(proxy.seen().includes(text), 'it sees nothing of what passes');
});

test('what may not be called is not asked of it: a private name, a private address, an address for credentials', async (t) => {
  const { provider, issuer } = await setUp(t, { host: 'localhost' });
  const proxy = await startProxy(t);
  const port = new URL(provider.issuer).port;
  for (const url of [
    provider.issuer,
    `https://127.0.0.1:${port}`,
    'https://169.254.169.254',
    'https://[fd00:ec2::254]',
  ])
    t.is(
      (await failure(t, issuer({ url, allowPrivateNetwork: false, proxyUrl: proxy.url }).ready(signal()))).reason,
      'AddressNotAllowed',
      url,
    );
  t.deepEqual(proxy.asked, []);
});

const refusals = {
  '403 Forbidden': /does not let the call through/,
  '407 Proxy Authentication Required': /let the call/,
};
for (const [answer, sentence] of Object.entries(refusals)) {
  test(`it answers ${answer}: a sentence, and surely nothing was sent`, async (t) => {
    const { issuer } = await setUp(t);
    const proxy = await startProxy(t, { answer });
    const error = await failure(t, issuer({ proxyUrl: proxy.url }).ready(signal()));
    t.deepEqual([error.class, error.reason, error.whose], ['Transient', 'ProviderUnavailable', 'Issuer']);
    t.regex(error.message, sentence);
    t.true(surelyWithoutEffect(error));
  });
}

test('it is not there: the sentence says that it is the proxy', async (t) => {
  const { issuer } = await setUp(t);
  const error = await failure(t, issuer({ proxyUrl: 'http://127.0.0.1:9' }).ready(signal()));
  t.is(error.reason, 'ProviderUnavailable');
  t.regex(error.message, /the proxy of this issuer \(proxyUrl\) does not answer/);
  t.true(surelyWithoutEffect(error));
});

test('it connects to somebody else: the certificate tells', async (t) => {
  const { issuer } = await setUp(t);
  const other = await startOidcProvider();
  t.teardown(() => other.stop());
  const proxy = await startProxy(t, { elsewhere: Number(new URL(other.issuer).port) });
  t.is((await failure(t, issuer({ proxyUrl: proxy.url }).ready(signal()))).reason, 'TlsInvalid');
});

test('proxy variables of the environment are not followed', async (t) => {
  const { issuer } = await setUp(t);
  const proxy = await startProxy(t);
  const before = process.env['HTTPS_PROXY'];
  process.env['HTTPS_PROXY'] = proxy.url;
  t.teardown(() => {
    if (before === undefined) delete process.env['HTTPS_PROXY'];
    else process.env['HTTPS_PROXY'] = before;
  });
  const there = issuer({});
  const { clients } = there.provider({ audienceBy: 'Profile' });
  await clients!.register(desired({ audience }, ['artifacts:publish'], await there.generateKey()), signal());
  t.deepEqual(proxy.asked, []);
});
