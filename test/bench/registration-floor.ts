/**
 * The floor of `registration`: the calls that a registered and proven client cannot do without, and nothing else. Made by the driver itself.
 * For each pool the record with the new key and the intent, RFC 7591, the answer, a token request with that key, the token's revocation, the
 * proof, and one status of the pool; its finalizer is admission's work.
 */
import { generateKeyPairSync, type KeyObject, type KeyPairKeyObjectResult } from 'node:crypto';
import { Pool } from 'undici';
import { labScopes, type Lab } from '#test/support/lab.ts';
import { type Api, expectStatus, openApi } from './api.ts';
import { askedBare, type BareCredential, bareMetadata, form, json } from './bare-client.ts';
import { writeRecord } from './bare-record.ts';
import { inParallel } from './in-parallel.ts';
import { poolsPath } from './pools.ts';
import type { ProviderProcess } from './provider.ts';

/** As many at once as the operator has for one issuer. */
const parallel = 32;

/** Seconds that it takes for these pools, which are there already. */
export async function registerBare(lab: Lab<ProviderProcess>, names: readonly string[]): Promise<number> {
  const api = openApi(lab.operatorKubeconfig, { connections: parallel });
  const provider = connected(lab.provider);
  try {
    const started = performance.now();
    await inParallel(names, parallel, (name) => registerOne(api, provider, lab.provider, name));
    return (performance.now() - started) / 1_000;
  } finally {
    await Promise.all([api.close(), provider.close()]);
  }
}

/** Registers and proves so many clients of nobody, so that the code of the provider is compiled, as that of one is which has run for days. */
export async function warmUp(of: ProviderProcess, clients: number): Promise<void> {
  const provider = connected(of);
  try {
    const names = Array.from({ length: clients }, (_, n) => `warm-${n}`);
    await inParallel(names, parallel, async (name) => {
      const { privateKey: key, publicKey } = newKey();
      const { clientId } = await registered(provider, of, name, publicKey);
      await proven(provider, { issuer: of.issuer, clientId, kid: name, key });
    });
  } finally {
    await provider.close();
  }
}

function connected({ issuer, caPem }: ProviderProcess): Pool {
  return new Pool(issuer, { connections: parallel, pipelining: 1, allowH2: false, connect: { ca: caPem } });
}

function newKey(): KeyPairKeyObjectResult {
  return generateKeyPairSync('ec', { namedCurve: 'P-256' });
}

async function registerOne(api: Api, provider: Pool, of: ProviderProcess, name: string): Promise<void> {
  const { issuer } = of;
  const { privateKey: key, publicKey } = newKey();
  const record = { pool: name, issuer, generations: [{ n: 1, key: key.export({ format: 'jwk' }) }] };
  await writeRecord(api, 'POST', name, { ...record, intent: { call: 'Register', generation: 1 } });
  const { clientId, registrationAccessToken } = await registered(provider, of, name, publicKey);
  await writeRecord(api, 'PUT', name, { ...record, clientId, registrationAccessToken });
  await proven(provider, { issuer, clientId, kid: name, key });
  await writeRecord(api, 'PUT', name, { ...record, clientId, proofs: { first: 'Accepted' } });
  const lastTransitionTime = new Date().toISOString();
  const condition = { type: 'Ready', status: 'True', reason: 'Ready', message: 'bare', lastTransitionTime };
  await stated(api, name, { status: { conditions: [condition], observedGeneration: 1 } });
}

async function registered(
  provider: Pool,
  { initialAccessToken }: ProviderProcess,
  name: string,
  publicKey: KeyObject,
): Promise<{ readonly clientId: string; readonly registrationAccessToken: unknown }> {
  const metadata = bareMetadata(name, labScopes, [{ ...publicKey.export({ format: 'jwk' }), kid: name }]);
  const client = await askedBare(provider, 'POST', '/reg', json(metadata, initialAccessToken));
  return { clientId: String(client['client_id']), registrationAccessToken: client['registration_access_token'] };
}

async function proven(provider: Pool, credential: BareCredential): Promise<void> {
  const ask = { grant_type: 'client_credentials', scope: labScopes[0]!, resource: 'https://registry.example.com' };
  const { access_token: token } = await askedBare(provider, 'POST', '/token', form(ask, credential));
  await askedBare(provider, 'POST', '/token/revocation', form({ token: String(token) }, credential));
}

async function stated(api: Api, pool: string, body: object): Promise<void> {
  const path = `${poolsPath}/${pool}/status`;
  expectStatus(path, await api.merge(path, body), 200);
}
