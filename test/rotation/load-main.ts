/** The load of `load.ts`, a process of its own, so that it shares no event loop with the provider that it asks. */
import { createPrivateKey, type JsonWebKey, randomUUID, sign } from 'node:crypto';
import { setPriority } from 'node:os';
import { Pool } from 'undici';
import { instant } from '#src/clock.ts';
import { openApi } from '#test/bench/api.ts';
import type { LoadOptions, LoadReport } from './load.ts';
import { type Known, meaningOf } from './refusal.ts';

interface Generation extends Known {
  readonly clientId?: string;
  readonly credential: { readonly type: string; readonly privateJwk?: string; readonly secret?: string };
}

interface ClientRecord {
  readonly variant: string;
  readonly pool: { readonly name: string };
  readonly generations: readonly Generation[];
}

interface Endpoints {
  readonly issuer: string;
  readonly token_endpoint: string;
}

/** Milliseconds without a working credential that have to be noticed. */
const gap = 200;

const recordsPath =
  '/api/v1/namespaces/ci-identity-system/secrets?labelSelector=ci-identity.dev%2Fkind%3Dclient&watch=1';

process.once('message', (options) => void run(options as LoadOptions));
process.once('disconnect', () => process.exit(0));

async function run(options: LoadOptions): Promise<void> {
  // It measures, so it must not wait for a processor; whoever may not have it so measures all the same.
  try {
    setPriority(-15);
  } catch {
    process.stderr.write('the load has no higher priority: its longest interval may be the fault of this machine\n');
  }
  const over = new AbortController();
  const api = openApi(options.kubeconfig, { connections: 1 });
  const provider = new Pool(options.issuer.replace(/^(https:\/\/[^/]+).*$/, '$1'), {
    connections: 64,
    allowH2: false,
    connect: { ca: options.caPem },
  });
  let current: Generation | undefined;
  let known: readonly Generation[] = [];
  let replacing = false;
  void (async () => {
    for await (const { object } of api.watch(recordsPath, over.signal)) {
      const record = recordIn(Buffer.from(object.data?.['record.json'] ?? '', 'base64').toString('utf8'));
      if (record?.pool.name !== options.pool) continue;
      known = record.generations;
      current = record.generations.find(({ state }) => state === 'Current') ?? current;
      const comes = record.generations.some(({ state }) => state === 'Planned' || state === 'Created');
      replacing = record.variant === 'InPlace' && comes;
    }
  })().catch((error: unknown) => {
    process.stderr.write(`the load cannot read the records any more: ${String(error)}\n`);
    process.exit(1);
  });
  const endpoints = await discover(provider, options.issuer);
  const failed: string[] = [];
  const byGeneration: Record<string, number> = {};
  let [requests, overtaken, inGap, longestInterval, watched, hidden] = [0, 0, 0, 0, 0, 0];
  let last: number | undefined;
  const open = new Set<Promise<void>>();
  const ask = async (by: Generation): Promise<void> => {
    const began = replacing;
    const problem = await request(provider, endpoints, options, by);
    if (problem === undefined) {
      if (Object.keys(byGeneration).length === 0) process.send?.('started');
      byGeneration[by.n] = (byGeneration[by.n] ?? 0) + 1;
      return;
    }
    const refused = instant(Date.now());
    await new Promise((resolve) => setTimeout(resolve, 1_000));
    if (began || replacing) inGap += 1;
    else if (meaningOf(by.n, refused, known) === 'Overtaken') overtaken += 1;
    else failed.push(`generation ${by.n}: ${problem}`.slice(0, 300));
  };
  const timer = setInterval(() => {
    if (current === undefined) return;
    const now = performance.now();
    if (last !== undefined) {
      longestInterval = Math.max(longestInterval, now - last);
      watched += now - last;
      hidden += Math.max(0, now - last - gap);
    }
    last = now;
    requests += 1;
    const asked = ask(current).finally(() => open.delete(asked));
    open.add(asked);
  }, options.every);
  process.on('message', () => {
    clearInterval(timer);
    void Promise.all(open).then(() => {
      over.abort();
      const report: LoadReport = {
        requests,
        failed,
        overtaken,
        inGap,
        longestInterval,
        unwatched: watched === 0 ? 1 : hidden / watched,
        byGeneration,
      };
      process.send?.(report);
    });
  });
}

/** `undefined`: somebody wrote nonsense into it, which is the operator's business. */
function recordIn(text: string): ClientRecord | undefined {
  try {
    return JSON.parse(text) as ClientRecord;
  } catch {
    return undefined;
  }
}

async function discover(provider: Pool, issuer: string): Promise<Endpoints> {
  const path = `${new URL(issuer).pathname.replace(/\/$/, '')}/.well-known/openid-configuration`;
  const { body } = await provider.request({ method: 'GET', path });
  return (await body.json()) as Endpoints;
}

/** One token, which nobody uses. Yields what was answered instead. */
async function request(
  provider: Pool,
  endpoints: Endpoints,
  options: LoadOptions,
  by: Generation,
): Promise<string | undefined> {
  try {
    const grant = { grant_type: 'client_credentials', ...options.parameters };
    const { status, text } = await post(provider, grant, endpoints, options, by);
    const token = status === 200 ? (JSON.parse(text) as { access_token?: string }).access_token : undefined;
    if (token === undefined) return `${status} ${text}`;
    return undefined;
  } catch (error) {
    return String(error);
  }
}

async function post(
  provider: Pool,
  parameters: Readonly<Record<string, string>>,
  { issuer, token_endpoint: url }: Endpoints,
  { assertionAudience }: LoadOptions,
  { clientId = '', credential }: Generation,
): Promise<{ readonly status: number; readonly text: string }> {
  const headers: Record<string, string> = {
    'content-type': 'application/x-www-form-urlencoded',
    'x-load': 'yes',
  };
  const body = new URLSearchParams(parameters);
  if (credential.type === 'ClientSecretBasic') {
    const pair = [clientId, credential.secret ?? ''].map((part) => encodeURIComponent(part)).join(':');
    headers['authorization'] = `Basic ${Buffer.from(pair).toString('base64')}`;
  } else {
    body.set('client_id', clientId);
    if (credential.secret !== undefined) body.set('client_secret', credential.secret);
    else {
      body.set('client_assertion_type', 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer');
      const audience = assertionAudience === 'Issuer' ? issuer : url;
      body.set('client_assertion', assertion(credential.privateJwk ?? '', clientId, audience));
    }
  }
  const path = new URL(url).pathname;
  const answer = await provider.request({ method: 'POST', path, headers, body: body.toString() });
  return { status: answer.statusCode, text: await answer.body.text() };
}

function assertion(privateJwk: string, clientId: string, audience: string): string {
  const jwk = JSON.parse(privateJwk) as JsonWebKey & { readonly kid: string; readonly alg: string };
  const iat = Math.floor(Date.now() / 1_000);
  const claims = { iss: clientId, sub: clientId, aud: audience, jti: randomUUID(), iat, nbf: iat, exp: iat + 60 };
  const [header, payload] = [{ alg: jwk.alg, kid: jwk.kid }, claims].map((part) =>
    Buffer.from(JSON.stringify(part)).toString('base64url'),
  );
  const key = { key: createPrivateKey({ key: jwk, format: 'jwk' }), dsaEncoding: 'ieee-p1363' as const };
  const signature = sign('sha256', Buffer.from(`${header}.${payload}`), key).toString('base64url');
  return `${header}.${payload}.${signature}`;
}
