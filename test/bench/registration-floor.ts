/**
 * The floor of `registration`: the calls that a registered and proven client cannot do without, and nothing else. Made by the driver itself.
 * For each pool the record with the new key and the intent, RFC 7591, the answer, a token request with that key, the token's revocation, the
 * proof, and on the pool its finalizer and one status.
 */
import { generateKeyPairSync } from 'node:crypto';
import { Pool } from 'undici';
import { labScopes, type Lab } from '#test/support/lab.ts';
import { type Api, expectStatus, openApi } from './api.ts';
import { askedBare, bareMetadata, form, json } from './bare-client.ts';
import { writeRecord } from './bare-record.ts';
import { inParallel } from './in-parallel.ts';
import { poolsPath } from './pools.ts';
import type { ProviderProcess } from './provider.ts';

/** As many at once as the operator has for one issuer. */
const parallel = 32;

/** Seconds that it takes for these pools, which are there already. */
export async function registerBare(lab: Lab<ProviderProcess>, names: readonly string[]): Promise<number> {
  const api = openApi(lab.operatorKubeconfig, { connections: parallel });
  const provider = new Pool(lab.provider.issuer, {
    connections: parallel,
    pipelining: 1,
    allowH2: false,
    connect: { ca: lab.provider.caPem },
  });
  try {
    const started = performance.now();
    await inParallel(names, parallel, (name) => registerOne(api, provider, lab.provider, name));
    return (performance.now() - started) / 1_000;
  } finally {
    await Promise.all([api.close(), provider.close()]);
  }
}

async function registerOne(
  api: Api,
  provider: Pool,
  { issuer, initialAccessToken }: ProviderProcess,
  name: string,
): Promise<void> {
  const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const record = { pool: name, issuer, generations: [{ n: 1, key: privateKey.export({ format: 'jwk' }) }] };
  await writeRecord(api, 'POST', name, { ...record, intent: { call: 'Register', generation: 1 } });
  const metadata = bareMetadata(name, labScopes, [{ ...publicKey.export({ format: 'jwk' }), kid: name }]);
  const client = await askedBare(provider, 'POST', '/reg', json(metadata, initialAccessToken));
  const clientId = String(client['client_id']);
  await writeRecord(api, 'PUT', name, {
    ...record,
    clientId,
    registrationAccessToken: client['registration_access_token'],
  });
  const credential = { issuer, clientId, kid: name, key: privateKey };
  const ask = { grant_type: 'client_credentials', scope: labScopes[0]!, resource: 'https://registry.example.com' };
  const { access_token: token } = await askedBare(provider, 'POST', '/token', form(ask, credential));
  await askedBare(provider, 'POST', '/token/revocation', form({ token: String(token) }, credential));
  await writeRecord(api, 'PUT', name, { ...record, clientId, proofs: { first: 'Accepted' } });
  await patched(api, name, '', { metadata: { finalizers: ['ci-identity.dev/clients'] } });
  const lastTransitionTime = new Date().toISOString();
  const condition = { type: 'Ready', status: 'True', reason: 'Ready', message: 'bare', lastTransitionTime };
  await patched(api, name, '/status', { status: { conditions: [condition], observedGeneration: 1 } });
}

async function patched(api: Api, pool: string, subresource: string, body: object): Promise<void> {
  const path = `${poolsPath}/${pool}${subresource}`;
  expectStatus(path, await api.merge(path, body), 200);
}
