import { randomUUID } from 'node:crypto';
import type { Reason } from '../api/reasons.ts';
import { type Clock, toRfc3339 } from '../clock.ts';
import { sha256 } from '../digest.ts';
import { clean } from '../clean.ts';

/** What happened, as a past participle. */
export const auditEvents = [
  'Started',
  'Halted',
  'Resumed',
  'Asked',
  'Unguarded',
  'Guarded',
  'Planned',
  'Activated',
  'Drained',
  'Retired',
  'RolledBack',
  'Completed',
  'Restored',
  'Acknowledged',
  'Registered',
  'Updated',
  'Drifted',
  'Deregistered',
  'Proved',
  'Requested',
  'Minted',
  'Renewed',
  'Narrowed',
  'ShadowDenied',
  'Discarded',
  'Delivered',
  'Emptied',
  'Forbidden',
  'Revoked',
  'Expired',
  'Denied',
  'Failed',
  'Noticed',
  'Held',
  'Released',
  'Stopped',
] as const;

export type AuditEvent = (typeof auditEvents)[number];

/** One security event. Members that do not apply are absent. Never a token or a key: tokens are named by their SHA-256. */
export interface AuditFacts {
  readonly event: AuditEvent;
  readonly outcome: 'Success' | 'Failure' | 'Pending';
  readonly reason: Reason;
  readonly message?: string;
  readonly session_id?: string;
  readonly pool?: string;
  readonly namespace?: string;
  readonly identity?: string;
  readonly pod?: { readonly name: string; readonly uid: string };
  readonly node?: string;
  readonly requester?: string;
  /** As the CiIdentity states it. */
  readonly actor?: { readonly type: string; readonly id: string; readonly owner: string };
  /** As claimed by the pod; not proven. */
  readonly claimed_run_url?: string;
  readonly claimed_traceparent?: string;
  readonly issuer?: string;
  readonly client?: string;
  readonly client_id?: string;
  readonly generation?: number;
  readonly scopes?: readonly string[];
  readonly audiences?: readonly string[];
  readonly expires_at?: string;
  readonly token_sha256?: string;
  readonly by?: readonly { readonly policy: string; readonly rule: number; readonly generation: number }[];
  /** What is not granted, and why. */
  readonly denials?: readonly {
    readonly scope?: string;
    readonly audience?: string;
    readonly reason: Reason;
    readonly by?: { readonly policy: string; readonly rule: number; readonly generation: number };
  }[];
  /** The policies that were consulted; what they do not grant is denied. */
  readonly policies?: readonly { readonly policy: string; readonly generation: number }[];
  /** `metadata.generation` of the objects on which the decision rests. */
  readonly decided_on?: { readonly pool?: number; readonly identity?: number };
  /** How many of a list are not in it, because the line would be too long. */
  readonly left_out?: Readonly<Partial<Record<keyof typeof longestLists, number>>>;
  /** How often the same happened since the line before that says it, without a line of its own. */
  readonly repeated?: number;
}

export interface AuditLine extends AuditFacts {
  readonly version: 1;
  readonly time: string;
  readonly process_id: string;
  readonly seq: number;
  /** SHA-256 of the previous line of this process as written, without its line end; 64 zeros for the first. */
  readonly previous: string;
}

/**
 * Bytes that each list may take of a line. A tenant may name 64 scopes and 64 audiences of 256 characters, and container runtimes split
 * lines of more than 16 KiB, of which no part is JSON any more.
 */
const longestLists = { scopes: 3_000, audiences: 3_000, by: 1_500, denials: 2_500, policies: 1_000 } as const;

/** `previous` of the first line of a process. */
export const firstPrevious = '0'.repeat(64);

export interface AuditLogOptions {
  /** Takes one line with its line end, at once and without throwing (`audit-stream.ts`). */
  readonly write: (line: string) => void;
  readonly clock: Clock;
  readonly processId?: string;
}

/**
 * The audit log of one process: numbered lines, each with the hash of the one before, so that a changed, missing or inserted line shows
 * (`audit-chain.ts` checks it). A new process begins a chain of its own (`process_id`), so a restart is no gap. `audit-schema.json`
 * documents every member.
 */
export class AuditLog {
  readonly #write: (line: string) => void;
  readonly #clock: Clock;
  readonly #processId: string;
  #seq = 0;
  #previous = firstPrevious;

  constructor(options: AuditLogOptions) {
    this.#write = options.write;
    this.#clock = options.clock;
    this.#processId = options.processId ?? randomUUID();
  }

  /** A line has its number as soon as it is recorded: one that is lost later leaves a gap. */
  record(facts: AuditFacts): void {
    const line: AuditLine = {
      version: 1,
      time: toRfc3339(this.#clock.now()),
      process_id: this.#processId,
      seq: this.#seq,
      previous: this.#previous,
      ...fitted(facts),
    };
    const text = JSON.stringify(line, (_key, value: unknown) =>
      typeof value === 'string' ? clean(value, 2_048) : value,
    );
    this.#write(`${text}\n`);
    this.#seq += 1;
    this.#previous = sha256(text);
  }
}

function fitted(facts: AuditFacts): AuditFacts {
  const lists: Record<string, readonly unknown[]> = {};
  const leftOut: Record<string, number> = {};
  for (const [name, longest] of Object.entries(longestLists)) {
    const all: readonly unknown[] = facts[name as keyof typeof longestLists] ?? [];
    let bytes = 0;
    const kept = all.filter((item) => (bytes += Buffer.byteLength(JSON.stringify(item)) + 1) <= longest);
    if (kept.length === all.length) continue;
    lists[name] = kept;
    leftOut[name] = all.length - kept.length;
  }
  return Object.keys(leftOut).length === 0 ? facts : { ...facts, ...lists, left_out: leftOut };
}
