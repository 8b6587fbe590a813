import { toRfc3339 } from '../../clock.ts';
import type { Guard } from '../../domain/access/access.ts';
import type { AuditLog } from '../../telemetry/audit.ts';

/**
 * Audit lines about the admission policies, without which a pod could claim what its creator may not use: that they are not whole, or whole
 * again. What is so when this process begins to lead is told once more, because nobody knows what was told before.
 */
export class GuardAudit {
  readonly #audit: AuditLog;
  readonly #leads: () => boolean;
  #told = '';

  constructor(audit: AuditLog, leads: () => boolean) {
    this.#audit = audit;
    this.#leads = leads;
  }

  /** This process leads from now on. */
  begin(guard: Guard): void {
    this.#told = '';
    this.look(guard);
  }

  /** To be told of every change. */
  look(guard: Guard): void {
    if (!this.#leads() || guard.is === 'Unknown') return;
    const message = guard.is === 'Intact' ? `whole since ${toRfc3339(guard.since)}` : guard.objects.join('; ');
    if (message === this.#told) return;
    this.#told = message;
    if (guard.is === 'Intact') this.#audit.record({ event: 'Guarded', outcome: 'Success', reason: 'Ready', message });
    else this.#audit.record({ event: 'Unguarded', outcome: 'Failure', reason: 'GuardMissing', message });
  }
}
