/** Real servers that write their bytes themselves, and a name that turns elsewhere between two calls. */
import test from 'ava';
import { mkdtempSync, rmSync } from 'node:fs';
import { type AddressInfo, type Socket, connect, createServer as createPlainServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setImmediate } from 'node:timers/promises';
import { type Server, type TLSSocket, createServer } from 'node:tls';
import { systemClock } from '#src/clock.ts';
import { OperatorError } from '#src/errors.ts';
import type { Lookup } from '#src/providers/egress.ts';
import { Http, type HttpOptions, smallAnswer } from '#src/providers/http.ts';
import { surelyWithoutEffect } from '#src/providers/no-effect.ts';
import { type ServerCertificate, makeServerCertificate } from '#test/providers/certificates.ts';

const name = 'idp.example.com';
const dir = mkdtempSync(join(tmpdir(), 'ci-identity-wire-'));
let certificate: ServerCertificate;

test.before(async () => {
  certificate = await makeServerCertificate(dir, [name, '127.0.0.1']);
});
test.after.always(() => rmSync(dir, { recursive: true, force: true }));

/** Listens on every address and answers each connection with these bytes, whatever was asked; `stays`: each request on it. `reached`: one arrived. */
async function startServer(
  t: { teardown(fn: () => void): void },
  bytes: string,
  stays = false,
): Promise<{ port: number; met: () => number; reached: Promise<void> }> {
  let met = 0;
  const reached = Promise.withResolvers<void>();
  const sockets = new Set<TLSSocket>();
  const { certPem: cert, keyPem: key } = certificate;
  const server: Server = createServer({ cert, key }, (socket) => {
    met += 1;
    sockets.add(socket);
    socket.on('error', () => {});
    socket.once('data', () => reached.resolve());
    if (stays) socket.on('data', () => socket.write(bytes));
    else socket.once('data', () => socket.end(bytes));
  });
  await new Promise<void>((resolve) => server.listen(0, '0.0.0.0', resolve));
  t.teardown(() => {
    for (const socket of sockets) socket.destroy();
    server.close();
  });
  return { port: (server.address() as AddressInfo).port, met: () => met, reached: reached.promise };
}

function client(t: { teardown(fn: () => Promise<void>): void }, options: Partial<HttpOptions> = {}): Http {
  const http = new Http({
    issuer: `https://${name}`,
    clock: systemClock,
    caBundle: () => certificate.caPem,
    allowPrivateNetwork: () => true,
    deadline: 30_000,
    ...options,
  });
  t.teardown(() => http.close());
  return http;
}

const get = (http: Http, url: string) =>
  http.send({ method: 'GET', url, maxBytes: smallAnswer }, new AbortController().signal);

const head = 'HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n';
const rows: readonly (readonly [string, string])[] = [
  ['a length and chunks', `${head}content-length: 2\r\ntransfer-encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n`],
  ['two lengths', `${head}content-length: 2\r\ncontent-length: 20\r\n\r\n{}`],
  ['a length that is none', `${head}content-length: 0x2\r\n\r\n{}`],
  ['a longer length than body', `${head}content-length: 200\r\n\r\n{}`],
  ['a chunk that is none', `${head}transfer-encoding: chunked\r\n\r\nzz\r\n{}\r\n0\r\n\r\n`],
  ['a header of a megabyte', `${head}x: ${'a'.repeat(1_000_000)}\r\ncontent-length: 2\r\n\r\n{}`],
  ['ten thousand headers', `${head}${'x: a\r\n'.repeat(10_000)}content-length: 2\r\n\r\n{}`],
  ['a NUL in a header', `${head}x: a\0b\r\ncontent-length: 2\r\n\r\n{}`],
  ['another protocol', 'SSH-2.0-OpenSSH_9.2\r\n'],
  ['a body without a head', '{"access_token":"hush-hush"}'],
  ['nothing', ''],
];

for (const [what, bytes] of rows) {
  test(`${what}: no answer, which is tried again, told in one line that quotes nothing`, async (t) => {
    const { port } = await startServer(t, bytes);
    const error = await t.throwsAsync(get(client(t), `https://127.0.0.1:${port}/`), { instanceOf: OperatorError });
    t.deepEqual([error?.class, error?.whose], ['Transient', 'Issuer']);
    t.regex(error?.message ?? '', /^issuer https:\/\/idp\.example\.com: [ -~]+$/);
    t.notRegex(error?.message ?? '', /hush|aaaa|OpenSSH/);
  });
}

test('a proper answer of the same server is one', async (t) => {
  const { port } = await startServer(t, `${head}content-length: 2\r\nconnection: close\r\n\r\n{}`);
  t.is((await get(client(t), `https://127.0.0.1:${port}/`)).body, '{}');
});

