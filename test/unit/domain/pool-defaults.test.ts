import test from 'ava';
import { day, hour, minute } from '#src/clock.ts';
import * as defaults from '#src/domain/pool-defaults.ts';
import { pool } from './access/objects.ts';

const ceiling = { scopes: ['a'], audiences: ['https://registry.example.com'] };
const silent = pool({ ceiling });
const explicit = pool({
  ceiling: { ...ceiling, maxTokenLifetime: '5m', maxSessionAge: '2h', onExceed: 'RevokeEarly' },
  client: { per: 'Identity', authentication: 'ClientSecretPost' },
  rotation: { every: '30d', overlap: '2h' },
  deletionPolicy: 'Retain',
});

for (const [name, by, unsaid, said] of [
  ['client.per', defaults.clientsPer, 'Pool', 'Identity'],
  ['client.authentication', defaults.authenticationOf, 'PrivateKeyJwt', 'ClientSecretPost'],
  ['rotation.every', defaults.rotateEvery, 90 * day, 30 * day],
  ['rotation.overlap', defaults.rotationOverlap, hour, 2 * hour],
  ['ceiling.maxTokenLifetime', defaults.maxTokenLifetime, 15 * minute, 5 * minute],
  ['ceiling.maxSessionAge', defaults.maxSessionAge, 24 * hour, 2 * hour],
  ['ceiling.onExceed', defaults.onExceed, 'Refuse', 'RevokeEarly'],
  ['deletionPolicy', defaults.deletionPolicyOf, 'Delete', 'Retain'],
] as const) {
  test(`${name} of a pool is ${unsaid} where its spec does not say, and otherwise what it says`, (t) => {
    t.deepEqual([by(silent), by(explicit)], [unsaid, said]);
  });
}
