/** The manifests of monitoring against the table of metrics: no alert and no panel asks for what does not exist. */
import test from 'ava';
import { readFileSync } from 'node:fs';
import { metricTable } from '#src/telemetry/metric-table.ts';
import { alertRows } from '#test/monitoring/alerts.ts';
import { alerts, queries, runbooks } from '#test/monitoring/manifests.ts';

interface Row {
  readonly type: string;
  readonly labels: readonly string[];
}

const table: ReadonlyMap<string, Row> = new Map(
  Object.entries(metricTable as Readonly<Record<string, Row>>).flatMap(([name, row]) =>
    row.type === 'histogram'
      ? [[`${name}_bucket`, { ...row, labels: [...row.labels, 'le'] }] as const]
      : [[name, row] as const],
  ),
);

/** Of the process itself, which the client library serves beside ours; every process that is scraped has them. */
const ofAnyProcess: readonly string[] = ['process_open_fds', 'process_max_fds', 'process_resident_memory_bytes'];

/** What an expression asks for that no row of the table gives. */
function unknownIn(expr: string): readonly string[] {
  const names = [...expr.matchAll(/\bci_identity_\w+/g)].map(([name]) => name);
  const others = [...expr.matchAll(/\b(?:process|nodejs)_\w+/g)].map(([name]) => name);
  // Prometheus names the process; joined with a metric of ours that is one of us.
  const labels = new Set([...names.flatMap((name) => table.get(name)?.labels ?? []), 'job', 'instance']);
  const used = [
    ...[...expr.matchAll(/\{([^}]*)\}/g)].flatMap(([, inside = '']) => [...inside.matchAll(/(\w+)\s*[=!]/g)]),
    ...[...expr.matchAll(/\b(?:by|on) \(([^)]*)\)/g)].flatMap(([, inside = '']) => [...inside.matchAll(/(\w+)/g)]),
  ].map(([, label = '']) => label);
  return [
    ...names.filter((name) => !table.has(name)),
    ...others.filter((name) => !ofAnyProcess.includes(name)),
    ...used.filter((label) => !labels.has(label)),
    ...(names.length === 0 ? ['no metric of ours'] : []),
  ];
}

for (const { alert, expr, labels, annotations } of alerts) {
  test(`alert ${alert}: metrics of the table, a severity, words, a runbook and a test`, (t) => {
    t.deepEqual(unknownIn(expr), []);
    t.true(['critical', 'warning', 'info'].includes(labels.severity));
    for (const name of ['summary', 'description']) t.regex(annotations[name] ?? '', /^[A-Z{].{20,}\.$/);
    t.is(annotations['runbook_url'], `manifests/monitoring/README.md#${alert.toLowerCase()}`);
    const section = runbooks.split(`\n### ${alert}\n`)[1]?.split('\n### ')[0] ?? '';
    t.regex(section, new RegExp(`^\\n${labels.severity}\\. `), 'its section begins with its severity');
    t.regex(section, /\n1\. ./, 'and has a first step');
    const rows = alertRows.filter((row) => row.alert === alert);
    t.true(rows.some(({ fires }) => fires.length > 0) && rows.some(({ fires }) => fires.length === 0));
    const used = [
      ...Object.values(annotations)
        .join(' ')
        .matchAll(/\$labels\.(\w+)/g),
    ].map(([, label]) => label);
    for (const { fires } of rows)
      for (const fired of fires) for (const label of used) t.true(label !== undefined && label in fired, `${label}`);
  });
}

for (const { title, expr } of queries) test(`panel ${title}: ${expr}`, (t) => t.deepEqual(unknownIn(expr), []));

test('the alert of memory speaks of 80 % of the limit that is shipped', (t) => {
  const manifest = readFileSync(new URL('../../manifests/controller/deployment.yaml', import.meta.url), 'utf8');
  const limit = Number(/limits: \{ memory: (\d+)Mi \}/.exec(manifest)?.[1]);
  const { expr = '' } = alerts.find(({ alert }) => alert === 'CiIdentityMemoryNearLimit') ?? {};
  t.is(Number(/> (\d+)$/.exec(expr)?.[1]), Math.floor(limit * 0.8));
});

test('every row of the promtool tests and every runbook belongs to an alert', (t) => {
  const names = alerts.map(({ alert }) => alert);
  t.is(new Set(names).size, names.length);
  t.deepEqual([...new Set(alertRows.map(({ alert }) => alert))].toSorted(), names.toSorted());
  const sections = [...runbooks.matchAll(/^### (\w+)$/gm)].map(([, name]) => name ?? '');
  t.deepEqual(sections.toSorted(), names.toSorted());
});

/** Seen only by people who look for them, with a reason. */
const onNoPanel: readonly string[] = [];

test('every metric is on a panel', (t) => {
  const all = queries.map(({ expr }) => expr).join('\n');
  t.deepEqual(
    Object.keys(metricTable).filter((name) => !all.includes(name)),
    [...onNoPanel],
  );
});