test("the provider's clock is not read from what a cache kept", async (t) => {
  const answer = (headers: string): string =>
    `${head}date: Tue, 24 Nov 2026 12:00:00 GMT\r\n${headers}content-length: 2\r\nconnection: close\r\n\r\n{}`;
  for (const [headers, seen] of [
    ['', true],
    ['age: 1800\r\n', false],
    ['age: 0\r\n', true],
  ] as const) {
    const { port } = await startServer(t, answer(headers));
    const http = client(t);
    const { providerTime } = await get(http, `https://127.0.0.1:${port}/`);
    t.deepEqual([providerTime !== undefined, http.clockOffset !== undefined], [seen, seen], headers);
  }
});

/** A name service whose owner changes his mind after each answer. */
function rebinding(...answers: readonly (readonly string[])[]): Lookup & { asked(): number } {
  let asked = 0;
  const lookup: Lookup = (_host, _options, callback) => {
    const answer = answers[Math.min(asked, answers.length - 1)] ?? [];
    asked += 1;
    callback(
      null,
      answer.map((address) => ({ address, family: 4 })),
    );
  };
  return Object.assign(lookup, { asked: () => asked });
}

const reaches = (host: string, port: number): Promise<boolean> =>
  new Promise((resolve) => {
    const socket = connect({ host, port }, () => {
      resolve(true);
      socket.destroy();
    }).on('error', () => resolve(false));
  });

test('a name that turns to a forbidden address between two calls: the second call never reaches the server there', async (t) => {
  const { port, met } = await startServer(t, `${head}content-length: 2\r\nconnection: close\r\n\r\n{}`);
  t.true(await reaches('0.0.0.0', port), 'without the guard that address leads to the very same server');
  for (const turned of [['0.0.0.0'], ['127.0.0.1', '0.0.0.0']]) {
    const lookup = rebinding(['127.0.0.1'], turned);
    const http = client(t, { lookup });
    const before = met();
    t.is((await get(http, `https://${name}:${port}/`)).status, 200);
    const error = await t.throwsAsync(get(http, `https://${name}:${port}/`), { instanceOf: OperatorError });
    t.is(error?.reason, 'AddressNotAllowed');
    t.regex(error?.message ?? '', /not called, because the address 0\.0\.0\.0 is never called/);
    t.deepEqual([lookup.asked(), met() - before], [2, 1]);
  }
});

test('a name of a private address once the permission is withdrawn: asked at the next connection, not remembered', async (t) => {
  const { port, met } = await startServer(t, `${head}content-length: 2\r\nconnection: close\r\n\r\n{}`);
  const permitted = [true, false];
  let call = 0;
  const http = client(t, { lookup: rebinding(['127.0.0.1']), allowPrivateNetwork: () => permitted[call] ?? false });
  t.is((await get(http, `https://${name}:${port}/`)).status, 200);
  call = 1;
  const error = await t.throwsAsync(get(http, `https://${name}:${port}/`), { instanceOf: OperatorError });
  t.is(error?.reason, 'AddressNotAllowed');
  t.is(met(), 1);
});

test('a connection to a private address that is open when the permission is withdrawn: used no more', async (t) => {
  const { port, met } = await startServer(t, `${head}content-length: 2\r\n\r\n{}`, true);
  const permission = { given: true };
  const http = client(t, { lookup: rebinding(['127.0.0.1']), allowPrivateNetwork: () => permission.given });
  for (let calls = 0; calls < 2; calls += 1) {
    t.is((await get(http, `https://${name}:${port}/`)).status, 200);
    // Only then is the connection free for the next call.
    await setImmediate();
  }
  t.is(met(), 1, 'one connection for both');
  permission.given = false;
  const error = await t.throwsAsync(get(http, `https://${name}:${port}/`), { instanceOf: OperatorError });
  t.is(error?.reason, 'AddressNotAllowed');
});

/** Listens and does this with each connection. */
async function startPlainServer(
  t: { teardown(fn: () => void): void },
  meet: (socket: Socket) => void,
): Promise<number> {
  const sockets = new Set<Socket>();
  const server = createPlainServer((socket) => {
    sockets.add(socket.on('error', () => {}));
    meet(socket);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  t.teardown(() => {
    for (const socket of sockets) socket.destroy();
    server.close();
  });
  return (server.address() as AddressInfo).port;
}

/** Looks like a record of TLS and can be read by nobody. */
const noRecord = Buffer.from([0x17, 3, 3, 0, 32, ...Array<number>(32).fill(0)]);

test('TLS that breaks: before it stands surely nothing was sent; once the call was sent nobody knows', async (t) => {
  const never = await startPlainServer(t, (socket) => void socket.once('data', () => socket.end(noRecord)));
  const { port, reached } = await startServer(t, '', true);
  const late = await startPlainServer(t, (socket) => {
    const behind = connect(port, '127.0.0.1').on('error', () => {});
    socket.pipe(behind).pipe(socket);
    void reached.then(() => socket.end(noRecord));
  });
  for (const [at, surely] of [
    [never, true],
    [late, false],
  ] as const) {
    const error = await t.throwsAsync(get(client(t), `https://127.0.0.1:${at}/`), { instanceOf: OperatorError });
    t.is(error && surelyWithoutEffect(error), surely, error?.message);
  }
});
