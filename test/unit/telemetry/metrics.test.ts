import { globSync, readFileSync } from 'node:fs';
import test from 'ava';
import { metricTable } from '#src/telemetry/metric-table.ts';
import { type MetricName, Metrics } from '#src/telemetry/metrics.ts';

const allowedLabels = ['pool', 'issuer', 'operation', 'outcome', 'reason', 'machine', 'lane', 'watch', 'credential'];
/** What a gauge may count besides seconds: the last word of its name. */
const gaugeUnits =
  'seconds keys synced live generation intact leader blocked misses lines pending up ready current orphans'.split(' ');
const table = Object.entries(metricTable) as [MetricName, { type: string; help: string; labels: readonly string[] }][];

for (const [name, { type, help, labels }] of table) {
  test(`${name}: name, unit, help and labels`, (t) => {
    t.regex(name, /^ci_identity_[a-z_]+$/);
    t.is(name.endsWith('_total'), type === 'counter', 'counters, and only they, end in _total');
    if (type === 'histogram') t.true(name.endsWith('_seconds'));
    if (type === 'gauge') t.true(gaugeUnits.includes(name.split('_').at(-1) ?? ''));
    t.regex(help, /^[A-Z1].{10,}\.$/);
    for (const label of labels) t.true(allowedLabels.includes(label), `${label} may grow with pods or identities`);
  });
}

test('every metric is fed somewhere', (t) => {
  const sources = globSync('src/**/*.ts', { exclude: ['src/telemetry/**'] }).map((file) => readFileSync(file, 'utf8'));
  const unfed = table.map(([name]) => name).filter((name) => !sources.some((source) => source.includes(`'${name}'`)));
  t.deepEqual(unfed, []);
});

async function exposed(metrics: Metrics): Promise<readonly string[]> {
  return (await metrics.registry.metrics()).split('\n').filter((line) => line.startsWith('ci_identity_'));
}

test('nothing is exposed before it was observed: 0 would be a statement', async (t) => {
  t.deepEqual(await exposed(new Metrics()), []);
});

test('counters count, gauges are set, a reset forgets label values, and two registries do not share', async (t) => {
  const metrics = new Metrics();
  metrics.count('ci_identity_denials_total', { reason: 'NoRule' });
  metrics.count('ci_identity_denials_total', { reason: 'NoRule' }, 2);
  metrics.set('ci_identity_sessions_live', { pool: 'old' }, 3);
  metrics.reset('ci_identity_sessions_live');
  metrics.set('ci_identity_sessions_live', { pool: 'new' }, 1);
  metrics.set('ci_identity_leader', {}, 0);
  t.deepEqual((await exposed(metrics)).toSorted(), [
    'ci_identity_denials_total{reason="NoRule"} 3',
    'ci_identity_leader 0',
    'ci_identity_sessions_live{pool="new"} 1',
  ]);
  t.deepEqual(await exposed(new Metrics()), []);
});

test('histograms: buckets from one API call to a kubelet sync, sum and count', async (t) => {
  const metrics = new Metrics();
  metrics.observe('ci_identity_delivery_seconds', { pool: 'p' }, 0.3);
  const lines = await exposed(metrics);
  t.true(lines.includes('ci_identity_delivery_seconds_bucket{le="0.25",pool="p"} 0'));
  t.true(lines.includes('ci_identity_delivery_seconds_bucket{le="0.5",pool="p"} 1'));
  t.true(lines.includes('ci_identity_delivery_seconds_sum{pool="p"} 0.3'));
  t.true(lines.includes('ci_identity_delivery_seconds_count{pool="p"} 1'));
});

test('the process itself is measured too', async (t) => {
  t.regex(await new Metrics().registry.metrics(), /^process_resident_memory_bytes \d+/m);
});
