import { apiVersion } from '../../api/names.ts';
import type { Reason } from '../../api/reasons.ts';
import { type Milliseconds, second } from '../../clock.ts';
import type { Decision } from '../../decision.ts';
import { LostLeaseError, OperatorError } from '../../errors.ts';
import type { ClientRecord } from '../../domain/client/record.ts';
import type { Telling } from '../../domain/client/telling.ts';
import type { DeliveredError } from '../../domain/session/machine.ts';
import { unreadable } from '../../domain/session/explain.ts';
import type { EventRecorder, Regarding } from '../../kube/events.ts';
import type { Logger } from '../../telemetry/logger.ts';
import type { Metrics } from '../../telemetry/metrics.ts';
import type { StoredRecord } from '../../kube/records.ts';
import type { Memory } from '../memory.ts';
import type { RefusedCalls } from './refused-calls.ts';
import { parseSessionKey } from '../session/key.ts';
import { machines } from '../machine-names.ts';

/** Steps that every new object takes, before it is ready for the first time. */
const progress: readonly string[] = [
  'Registering',
  'CredentialUnverified',
  'WaitingForClient',
  'Probing',
] satisfies readonly Reason[];

/** A warning is for somebody who has to do something. */
export function eventType(ready: boolean, reason: string): 'Normal' | 'Warning' {
  return ready || progress.includes(reason) ? 'Normal' : 'Warning';
}

/** So many conflicts in a row are no race any more: somebody always writes first, or what is known is wrong. */
const stubborn = 5;

/** Tells people: log lines for what the loop does, events on the objects that people look at. Never blocks, never throws. */
export class Reporter {
  readonly #o: {
    readonly memory: Memory;
    readonly events: EventRecorder;
    readonly logger: Logger;
    readonly metrics: Metrics;
    readonly refusedCalls: Pick<RefusedCalls, 'note'>;
  };

  constructor(options: {
    memory: Memory;
    events: EventRecorder;
    logger: Logger;
    metrics: Metrics;
    refusedCalls: Pick<RefusedCalls, 'note'>;
  }) {
    this.#o = options;
    const { clients, sessions } = options.memory;
    clients.onChange((...change) => this.#problem('record of a client', ...change));
    sessions.onChange((...change) => this.#problem('record of a session', ...change));
  }

  #problem(what: string, name: string, next?: StoredRecord<unknown>, previous?: StoredRecord<unknown>): void {
    if (next?.invalid === undefined || next.invalid === previous?.invalid) return;
    this.#o.logger.warn(what, { name, problem: next.invalid, kept: next.record !== undefined });
  }

  decision(machine: string, key: string, decision: Decision<unknown>, previousRow?: string): void {
    const { row, reason } = decision;
    this.#o.logger.debug('decided', { machine, key, row, reason, previousRow });
    if (machine === machines.session && reason === 'RecordInvalid' && row !== previousRow)
      this.onPod(key, reason, `${unreadable.why}. ${unreadable.fix}`);
  }

  /** The class decides how loud it is: a conflict is nobody's business until it is stubborn, a bug is everybody's. */
  failure(machine: string, key: string, row: string, error: unknown, attempts: number): void {
    const { logger, metrics } = this.#o;
    if (error instanceof LostLeaseError) return;
    const known = error instanceof OperatorError ? error : undefined;
    const reason = known?.reason ?? 'InternalError';
    metrics.count('ci_identity_failures_total', { machine, reason });
    if (known !== undefined) this.#o.refusedCalls.note(known);
    const fields = { machine, key, row, attempts, reason, error };
    if (known === undefined) logger.error('bug', fields);
    else if (known.class === 'Conflict') logger[attempts < stubborn ? 'debug' : 'warn']('conflict', fields);
    else if (known.class === 'Waiting') logger.info('waits', fields);
    else logger.warn(known.class === 'Terminal' ? 'refused' : 'failed', fields);
    if (machine === machines.session && known !== undefined && known.class !== 'Conflict')
      this.onPod(key, known.reason, known.message);
  }

  /** A listener of a store failed: what it should have woken or noted waits for the next change. */
  listenerFailed(error: unknown, store: string): void {
    this.#o.metrics.count('ci_identity_failures_total', { machine: 'memory', reason: 'InternalError' });
    this.#o.logger.error('bug', { store, error });
  }

  /** Work was carried out. */
  worked(machine: string, outcome: string, took: Milliseconds): void {
    this.#o.metrics.count('ci_identity_decisions_total', { machine, outcome });
    this.#o.metrics.observe('ci_identity_work_seconds', { machine }, took / second);
  }

  /** A step in the life of a client's credential. */
  credential({ pool, namespace, identity }: ClientRecord, { step, generation, reason, message, good }: Telling): void {
    if ((step === 'Activated' && generation > 1) || step === 'RolledBack')
      this.#o.metrics.count('ci_identity_rotations_total', { pool: pool.name, outcome: step });
    const owner =
      identity === undefined ? namespace && `namespace ${namespace}` : `CiIdentity ${namespace}/${identity.name}`;
    this.#o.events.record({
      regarding: { apiVersion, kind: 'IdentityPool', name: pool.name, uid: pool.uid },
      type: good ? 'Normal' : 'Warning',
      reason,
      message: `IdentityPool ${pool.name}: ${owner === undefined ? '' : `client of ${owner}: `}${message}`,
    });
  }

  /** An object's summary changed: the event carries the sentence of the condition. */
  readyChanged(regarding: Regarding, ready: boolean, reason: string, message: string): void {
    this.#o.events.record({ regarding, type: eventType(ready, reason), reason, message });
  }

  /** A pod got `error.json` instead of a token. */
  denied(key: string, { reason, message, fix }: DeliveredError, isNew: boolean): void {
    if (isNew) this.#o.metrics.count('ci_identity_denials_total', { reason });
    this.onPod(key, reason, message);
    const { namespace, identity } = parseSessionKey(key);
    const known = this.#o.memory.identity(namespace, identity);
    if (known.is !== 'Seen') return;
    const { uid = '' } = known.value.metadata;
    // What its own condition says too is then one event with it.
    const said = message.replace(`CiIdentity ${namespace}/${identity}: `, '');
    this.readyChanged(
      { apiVersion, kind: 'CiIdentity', name: identity, namespace, uid },
      reason === 'Suspended',
      reason,
      said.endsWith('.') ? said : `${said}. ${fix}`,
    );
  }

  /** Something about the session that its pod's people should hear. */
  onPod(key: string, reason: Reason, message: string): void {
    const { namespace, pod, podUid } = parseSessionKey(key);
    this.#o.events.record({
      regarding: { apiVersion: 'v1', kind: 'Pod', name: pod, namespace, uid: podUid },
      type: 'Warning',
      reason,
      message: message.slice(0, 1_000),
    });
  }
}
