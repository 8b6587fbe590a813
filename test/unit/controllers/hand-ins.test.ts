import { generateKeyPairSync } from 'node:crypto';
import test from 'ava';
import { HandIns } from '#src/controllers/hand-ins.ts';
import { Memory } from '#src/controllers/memory.ts';
import { OperatorError } from '#src/errors.ts';
import { readPrivateKey } from '#src/providers/oidc/private-key.ts';
import { VirtualClock } from '#test/support/virtual-clock.ts';
import { pool } from '../domain/access/objects.ts';

const pem = generateKeyPairSync('rsa', { modulusLength: 2_048 }).privateKey.export({ type: 'pkcs8', format: 'pem' });

test('a key that names no algorithm is read again once it is known what the provider verifies', async (t) => {
  const memory = new Memory('ci-identity-system');
  const existing = { clientId: 'theirs', credentialRef: { name: 'theirs', key: 'credential' } };
  const object = pool({ client: { existing } }, { name: 'ci-bots', uid: 'pool-uid' });
  memory.pools.put('ci-bots', { ...object, uid: 'pool-uid', resourceVersion: '1' } as never);
  const provider: { verifies?: readonly string[]; reads: number } = { reads: 0 };
  const handIns = new HandIns({
    memory,
    namespace: 'ci-identity-system',
    clock: new VirtualClock(),
    readSecret: () => Promise.resolve({ type: 'Opaque', data: { credential: String(pem) }, annotations: {} }),
    issuer: () => ({
      signingAlgorithms: provider.verifies,
      readKey(text) {
        provider.reads += 1;
        return readPrivateKey(text, provider.verifies);
      },
    }),
    isConfigured: () => false,
    changed: () => undefined,
  });
  await handIns.refresh(new AbortController().signal);
  const read = (): unknown => {
    const state = handIns.existing(object);
    return state?.is === 'Usable' && state.credential.type === 'PrivateKeyJwt' ? state.credential.alg : state;
  };
  t.is(read(), 'RS256');
  provider.verifies = ['PS256', 'ES256'];
  t.is(read(), 'PS256');
  t.is(read(), 'PS256');
  t.is(provider.reads, 2, 'and not at each look');
});

test('a Secret that cannot be read keeps none of the others from being read, and its pool says why', async (t) => {
  const memory = new Memory('ci-identity-system');
  const pools = ['a', 'b', 'c'].map((name) => {
    const existing = { clientId: name, credentialRef: { name, key: 'credential' } };
    const object = pool({ client: { existing } }, { name, uid: name });
    memory.pools.put(name, { ...object, uid: name, resourceVersion: '1' } as never);
    return object;
  });
  const told: unknown[] = [];
  const forbidden = new Set(['a']);
  const handIns = new HandIns({
    memory,
    namespace: 'ci-identity-system',
    clock: new VirtualClock(),
    readSecret: (name) =>
      forbidden.has(name)
        ? Promise.reject(new OperatorError({ class: 'Waiting', reason: 'ApiForbidden', message: 'get a (403)' }))
        : Promise.resolve({ type: 'Opaque', data: { credential: String(pem) }, annotations: {} }),
    issuer: () => ({ signingAlgorithms: undefined, readKey: (text) => readPrivateKey(text, undefined) }),
    isConfigured: () => false,
    changed: (what) => told.push(what),
  });
  const refresh = () => handIns.refresh(new AbortController().signal);
  const states = () => pools.map((object) => handIns.existing(object)?.is);
  await t.throwsAsync(refresh(), { message: 'get a (403)' });
  await t.throwsAsync(refresh(), { message: 'get a (403)' });
  t.deepEqual(states(), ['Unknown', 'Usable', 'Usable']);
  t.like(handIns.existing(pools[0]!), {
    message: 'Secret ci-identity-system/a cannot be read (get a (403)). Let the operator read it; it is tried again.',
  });
  t.deepEqual(told, [{ pool: 'a' }, { pool: 'b' }, { pool: 'c' }], 'once');
  forbidden.clear();
  await refresh();
  t.deepEqual(states(), ['Usable', 'Usable', 'Usable']);
});
