import { sessionId } from '../../api/names.ts';
import type { Reason } from '../../api/reasons.ts';
import { type Clock, toRfc3339 } from '../../clock.ts';
import type { Known } from '../../decision.ts';
import type { Access } from '../../domain/access/access.ts';
import { joinSentences } from '../../domain/access/explain.ts';
import type { SessionSnapshot } from '../../domain/session/machine.ts';
import { type SessionRecord, clientOf } from '../../domain/session/record.ts';
import type { Token } from '../../domain/token.ts';
import type { AuditEvent, AuditFacts, AuditLog } from '../../telemetry/audit.ts';
import { OncePerRecord } from '../../telemetry/once-per-record.ts';
import { RepeatSuppressor } from '../../telemetry/repeat-suppressor.ts';
import type { Memory } from '../memory.ts';
import { parseSessionKey } from '../session/key.ts';

interface SessionLine {
  readonly key: string;
  readonly s: SessionSnapshot;
  readonly facts: AuditFacts;
}

interface Forbidding {
  readonly record: SessionRecord;
  readonly reason: Reason;
  readonly isMeant: (token: Token) => boolean;
}

/** Written before a record that may have to be tried again and again, as while the API server is away. */
const toldAhead: ReadonlySet<string> = new Set<AuditEvent>(['Forbidden', 'Expired', 'Restored']);

/** Writes audit lines about sessions: who is the same on each of them. Denials of one creator and identity that say
 * the very same are counted instead of repeated. */
export class SessionAudit {
  readonly #log: AuditLog;
  readonly #memory: Memory;
  readonly #denials: RepeatSuppressor<SessionLine>;
  readonly #ahead = new OncePerRecord<SessionRecord>();

  constructor(log: AuditLog, memory: Memory, clock: Clock) {
    this.#log = log;
    this.#memory = memory;
    this.#denials = new RepeatSuppressor(clock, (line, repeated) =>
      this.#write(line, repeated === 0 ? {} : { repeated }),
    );
  }

  /** Of each of these tokens: it must not be used any more. Before the record says so. */
  forbidden(key: string, s: SessionSnapshot, { record, reason, isMeant }: Forbidding): void {
    for (const token of record.tokens.filter(isMeant))
      this.record(key, s, { event: 'Forbidden', outcome: 'Success', reason, ...heldToken(record, token) });
  }

  record(key: string, s: SessionSnapshot, facts: AuditFacts): void {
    const { event, reason, token_sha256: token } = facts;
    if (toldAhead.has(event) && !this.#ahead.isNew(s.record, `${event} ${reason} ${token}`)) return;
    if (facts.event === 'Denied') this.#denials.say(sameDenial(key, s, facts), { key, s, facts });
    else this.#write({ key, s, facts }, {});
  }

  /** Tells what was repeated; to be called now and then, and with `all` when the process ends. */
  flush(all = false): void {
    this.#denials.flush(all);
  }

  #write({ key, s, facts }: SessionLine, more: Partial<AuditFacts>): void {
    const { namespace, pod, podUid, identity } = parseSessionKey(key);
    const seen = s.pod.is === 'Seen' ? s.pod.value : undefined;
    const requester = seen?.requester ?? s.record?.requester;
    const known = this.#memory.identity(namespace, identity);
    const actor = known.is === 'Seen' ? known.value.spec.actor : s.record?.identity.actor;
    this.#log.record({
      session_id: sessionId(podUid, identity),
      namespace,
      identity,
      pod: { name: pod, uid: podUid },
      ...(actor === undefined ? {} : { actor }),
      ...servedBy(s),
      ...(requester === undefined ? {} : { requester }),
      ...(seen?.node === undefined ? {} : { node: seen.node }),
      ...(seen?.claimedRunUrl === undefined ? {} : { claimed_run_url: seen.claimedRunUrl }),
      ...(seen?.claimedTraceparent === undefined ? {} : { claimed_traceparent: seen.claimedTraceparent }),
      ...deniedBy(s.access, facts),
      ...decidedOn(s, facts.pool ?? s.record?.pool.name),
      ...facts,
      ...more,
    });
  }
}

