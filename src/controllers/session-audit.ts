import { sessionId } from '../api/names.ts';
import type { Known } from '../decision.ts';
import type { Access } from '../domain/access/access.ts';
import { joinSentences } from '../domain/access/explain.ts';
import { setOf } from '../domain/access/scopes.ts';
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

/** What the line `ShadowDenied` says of a token that carries scopes only because of enforcement Audit; `undefined` where it carries none. */
export function shadowDenied(access: Known<Access>, token: string): AuditFacts | undefined {
  const denials = access.is === 'Seen' && access.value.is === 'Granted' ? access.value.wouldDeny : [];
  const [first] = denials;
  if (first === undefined) return undefined;
  return {
    event: 'ShadowDenied',
    outcome: 'Success',
    reason: first.reason,
    message: joinSentences(
      denials.map(({ message }) => message),
      2_000,
      'see status.wouldDeny of the CiIdentity',
    ),
    scopes: setOf(denials.flatMap(({ scope }) => scope ?? [])),
    audiences: setOf(denials.flatMap(({ audience }) => audience ?? [])),
    by: [],
    token_sha256: token,
  };
}
