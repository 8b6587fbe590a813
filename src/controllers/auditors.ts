import type { Clock } from '../clock.ts';
import type { AuditLog } from '../telemetry/audit.ts';
import type { Memory } from './memory.ts';
import { SessionAudit } from './session-audit.ts';
import { StopAudit } from './stop-audit.ts';

/** Audit lines that belong to no single action: that this process leads, stops that were set and lifted, denials that were repeated. */
export class Auditors {
  readonly sessions: SessionAudit;
  readonly #log: AuditLog;
  readonly #stops: StopAudit;
  #led = false;

  constructor(log: AuditLog, memory: Memory, clock: Clock) {
    this.#log = log;
    this.sessions = new SessionAudit(log, memory, clock);
    this.#stops = new StopAudit(memory, log);
  }

  /** This process leads from now on. */
  begin(epoch: number): void {
    this.#led = true;
    this.#log.record({ event: 'Started', outcome: 'Success', reason: 'Ready', message: `epoch ${epoch}` });
  }

  /** To be called about once a second. */
  look(): void {
    if (!this.#led) return;
    this.#stops.look();
    this.sessions.flush();
  }

  /** The lease is lost: only what this process has counted and not told yet, because another one speaks by now. */
  leave(): void {
    if (this.#led) this.sessions.flush(true);
  }

  /** An orderly end. */
  end(): void {
    if (!this.#led) return;
    this.sessions.flush(true);
    this.#log.record({ event: 'Stopped', outcome: 'Success', reason: 'Settled' });
  }
}
