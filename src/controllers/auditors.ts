import type { Clock } from '../clock.ts';
import type { Guard } from '../domain/access/access.ts';
import type { AuditLog } from '../telemetry/audit.ts';
import { GuardAudit } from './guard-audit.ts';
import type { Memory } from './memory.ts';
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
  #led = false;

  constructor(log: AuditLog, memory: Memory, clock: Clock) {
    this.#log = log;
    this.sessions = new SessionAudit(log, memory, clock);
    const leads = (): boolean => this.#led;
    this.#stops = new StopAudit(memory, log, leads);
    this.#requests = new RequestAudit(memory, log, leads);
    this.#guard = new GuardAudit(log, leads);
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

  /** To be called about once a second. */
  look(): void {
    if (this.#led) this.sessions.flush();
  }

  /** The lease is lost: only what this process has counted and not told yet, because another one speaks by now. */
  leave(): void {
    if (this.#led) this.sessions.flush(true);
    this.#led = false;
  }

  /** An orderly end. */
  end(): void {
    if (!this.#led) return;
    this.sessions.flush(true);
    this.#log.record({ event: 'Stopped', outcome: 'Success', reason: 'Settled' });
    this.#led = false;
  }
}
