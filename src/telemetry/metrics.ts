import { Counter, Gauge, Histogram, Registry, collectDefaultMetrics } from 'prom-client';
import { type Definition, type Label, metricTable } from './metric-table.ts';

/** Seconds; from one API call to an outage that lasts. */
const buckets = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 900];

export type MetricName = keyof typeof metricTable;
type Labels<N extends MetricName> = Readonly<Record<(typeof metricTable)[N]['labels'][number], string>>;

/** The metrics of one process; a registry of its own, so that tests may run several. */
export class Metrics {
  readonly registry = new Registry();
  readonly #made = new Map<MetricName, Counter | Gauge | Histogram>();

  constructor() {
    collectDefaultMetrics({ register: this.registry });
    for (const [name, definition] of Object.entries(metricTable) as [MetricName, Definition][]) {
      const base = { name, help: definition.help, labelNames: [...definition.labels], registers: [this.registry] };
      if (definition.type === 'counter') this.#made.set(name, new Counter(base));
      else if (definition.type === 'gauge') this.#made.set(name, unsetGauge(base));
      else this.#made.set(name, new Histogram({ ...base, buckets: [...(definition.buckets ?? buckets)] }));
    }
  }

  count<N extends MetricName>(name: N, labels: Labels<N>, by = 1): void {
    const metric = this.#made.get(name);
    if (metric instanceof Counter) metric.inc(labels, by);
  }

  set<N extends MetricName>(name: N, labels: Labels<N>, value: number): void {
    const metric = this.#made.get(name);
    if (metric instanceof Gauge) metric.set(labels, value);
  }

  /** Forgets all label values of a gauge, before a fresh count is set. */
  reset(name: MetricName): void {
    this.#made.get(name)?.reset();
  }

  /** Takes every series off in which this label has one of these values. */
  async forget(label: Label, values: ReadonlySet<string>): Promise<void> {
    for (const [name, metric] of this.#made) {
      if (!(metricTable[name].labels as readonly Label[]).includes(label)) continue;
      for (const { labels } of (await metric.get()).values) {
        const { le: _, ...own } = labels as Readonly<Record<string, string>>;
        if (values.has(own[label] ?? '')) metric.remove(own);
      }
    }
  }

  /** `seconds` since the start of what is measured. */
  observe<N extends MetricName>(name: N, labels: Labels<N>, seconds: number): void {
    const metric = this.#made.get(name);
    if (metric instanceof Histogram) metric.observe(labels, seconds);
  }
}

/** prom-client starts a gauge without labels at 0, which would be a statement (`not the leader`, `nothing missed`) before anybody looked. */
function unsetGauge(base: ConstructorParameters<typeof Gauge>[0]): Gauge {
  const gauge = new Gauge(base);
  if (base.labelNames?.length === 0) gauge.remove();
  return gauge;
}
