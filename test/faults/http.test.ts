/** What a call sends over a real connection, what it makes of the answer, and for how long the connection is kept. */
import test from 'ava';
import { mkdtempSync, rmSync } from 'node:fs';
import { type AddressInfo, createServer as createPlainServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setImmediate, setTimeout } from 'node:timers/promises';
import { type Server, type TLSSocket, createServer } from 'node:tls';
import { day, second, systemClock } from '#src/clock.ts';
import { LostLeaseError, OperatorError } from '#src/errors.ts';
import { Http, type HttpOptions, type HttpRequest } from '#src/providers/http.ts';
import { surelyWithoutEffect } from '#src/providers/no-effect.ts';
import { type ServerCertificate, makeServerCertificate } from '#test/providers/certificates.ts';

const issuer = 'https://idp.example.com';
const dir = mkdtempSync(join(tmpdir(), 'ci-identity-http-'));
let certificate: ServerCertificate;

test.before(async () => {
  certificate = await makeServerCertificate(dir, ['127.0.0.1']);
});
test.after.always(() => rmSync(dir, { recursive: true, force: true }));

interface Place {
  readonly call: (change?: Partial<HttpRequest>, signal?: AbortSignal) => ReturnType<Http['send']>;
  readonly http: Http;
  readonly heard: () => string;
  readonly connections: () => number;
  readonly protocols: () => readonly unknown[];
  /** The first connection is no more. */
  readonly closed: Promise<void>;
}

