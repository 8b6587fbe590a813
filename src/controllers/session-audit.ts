import { sessionId } from '../api/names.ts';
import type { SessionSnapshot } from '../domain/session/machine.ts';
import type { AuditFacts, AuditLog } from '../telemetry/audit.ts';
import { parseSessionKey } from './session-snapshot.ts';

/** Writes audit lines about sessions: who is the same on each of them. */
export class SessionAudit {
  readonly #log: AuditLog;

  constructor(log: AuditLog) {
    this.#log = log;
  }

  record(key: string, s: SessionSnapshot, facts: AuditFacts): void {
    const { namespace, pod, podUid, identity } = parseSessionKey(key);
    const seen = s.pod.is === 'Seen' ? s.pod.value : undefined;
    const requester = seen?.requester ?? s.record?.requester;
    this.#log.record({
      session_id: sessionId(podUid, identity),
      namespace,
      identity,
      pod: { name: pod, uid: podUid },
      ...(s.record === undefined ? {} : { pool: s.record.pool.name, issuer: s.record.issuer, client: s.record.client }),
      ...(requester === undefined ? {} : { requester }),
      ...(seen?.node === undefined ? {} : { node: seen.node }),
      ...(seen?.claimedRunUrl === undefined ? {} : { claimed_run_url: seen.claimedRunUrl }),
      ...facts,
    });
  }
}
