import type { IdentityPool } from '../../api/v1alpha1/identity-pool.ts';
import { unlistedRequests } from '../../domain/status/requests.ts';
import type { AuditLog } from '../../telemetry/audit.ts';
import type { Memory } from '../memory.ts';

const toDo = { Rotate: 'replace the credentials', Revoke: 'revoke every token' } as const;
const reasons = { Rotate: 'RotationRequested', Revoke: 'RevokeRequested' } as const;

/**
 * Audit lines about requests to rotate or to revoke, as soon as they are seen: what comes of them is told later, or never where the next request
 * takes their place. Status lists what a process has seen, so the next leader tells only what came while nobody led.
 */
export class RequestAudit {
  readonly #memory: Memory;
  readonly #audit: AuditLog;

  constructor(memory: Memory, audit: AuditLog, leads: () => boolean) {
    this.#memory = memory;
    this.#audit = audit;
    memory.pools.onChange((_name, next, previous) => {
      if (leads()) this.#tell(next, previous);
    });
  }

  /** This process leads from now on. */
  begin(): void {
    for (const [, pool] of this.#memory.pools.entries()) this.#tell(pool, undefined);
  }

  #tell(pool: IdentityPool | undefined, before: IdentityPool | undefined): void {
    const known = unlistedRequests(before);
    for (const { kind, id } of unlistedRequests(pool)) {
      if (known.some((one) => one.kind === kind && one.id === id)) continue;
      const name = pool?.metadata.name ?? '';
      const message = `IdentityPool ${name}: request ${id} to ${toDo[kind]}`;
      this.#audit.record({ event: 'Asked', outcome: 'Success', reason: reasons[kind], message, pool: name });
    }
  }
}
