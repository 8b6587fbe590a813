/** Alerts by promtool, and every query of the dashboard on a real Prometheus that scrapes the running operator. */
import test from 'ava';
import { eventually } from '#test/support/eventually.ts';
import { stopAfterwards } from '#test/support/hooks.ts';
import { type Lab, startLab } from '#test/support/lab.ts';
import { createPod, dies, identity, identityReady, policy, pool, team, tokenOf } from '#test/api/operator-lab.ts';
import { alertRows } from './alerts.ts';
import { alerts, queries, rules } from './manifests.ts';
import {
  type Prometheus,
  promtool,
  prometheusBinaries,
  startPrometheus,
  whyPrometheusIsMissing,
} from './prometheus.ts';

const missing = await whyPrometheusIsMissing();
const run = missing === undefined ? test.serial : test.serial.skip;
if (missing !== undefined) test(`skipped: ${missing}`, (t) => t.pass());

let lab: Lab | undefined;
let prometheus: Prometheus | undefined;

stopAfterwards(() => [prometheus, lab]);

run('promtool check rules', async (t) => {
  const { promtool: binary } = await prometheusBinaries((line) => t.log(line));
  const { code, text } = await promtool(binary, ['check', 'rules', 'rules.yaml'], { 'rules.yaml': rules.spec });
  t.is(code, 0, text);
  t.regex(text, new RegExp(`SUCCESS: ${alerts.length} rules found`));
});

run('promtool test rules: each alert fires when it shall, and is silent when it shall', async (t) => {
  const { promtool: binary } = await prometheusBinaries((line) => t.log(line));
  const severity = new Map(alerts.map(({ alert, labels }) => [alert, labels.severity]));
  const tests = alertRows.map(({ alert, series, at, fires }) => ({
    name: `${alert} at ${at}`,
    interval: '1m',
    input_series: Object.entries(series).map(([name, values]) => ({ series: name, values })),
    promql_expr_test: [
      {
        expr: `ALERTS{alertname="${alert}",alertstate="firing"}`,
        eval_time: at,
        exp_samples: fires.map((labels) => ({
          labels: `ALERTS{${Object.entries({
            alertname: alert,
            alertstate: 'firing',
            severity: severity.get(alert) ?? '',
            ...labels,
          })
            .map(([name, value]) => `${name}="${value}"`)
            .join(',')}}`,
          value: 1,
        })),
      },
    ],
  }));
  const files = {
    'rules.yaml': rules.spec,
    'tests.yaml': { rule_files: ['rules.yaml'], evaluation_interval: '1m', tests },
  };
  const { code, text } = await promtool(binary, ['test', 'rules', 'tests.yaml'], files);
  t.is(code, 0, text);
});

run(
  'every query of the dashboard answers on a Prometheus that scrapes the operator, and every rule is evaluated',
  async (t) => {
    const { prometheus: binary } = await prometheusBinaries((line) => t.log(line));
    lab = await startLab({ tokenLifetime: 600, deliveryLag: '10s' });
    const operator = await lab.running();
    await lab.apply(
      pool('ci-bots', lab.provider.issuer),
      policy('publishers', { role: 'publisher', pool: 'ci-bots', scopes: ['artifacts:publish', 'artifacts:read'] }),
      identity('publisher', { pool: 'ci-bots', roles: ['publisher'] }),
    );
    await identityReady(lab, 'publisher');
    const { metrics } = await operator.ports();
    prometheus = await startPrometheus({ binary, target: `127.0.0.1:${metrics}`, rules: rules.spec });
    const pod = await createPod(lab, 'payments-deploy-1-x7k2p-q0b4t-m1wz9', ['publisher']);
    const token = await tokenOf(lab, pod, 'publisher');
    await lab.kubectl(['delete', 'pod', '-n', team, pod.name, '--wait=false']);
    await dies(lab.provider, token);
    const scraper = prometheus;
    for (const { title, expr } of queries) {
      const samples = await eventually(`panel ${title} has data: ${expr}`, async () => {
        const found = await scraper.query(expr);
        return found.length > 0 ? found : undefined;
      });
      t.true(samples.length > 0, `${title}: ${expr}`);
    }
    const evaluated = await eventually('every rule was evaluated', async () => {
      const all = await scraper.rules();
      return all.every(({ health }) => health !== 'unknown') ? all : undefined;
    });
    t.deepEqual(
      evaluated.filter(({ health }) => health !== 'ok'),
      [],
    );
    t.is(evaluated.length, alerts.length);
    const firing = await scraper.query('ALERTS{alertstate="firing"}');
    t.deepEqual(
      firing.map(({ metric }) => metric['alertname']),
      [],
      'nothing is wrong, so nothing fires',
    );
  },
);