/** Of the snapshot, not of memory: who edits in between did not decide this. The pool only if it is the one that the line is about. */
function decidedOn(
  { identity, pool }: SessionSnapshot,
  poolOfLine: string | undefined,
): Pick<AuditFacts, 'decided_on'> {
  if (identity.is !== 'Seen') return {};
  const isOther = poolOfLine !== undefined && poolOfLine !== pool?.name;
  return {
    decided_on: {
      identity: identity.value.generation,
      ...(pool === undefined || isOther ? {} : { pool: pool.generation }),
    },
  };
}

/** Whatever its pod is: a pipeline that starts the same denied pod again and again is one thing to say. */
function sameDenial(key: string, s: SessionSnapshot, { reason, message = '' }: AuditFacts): string {
  const { namespace, identity } = parseSessionKey(key);
  const requester = s.pod.is === 'Seen' ? s.pod.value.requester : undefined;
  return [namespace, identity, requester ?? '', reason, message].join(' ');
}

/** Before the first token, what would serve the session. */
function servedBy({ record, pool, client }: SessionSnapshot): Pick<AuditFacts, 'pool' | 'issuer' | 'client'> {
  if (record !== undefined) return { pool: record.pool.name, issuer: record.issuer, client: record.client };
  return {
    ...(pool === undefined ? {} : { pool: pool.name }),
    ...(client.is !== 'Seen' ? {} : { issuer: client.value.issuer }),
    ...(client.is !== 'Seen' || client.value.name === '' ? {} : { client: client.value.name }),
  };
}

/** What is not granted, and after which policies: where they decided. */
function deniedBy(access: Known<Access>, { event, reason }: AuditFacts): Pick<AuditFacts, 'denials' | 'policies'> {
  if (access.is !== 'Seen' || (event !== 'Denied' && event !== 'Forbidden')) return {};
  const { denials: all, policies } = access.value;
  const denials = all.map((denial) => ({
    ...(denial.scope === undefined ? {} : { scope: denial.scope }),
    ...(denial.audience === undefined ? {} : { audience: denial.audience }),
    reason: denial.reason,
    ...(denial.by === undefined ? {} : { by: denial.by }),
  }));
  const decided = reason === 'Narrowed' || denials.some((denial) => denial.reason === reason);
  return {
    ...(denials.length === 0 ? {} : { denials }),
    ...(decided && policies !== undefined ? { policies } : {}),
  };
}

/** What every line about a token of a session says of it. */
export function heldToken(record: SessionRecord, token: Token): Partial<AuditFacts> {
  const { sha256, ask, exp, generation, clientId } = token;
  return {
    token_sha256: sha256,
    scopes: ask.scopes,
    audiences: ask.audiences,
    expires_at: toRfc3339(exp),
    generation,
    client: clientOf(record, token),
    client_id: clientId,
  };
}

/** What the line `ShadowDenied` says of a token that carries scopes only because of enforcement Audit; `undefined` where it carries none. */
export function shadowDenied(access: Known<Access>, token: string): AuditFacts | undefined {
  if (access.is !== 'Seen' || access.value.is !== 'Granted') return undefined;
  const { wouldDeny, audited } = access.value;
  const [first] = wouldDeny;
  if (first === undefined || audited === undefined) return undefined;
  return {
    event: 'ShadowDenied',
    outcome: 'Success',
    reason: first.reason,
    message: joinSentences(
      wouldDeny.map(({ message }) => message),
      2_000,
      'see status.wouldDeny of the CiIdentity',
      audited.pairs,
    ),
    scopes: audited.scopes,
    audiences: audited.audiences,
    by: [],
    token_sha256: token,
  };
}
