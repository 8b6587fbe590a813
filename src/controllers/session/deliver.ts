import { deliverySecretName } from '../../api/names.ts';
import type { Reason } from '../../api/reasons.ts';
import { type Clock, type Instant, second } from '../../clock.ts';
import { type Rendered, renderEmpty, renderError, renderToken } from '../../domain/delivery/render.ts';
import type { DeliveredError, SessionAction, SessionSnapshot } from '../../domain/session/machine.ts';
import { newestOf } from '../../domain/session/record.ts';
import type { Deliveries } from '../../kube/deliveries.ts';
import type { Effects } from '../../runtime/effect.ts';
import type { Metrics } from '../../telemetry/metrics.ts';
import { deadlines } from '../deadlines.ts';
import type { EffectName } from '../effect-names.ts';
import { type SessionAudit, heldToken } from '../telling/session-audit.ts';
import { type DeliveredState, isNewDenial, lastDelivery } from './delivered.ts';
import type { SessionLimits } from './limits.ts';
import { jitterOf, parseSessionKey } from './key.ts';

type Deliver = Extract<SessionAction, { type: 'Deliver' }>;

export interface DelivererOptions {
  /** By session: what this process delivered last. */
  readonly delivered: Map<string, DeliveredState>;
  readonly deliveries: Deliveries;
  readonly limits: Pick<SessionLimits, 'refused'>;
  readonly effects: Effects<EffectName>;
  readonly audit: SessionAudit;
  readonly metrics: Metrics;
  readonly clock: Clock;
  /** How the delivery of a Secret into a namespace ended; `error` absent: it is there. */
  written(namespace: string, error?: unknown): void;
  /** Somebody should hear that a pod got an error instead of a token; `isNew`: it counts. */
  denied(key: string, error: DeliveredError, isNew: boolean): void;
}

/** One delivery under way. */
interface Work {
  readonly key: string;
  readonly s: SessionSnapshot;
  readonly action: Deliver;
  readonly reason: Reason;
  readonly rendered: Rendered;
  readonly before: DeliveredState | undefined;
}

const deliveryEvents = { Token: 'Delivered', Error: 'Denied', Empty: 'Emptied' } as const;

/** The action Deliver: one write of the Secret in the pod's namespace, and what is remembered and told of it. */
export class Deliverer {
  readonly #o: DelivererOptions;

  constructor(options: DelivererOptions) {
    this.#o = options;
  }

  async deliver(key: string, s: SessionSnapshot, action: Deliver, reason: Reason, signal: AbortSignal): Promise<void> {
    const rendered = render(key, s, action);
    if (rendered === undefined) return;
    const work: Work = { key, s, action, reason, rendered, before: this.#o.delivered.get(key) };
    const written = await this.#write(work, signal);
    const at = this.#o.clock.now();
    this.#o.delivered.set(key, { ...deliveredBy(work), at, ...written });
    if (written === undefined) return;
    this.#deny(work);
    this.#record(work);
    this.#count(work, at);
  }

  async #write({ key, s, action, rendered, before }: Work, signal: AbortSignal): ReturnType<Deliveries['replace']> {
    const { namespace, pod, podUid, identity } = parseSessionKey(key);
    const delivery = {
      namespace,
      name: deliverySecretName(identity, pod),
      data: Object.fromEntries(Object.entries(rendered.data).map(([file, text]) => [file, text.reveal()])),
      pod: { name: pod, uid: podUid },
    };
    const last = lastDelivery(s, before);
    const written = await this.#o.effects
      .run('session.Deliver.write', { deadline: deadlines.sessionWrite, signal }, (bounded) =>
        action.content === 'Empty'
          ? this.#o.deliveries.replace(delivery, last, bounded)
          : this.#o.deliveries.put(delivery, last, bounded),
      )
      .catch((error: unknown) => {
        // Somebody wrote in between, or took it away: the next attempt overwrites whatever is there.
        this.#o.delivered.delete(key);
        this.#o.written(namespace, error);
        throw error;
      });
    this.#o.written(namespace);
    return written;
  }

  #deny({ key, s, action, rendered, before }: Work): void {
    if (action.content !== 'Error') return;
    // The very same once more, because the pod seems to miss it, is no other denial.
    if (before?.content === 'Error' && before.digest === rendered.digest) return;
    this.#o.denied(key, action.error, isNewDenial(s, before));
    const { namespace, identity } = parseSessionKey(key);
    if (action.error.reason === 'LimitReached') this.#o.limits.refused(namespace, identity);
  }

  #record({ key, s, action, reason }: Work): void {
    this.#o.audit.record(key, s, {
      event: deliveryEvents[action.content],
      outcome: action.content === 'Error' ? 'Failure' : 'Success',
      reason,
      ...(action.content === 'Error' ? { message: action.error.message } : {}),
      ...(action.content === 'Token' && s.record !== undefined ? heldToken(s.record, newestOf(s.record)) : {}),
    });
  }

  /** How long a pod waited for its first token, where that was minted before the eyes of this process. */
  #count({ s: { record, pod, seenSince }, action, before }: Work, at: Instant): void {
    if (action.content !== 'Token' || before !== undefined) return;
    if (record?.tokens.length !== 1 || pod.is !== 'Seen' || seenSince === undefined) return;
    if (newestOf(record).minted < seenSince) return;
    const took = (at - pod.value.created) / second;
    this.#o.metrics.observe('ci_identity_delivery_seconds', { pool: record.pool.name }, took);
  }
}

function render(key: string, s: SessionSnapshot, action: Deliver): Rendered | undefined {
  if (action.content === 'Error') return renderError(action.error);
  if (action.content === 'Empty') return renderEmpty();
  return s.record === undefined ? undefined : renderToken(s.record, s.deliveryLag, jitterOf(key));
}

function deliveredBy({ action, rendered, before }: Work): Omit<DeliveredState, 'at'> {
  return {
    digest: rendered.digest,
    content: action.content,
    ...(action.content === 'Error' ? { error: action.error } : {}),
    ...(action.content !== 'Empty' && action.again !== undefined ? { again: (before?.again ?? 0) + 1 } : {}),
  };
}
