/**
 * The floor of `rotation`: the calls that a rotation of two keys cannot do without, at the same provider and at the pace that its limit leaves, and
 * nothing else. For each client the record with the new key and the intent, RFC 7592, the answer, a token request with the new key, that token's
 * revocation, the proof, and one status of the pool. What it shows is how much these calls alone slow down whoever mints meanwhile.
 */
import { createPublicKey, generateKeyPairSync, type KeyObject } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';
import { Pool } from 'undici';
import { pool } from '#test/api/operator-lab.ts';
import { labScopes, type Lab } from '#test/support/lab.ts';
import { type Api, expectStatus, openApi } from './api.ts';
import { askedBare, bareMetadata, form, json } from './bare-client.ts';
import { deleteRecord, writeRecord } from './bare-record.ts';
import { inParallel } from './in-parallel.ts';
import { poolsPath } from './pools.ts';
import type { ProviderProcess } from './provider.ts';

/** Under way at once, as many as the operator has in the middle of a thousand. */
const parallel = 10;

interface Registered {
  readonly name: string;
  readonly clientId: string;
  readonly managementToken: string;
  readonly key: KeyObject;
}

/** Rotates clients of its own; `stop` takes away what it made in the cluster. While no operator runs, which would take its pools for its own. */
export interface BareRotator {
  /** Resolves when every client has its second key. `perSecond`: calls of the provider. */
  rotate(perSecond: number): Promise<void>;
  stop(): Promise<void>;
}

export async function startBareRotator(lab: Lab<ProviderProcess>, size: number): Promise<BareRotator> {
  const api = openApi(lab.operatorKubeconfig, { connections: parallel });
  const admin = openApi(lab.cluster.kubeconfig, { connections: parallel });
  const connect = { ca: lab.provider.caPem };
  const provider = new Pool(lab.provider.issuer, { connections: parallel, pipelining: 1, allowH2: false, connect });
  const clients: Registered[] = [];
  await inParallel(
    Array.from({ length: size }, (_, n) => `bare-${n}`),
    parallel,
    async (name) => {
      const body: unknown = JSON.parse(pool(name, lab.provider.issuer));
      expectStatus(name, await admin.send('POST', poolsPath, body), 201);
      clients.push(await register(provider, lab.provider, name));
      await writeRecord(api, 'POST', name, { pool: name });
    },
  );
  return {
    async rotate(perSecond) {
      const turn = paced(perSecond);
      await inParallel(clients, parallel, (client) =>
        rotateOne({ api, provider, issuer: lab.provider.issuer, turn }, client),
      );
    },
    async stop() {
      await inParallel(clients, parallel, async ({ name }) => {
        expectStatus(name, await admin.send('DELETE', `${poolsPath}/${name}`), 200);
        await deleteRecord(api, name);
      });
      await Promise.all([api.close(), admin.close(), provider.close()]);
    },
  };
}

async function rotateOne(
  o: { readonly api: Api; readonly provider: Pool; readonly issuer: string; readonly turn: () => Promise<void> },
  { name, clientId, managementToken, key }: Registered,
): Promise<void> {
  const { api, provider, issuer, turn } = o;
  const next = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const pairs = [key, next.privateKey];
  const generations = pairs.map((one, n) => ({ n: n + 1, key: one.export({ format: 'jwk' }) }));
  const record = { pool: name, issuer, clientId, managementToken, generations };
  await writeRecord(api, 'PUT', name, { ...record, intent: { call: 'Update', generation: 2 } });
  const keys = pairs.map((one, n) => ({ ...createPublicKey(one).export({ format: 'jwk' }), kid: `${name}-${n + 1}` }));
  const metadata = { ...bareMetadata(name, labScopes, keys), client_id: clientId };
  await turn();
  await askedBare(provider, 'PUT', `/reg/${clientId}`, json(metadata, managementToken));
  await writeRecord(api, 'PUT', name, record);
  const credential = { issuer, clientId, kid: `${name}-2`, key: next.privateKey };
  const ask = { grant_type: 'client_credentials', scope: labScopes[0]!, resource: 'https://registry.example.com' };
  await turn();
  const { access_token: token } = await askedBare(provider, 'POST', '/token', form(ask, credential));
  await turn();
  await askedBare(provider, 'POST', '/token/revocation', form({ token: String(token) }, credential));
  await writeRecord(api, 'PUT', name, { ...record, proofs: { 2: 'Accepted' } });
  const lastTransitionTime = new Date().toISOString();
  const condition = { type: 'Ready', status: 'True', reason: 'Ready', message: 'bare', lastTransitionTime };
  const status = {
    conditions: [condition],
    observedGeneration: 1,
    credential: { generation: 2, since: lastTransitionTime },
  };
  expectStatus(name, await api.merge(`${poolsPath}/${name}/status`, { status }), 200);
}

async function register(provider: Pool, { initialAccessToken }: ProviderProcess, name: string): Promise<Registered> {
  const { privateKey: key, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const metadata = bareMetadata(name, labScopes, [{ ...publicKey.export({ format: 'jwk' }), kid: `${name}-1` }]);
  const client = await askedBare(provider, 'POST', '/reg', json(metadata, initialAccessToken));
  const managementToken = String(client['registration_access_token']);
  return { name, clientId: String(client['client_id']), managementToken, key };
}

/** Resolves for each call when it is its turn: so many a second, evenly. */
function paced(perSecond: number): () => Promise<void> {
  let next = performance.now();
  return async () => {
    const at = Math.max(next, performance.now());
    next = at + 1_000 / perSecond;
    await delay(Math.max(0, at - performance.now()));
  };
}
