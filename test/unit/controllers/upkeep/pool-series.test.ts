import test from 'ava';
import { Memory } from '#src/controllers/memory.ts';
import { PoolSeries } from '#src/controllers/upkeep/pool-series.ts';
import { Metrics } from '#src/telemetry/metrics.ts';
import { buildSessionRecord } from '#test/support/builders.ts';
import { pool } from '../../domain/access/objects.ts';

test('what was counted for a pool goes with its last token, a look after it was told for the last time', async (t) => {
  const memory = new Memory('ci-identity-system');
  const metrics = new Metrics();
  const series = new PoolSeries({ memory, metrics });
  for (const name of ['stays', 'goes'])
    memory.pools.put(name, { ...pool({}, { name, uid: name }), uid: name, resourceVersion: '1' });
  const record = buildSessionRecord({ pool: { name: 'goes', uid: 'goes' } });
  memory.sessions.put('session', { uid: 's', resourceVersion: '1', name: 'session', record });
  for (const name of ['stays', 'goes']) {
    metrics.count('ci_identity_tokens_revoked_total', { pool: name, outcome: 'Confirmed' });
    metrics.observe('ci_identity_token_request_seconds', { pool: name, operation: 'NewPod' }, 0.1);
  }
  const told = async (): Promise<string> => {
    await series.look();
    const names = [...(await metrics.registry.metrics()).matchAll(/pool="(\w+)"/g)].map(([, name = '']) => name);
    return ['goes', 'stays'].filter((name) => names.includes(name)).join();
  };
  t.is(await told(), 'goes,stays');
  memory.pools.remove('goes', 'goes');
  for (const _ of [1, 2, 3]) t.is(await told(), 'goes,stays', 'a session is left');
  memory.sessions.forget('session', 's');
  t.is(await told(), 'goes,stays', 'for the last time');
  t.is(await told(), 'stays');
});

test('a pool of the same name that was made meanwhile keeps what was counted', async (t) => {
  const memory = new Memory('ci-identity-system');
  const metrics = new Metrics();
  const series = new PoolSeries({ memory, metrics });
  const made = (uid: string): void =>
    memory.pools.put('p', { ...pool({}, { name: 'p', uid }), uid, resourceVersion: '1' });
  made('one');
  metrics.count('ci_identity_tokens_revoked_total', { pool: 'p', outcome: 'Confirmed' });
  memory.pools.remove('p', 'one');
  await series.look();
  made('two');
  for (const _ of [1, 2]) await series.look();
  t.regex(await metrics.registry.metrics(), /pool="p"/);
});
