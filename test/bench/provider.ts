import { fork } from 'node:child_process';
import { generateKeyPairSync, type JsonWebKey } from 'node:crypto';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { Pool } from 'undici';
import { type LabProvider, labResources, labScopes } from '#test/support/lab.ts';
import { expectStatus } from './api.ts';

/** Counted by the provider itself, since its start. */
export interface ProviderCounts {
  readonly tokenCalls: number;
  readonly allCalls: number;
  readonly issued: number;
  /** Answered with 429. */
  readonly tooMany: number;
}

export interface ProviderLimit {
  /** More calls than that in a second are answered with 429. */
  readonly perSecond: number;
  /** Milliseconds until each answer. */
  readonly delay: number;
}

export interface ProviderProcess extends LabProvider {
  readonly pid: number;
  counts(): Promise<ProviderCounts>;
  /** From now on. */
  limit(limit: ProviderLimit): Promise<void>;
}

export interface BareClient {
  readonly clientId: string;
  readonly privateJwk: JsonWebKey & { readonly kid: string };
  readonly tokenPath: string;
}

const main = fileURLToPath(new URL('../providers/oidc-provider-main.ts', import.meta.url));

/** The test provider as a process of its own, so that it shares no event loop with what is measured. */
export async function startProviderProcess(): Promise<ProviderProcess> {
  const child = fork(main, ['--scopes', labScopes.join(), '--resources', labResources.join(), '--lifetime', '900'], {
    stdio: ['ignore', 'pipe', 'inherit', 'ipc'],
  });
  const exited = once(child, 'exit');
  const lines = createInterface({ input: child.stdout! });
  const [line] = (await Promise.race([once(lines, 'line'), exited.then(() => [undefined])])) as [string | undefined];
  if (line === undefined) throw new Error('the provider ended before it was ready');
  const { issuer, caFile, initialAccessToken } = JSON.parse(line) as Record<string, string>;
  return {
    pid: child.pid ?? 0,
    issuer: issuer!,
    caPem: readFileSync(caFile!, 'utf8'),
    initialAccessToken: initialAccessToken!,
    async counts() {
      child.send('counts');
      const [counts] = (await once(child, 'message')) as [ProviderCounts];
      return counts;
    },
    async limit(limit) {
      child.send(limit);
      await once(child, 'message');
    },
    async stop() {
      child.kill();
      await exited;
    },
  };
}

/** Registers the client of the floor with one bare request (RFC 7591). */
export async function registerBareClient(provider: LabProvider): Promise<BareClient> {
  const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const kid = 'floor';
  const pool = new Pool(provider.issuer, { connect: { ca: provider.caPem } });
  try {
    const answer = await pool.request({
      method: 'POST',
      path: '/reg',
      headers: { 'content-type': 'application/json', authorization: `Bearer ${provider.initialAccessToken}` },
      body: JSON.stringify({
        client_name: 'floor',
        grant_types: ['client_credentials'],
        response_types: [],
        redirect_uris: [],
        token_endpoint_auth_method: 'private_key_jwt',
        token_endpoint_auth_signing_alg: 'ES256',
        scope: labScopes.join(' '),
        jwks: { keys: [{ ...publicKey.export({ format: 'jwk' }), kid, alg: 'ES256', use: 'sig' }] },
      }),
    });
    const text = expectStatus('registration', { status: answer.statusCode, text: await answer.body.text() }, 200, 201);
    const { client_id: clientId } = JSON.parse(text) as { readonly client_id: string };
    return { clientId, tokenPath: '/token', privateJwk: { ...privateKey.export({ format: 'jwk' }), kid } };
  } finally {
    await pool.close();
  }
}
