import { Counter, Gauge, Histogram, Registry, collectDefaultMetrics } from 'prom-client';

interface Definition {
  readonly type: 'counter' | 'gauge' | 'histogram';
  readonly help: string;
  readonly labels: readonly Label[];
}

/** The only labels that exist; none of them grows with pods, jobs or identities. */
type Label = 'pool' | 'issuer' | 'operation' | 'outcome' | 'reason' | 'machine' | 'lane' | 'watch';

/** Seconds; from one API call to a kubelet's sync period. */
const buckets = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30];

/** Every metric, its labels and its help. Names are `ci_identity_<noun>_<unit>` and stable. */
export const metricTable = {
  ci_identity_decisions_total: {
    type: 'counter',
    help: 'Work that was carried out, by machine, and how it ended.',
    labels: ['machine', 'outcome'],
  },
  ci_identity_failures_total: {
    type: 'counter',
    help: 'Failed work by machine and reason.',
    labels: ['machine', 'reason'],
  },
  ci_identity_effect_seconds: {
    type: 'histogram',
    help: 'Duration of each outside call (API server or provider) by operation and outcome.',
    labels: ['operation', 'outcome'],
  },
  ci_identity_queue_depth_keys: { type: 'gauge', help: 'Keys that wait for a worker, by lane.', labels: ['lane'] },
  ci_identity_watch_synced: { type: 'gauge', help: '1 while a watch is complete and current.', labels: ['watch'] },
  ci_identity_watch_age_seconds: {
    type: 'gauge',
    help: 'Seconds since the last byte of a watch.',
    labels: ['watch'],
  },
  ci_identity_sessions_live: { type: 'gauge', help: 'Sessions that hold a usable token.', labels: ['pool'] },
  ci_identity_tokens_minted_total: {
    type: 'counter',
    help: 'Token requests by pool and outcome; the reason of a failure.',
    labels: ['pool', 'outcome', 'reason'],
  },
  ci_identity_tokens_revoked_total: {
    type: 'counter',
    help: 'Revocations by pool and outcome (Confirmed, Requested, NotSupported, Failed).',
    labels: ['pool', 'outcome'],
  },
  ci_identity_delivery_seconds: {
    type: 'histogram',
    help: 'From the creation of a pod to its token in the delivery Secret (first token only).',
    labels: ['pool'],
  },
  ci_identity_provider_calls_total: {
    type: 'counter',
    help: 'Calls to identity providers by issuer, operation and outcome.',
    labels: ['issuer', 'operation', 'outcome'],
  },
  ci_identity_denials_total: {
    type: 'counter',
    help: 'Sessions that were refused a token, by reason.',
    labels: ['reason'],
  },
  ci_identity_credential_generation: {
    type: 'gauge',
    help: 'Generation of the newest current credential of a pool.',
    labels: ['pool'],
  },
  ci_identity_credential_since_seconds: {
    type: 'gauge',
    help: 'Unix time at which the oldest current credential of a pool became current.',
    labels: ['pool'],
  },
  ci_identity_credential_next_rotation_seconds: {
    type: 'gauge',
    help: 'Unix time of the next rotation by schedule in a pool, the window counted in; in the past: it is overdue.',
    labels: ['pool'],
  },
  ci_identity_rotations_total: {
    type: 'counter',
    help: 'Rotations by pool: a new credential mints (Activated), or never came to work (RolledBack).',
    labels: ['pool', 'outcome'],
  },
  ci_identity_guard_intact: {
    type: 'gauge',
    help: '1 while the admission policies are what this version ships.',
    labels: [],
  },
  ci_identity_configuration_current: {
    type: 'gauge',
    help: '1 while the configuration file is the configuration in force; 0: it was changed and cannot be used.',
    labels: [],
  },
  ci_identity_leader: { type: 'gauge', help: '1 while this process holds the lease.', labels: [] },
  ci_identity_injection_misses: {
    type: 'gauge',
    help: 'Running agent pods that an identity selects but that were created without it.',
    labels: [],
  },
} as const satisfies Readonly<Record<string, Definition>>;

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
      else this.#made.set(name, new Histogram({ ...base, buckets }));
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