/** A server that answers each request with these bytes, or never, and a client of it. */
async function place(
  t: { teardown(fn: () => Promise<void>): void },
  bytes: string | undefined,
  options: Partial<HttpOptions> = {},
): Promise<Place> {
  const sockets = new Set<TLSSocket>();
  let heard = '';
  const closed = Promise.withResolvers<void>();
  const { certPem: cert, keyPem: key } = certificate;
  const server: Server = createServer({ cert, key, ALPNProtocols: ['h2', 'http/1.1'] }, (socket) => {
    sockets.add(socket.on('error', () => {}).on('close', () => closed.resolve()));
    socket.on('data', (data) => {
      heard += data.toString();
      if (bytes !== undefined) socket.write(bytes);
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const http = new Http({
    issuer,
    clock: systemClock,
    caBundle: () => certificate.caPem,
    allowPrivateNetwork: () => true,
    ...options,
  });
  t.teardown(async () => {
    await http.close();
    for (const socket of sockets) socket.destroy();
    server.close();
  });
  const url = `https://127.0.0.1:${(server.address() as AddressInfo).port}/path?query`;
  return {
    call: (change = {}, signal = new AbortController().signal) =>
      http.send({ method: 'GET', url, maxBytes: 8, ...change }, signal),
    http,
    heard: () => heard,
    connections: () => sockets.size,
    protocols: () => [...sockets].map(({ alpnProtocol }) => alpnProtocol),
    closed: closed.promise,
  };
}

const answer = (head: string, body = '{}'): string =>
  `HTTP/1.1 ${head}\r\ncontent-length: ${body.length}\r\n\r\n${body}`;

test('a call says what it accepts and who we are, whatever else it says', async (t) => {
  const { call, heard } = await place(t, answer('200 OK'));
  const headers = {
    'accept-encoding': 'gzip',
    'user-agent': 'another',
    accept: 'text/plain',
    authorization: 'Basic x',
  };
  await call({ method: 'POST', body: 'a=b', headers });
  const [head = '', body] = heard().split('\r\n\r\n');
  t.is(body, 'a=b');
  const lines = head.split('\r\n');
  t.is(lines[0], 'POST /path?query HTTP/1.1');
  for (const line of [
    'accept: text/plain',
    'authorization: Basic x',
    'accept-encoding: identity',
    'user-agent: ci-identity-operator',
    'content-length: 3',
  ])
    t.true(lines.includes(line), line);
});

test('a call without words of its own accepts JSON and has no body', async (t) => {
  const { call, heard } = await place(t, answer('200 OK'));
  await call();
  t.regex(heard(), /^GET .*\r\naccept: application\/json\r\n/s);
  t.regex(heard(), /\r\n\r\n$/);
});

test('every status is an answer, with its headers by small names and what is repeated in one', async (t) => {
  const { call, http } = await place(t, answer('418 Teapot\r\nX-Small: One\r\nwarning: a\r\nWarning: b'));
  t.deepEqual(await call(), {
    status: 418,
    headers: { 'x-small': 'One', warning: 'a, b', 'content-length': '2' },
    body: '{}',
  });
  t.is(http.clockOffset, undefined);
});

for (const [what, head, body, sentence] of [
  ['compressed', '200 OK\r\ncontent-encoding: gzip', '{}', /the answer is compressed although that was not allowed/],
  ['not compressed, and says so', '200 OK\r\ncontent-encoding: identity', '{}', undefined],
  ['as long as is read', '200 OK', '12345678', undefined],
  ['longer than is read', '200 OK', '123456789', /the answer has more than 8 bytes/],
] as const)
  test(`an answer that is ${what}: ${sentence === undefined ? 'read' : 'refused'}`, async (t) => {
    const { call } = await place(t, answer(head, body));
    if (sentence === undefined) return void t.is((await call()).body, body);
    const error = await t.throwsAsync(call(), { instanceOf: OperatorError, message: sentence });
    t.is(error?.reason, 'ProviderMisbehaves');
  });

test('what comes after the head of a compressed answer is not waited for', async (t) => {
  const head = 'HTTP/1.1 200 OK\r\ncontent-encoding: br\r\ncontent-length: 1000\r\n\r\n';
  const { call, closed } = await place(t, head, { deadline: 600_000 });
  await t.throwsAsync(call(), { message: /compressed/ });
  t.timeout(10_000, 'the connection stays');
  await t.notThrowsAsync(closed);
});

test('calls at the same time: 32 connections at most, none of HTTP/2', async (t) => {
  t.timeout(10_000, 'fewer connections');
  const { call, connections, protocols } = await place(t, undefined, { deadline: 600_000 });
  const gone = new AbortController();
  const calls = Array.from({ length: 33 }, () => call({}, gone.signal));
  const all = Promise.allSettled(calls);
  while (connections() < 32) await setTimeout(5);
  // Long enough for one more.
  await setTimeout(100);
  t.is(connections(), 32);
  t.deepEqual([...new Set(protocols())], ['http/1.1']);
  gone.abort();
  t.true((await all).every(({ status }) => status === 'rejected'));
});

test('a server that accepts the connection and never speaks TLS: given up after five seconds, and surely nothing was sent', async (t) => {
  const server = createPlainServer((socket) => void socket.on('error', () => {}));
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { call } = await place(t, undefined, { deadline: 600_000 });
  t.teardown(() => void server.close());
  const start = systemClock.monotonic();
  const work = call({ url: `https://127.0.0.1:${(server.address() as AddressInfo).port}/` });
  const error = await t.throwsAsync(work, { instanceOf: OperatorError, message: /no connection in time/ });
  const took = systemClock.monotonic() - start;
  t.true(took >= 4.5 * second && took < 9 * second, `${took}`);
  t.deepEqual([error?.reason, error && surelyWithoutEffect(error)], ['ProviderUnavailable', true]);
});

for (const [what, usual, own] of [
  ['of the issuer', 50, undefined],
  ['of the call', 600_000, 50],
] as const)
  test(`no answer within the deadline ${what}`, async (t) => {
    const { call } = await place(t, undefined, { deadline: usual });
    const work = call(own === undefined ? {} : { deadline: own });
    const error = await t.throwsAsync(work, { instanceOf: OperatorError, message: /no answer in time/ });
    t.is(error?.reason, 'ProviderUnavailable');
  });

test('a lost lease is no failure of the provider', async (t) => {
  const { call } = await place(t, undefined);
  const lease = new AbortController();
  const work = call({}, lease.signal);
  lease.abort(new LostLeaseError('lost'));
  await t.throwsAsync(work, { instanceOf: LostLeaseError, message: 'lost' });
});

test('when the certificate expires is known from the first connection on, and stays known where a session is resumed', async (t) => {
  const { call, http, connections } = await place(t, answer('200 OK\r\nconnection: close'));
  t.is(http.certificateExpiry, undefined);
  await call();
  const expiry = http.certificateExpiry ?? 0;
  t.true(Math.abs(expiry - systemClock.now() - 30 * day) < day);
  await call();
  t.is(connections(), 2);
  t.is(http.certificateExpiry, expiry as never);
});

test('a connection serves as long as nothing that it was made for changes, and until it is closed', async (t) => {
  const settings = { ca: certificate.caPem };
  const { call, http, connections } = await place(t, answer('200 OK'), { caBundle: () => settings.ca });
  const seen: number[] = [];
  const step = async (): Promise<void> => {
    await call();
    // Only then is the connection free for the next call.
    await setImmediate();
    seen.push(connections());
  };
  await step();
  await step();
  settings.ca = `${certificate.caPem}\n`;
  await step();
  await step();
  await http.close();
  await step();
  t.deepEqual(seen, [1, 1, 2, 2, 3]);
});
