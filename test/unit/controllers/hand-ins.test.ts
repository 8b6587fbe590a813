import { generateKeyPairSync } from 'node:crypto';
import test from 'ava';
import { HandIns } from '#src/controllers/hand-ins.ts';
import { Memory } from '#src/controllers/memory.ts';
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
