import type { Clock } from '../../clock.ts';
import type { Guard } from '../../domain/access/access.ts';
import type { AuditFacts, AuditLog } from '../../telemetry/audit.ts';
import { RepeatSuppressor } from '../../telemetry/repeat-suppressor.ts';
import { GuardAudit } from './guard-audit.ts';
import type { Memory } from '../memory.ts';
import { RequestAudit } from './request-audit.ts';
import { SessionAudit } from './session-audit.ts';
import { StopAudit } from './stop-audit.ts';

/**
 * Audit lines that belong to no single action: that this process leads, stops that were set and lifted, requests, admission policies that are not
 * whole, denials that were repeated.
 */
export class Auditors {
  readonly sessions: SessionAudit;
  readonly #log: AuditLog;
  readonly #stops: StopAudit;
  readonly #requests: RequestAudit;
  readonly #guard: GuardAudit;
  readonly #refusals: RepeatSuppressor<AuditFacts>;
  #led = false;

  constructor(log: AuditLog, memory: Memory, clock: Clock) {
    this.#log = log;
    this.sessions = new SessionAudit(log, memory, clock);
    const leads = (): boolean => this.#led;
    this.#stops = new StopAudit(memory, log, leads);
    this.#requests = new RequestAudit(memory, log, leads);
    this.#guard = new GuardAudit(log, leads);
    this.#refusals = new RepeatSuppressor(clock, (line, repeated) =>
      log.record(repeated === 0 ? line : { ...line, repeated }),
    );
  }

  /** This process leads from now on. */
  begin(epoch: number, guard: Guard): void {
    this.#led = true;
    this.#log.record({ event: 'Started', outcome: 'Success', reason: 'Ready', message: `epoch ${epoch}` });
    this.#stops.begin();
    this.#requests.begin();
    this.#guard.begin(guard);
  }

  /** The admission policies are so from now on. */
  guarded(guard: Guard): void {
    this.#guard.look(guard);
  }

  /** A provider refused a call that changes a client: what is tried in vain again and again is counted. */
  refused(line: AuditFacts): void {
    const { event, reason, pool, namespace, identity, generation } = line;
    this.#refusals.say(JSON.stringify([event, reason, pool, namespace, identity, generation]), line);
  }

  /** To be called about once a second. */
  look(): void {
    if (this.#led) this.#flush(false);
  }

  /** The lease is lost: only what this process has counted and not told yet, because another one speaks by now. */
  leaseLost(): void {
    if (this.#led) this.#flush(true);
    this.#led = false;
  }

  /** An orderly end. */
  end(): void {
    if (!this.#led) return;
    this.#flush(true);
    this.#log.record({ event: 'Stopped', outcome: 'Success', reason: 'Settled' });
    this.#led = false;
  }

  #flush(all: boolean): void {
    this.sessions.flush(all);
    this.#refusals.flush(all);
  }
}
