import { randomUUID } from 'node:crypto';
import { type Clock, toRfc3339 } from '../clock.ts';
import { sha256 } from '../digest.ts';
import { clean } from './clean.ts';

/** What happened, as a past participle. */
export const auditEvents = [
  'Started',
  'Planned',
  'Registered',
  'Updated',
  'Deregistered',
  'Proved',
  'Requested',
  'Minted',
  'Discarded',
  'Delivered',
  'Forbidden',
  'Revoked',
  'Expired',
  'Denied',
  'Failed',
  'Stopped',
] as const;

export type AuditEvent = (typeof auditEvents)[number];

/** One security event. Members that do not apply are absent. Never a token or a key: tokens are named by their SHA-256. */
export interface AuditFacts {
  readonly event: AuditEvent;
  readonly outcome: 'Success' | 'Failure' | 'Pending';
  readonly reason: string;
  readonly message?: string;
  readonly session_id?: string;
  readonly pool?: string;
  readonly namespace?: string;
  readonly identity?: string;
  readonly pod?: { readonly name: string; readonly uid: string };
  readonly node?: string;
  readonly requester?: string;
  /** As claimed by the pod; not proven. */
  readonly claimed_run_url?: string;
  readonly issuer?: string;
  readonly client?: string;
  readonly client_id?: string;
  readonly generation?: number;
  readonly scopes?: readonly string[];
  readonly audiences?: readonly string[];
  readonly expires_at?: string;
  readonly token_sha256?: string;
  readonly by?: readonly { readonly policy: string; readonly rule: number; readonly generation: number }[];
}

export interface AuditLine extends AuditFacts {
  readonly version: 1;
  readonly time: string;
  readonly process_id: string;
  readonly seq: number;
  /** SHA-256 of the previous line of this process as written, without its line end; 64 zeros for the first. */
  readonly previous: string;
}

const firstPrevious = '0'.repeat(64);

/**
 * The audit stream of one process: numbered lines, each with the hash of the one before, so that a changed, missing or inserted line shows.
 * A new process begins a chain of its own (`process_id`), so a restart is no gap.
 */
export class AuditLog {
  readonly #write: (line: string) => void;
  readonly #clock: Clock;
  readonly #processId: string;
  #seq = 0;
  #previous = firstPrevious;

  constructor(options: { readonly write: (line: string) => void; readonly clock: Clock; readonly processId?: string }) {
    this.#write = options.write;
    this.#clock = options.clock;
    this.#processId = options.processId ?? randomUUID();
  }

  record(facts: AuditFacts): void {
    const line: AuditLine = {
      version: 1,
      time: toRfc3339(this.#clock.now()),
      process_id: this.#processId,
      seq: this.#seq,
      previous: this.#previous,
      ...facts,
    };
    const text = JSON.stringify(line, (_key, value: unknown) => (typeof value === 'string' ? clean(value, 2_048) : value));
    this.#seq += 1;
    this.#previous = sha256(text);
    this.#write(`${text}\n`);
  }
}

export type ChainVerdict =
  | { readonly is: 'Whole'; readonly lines: number; readonly processes: number }
  | { readonly is: 'Broken'; readonly line: number; readonly message: string };

/** Checks every chain in the lines; names the first line that is broken or before which one is missing. */
export function verifyChain(lines: Iterable<string>): ChainVerdict {
  const chains = new Map<string, { seq: number; hash: string }>();
  let number = 0;
  for (const text of lines) {
    if (text === '') continue;
    number += 1;
    const line = parseLine(text);
    if (line === undefined) return { is: 'Broken', line: number, message: `line ${number} is not an audit line` };
    const chain = chains.get(line.process_id) ?? { seq: 0, hash: firstPrevious };
    if (line.seq !== chain.seq) {
      return { is: 'Broken', line: number, message: `line ${number}: process ${line.process_id} jumps from number ${chain.seq - 1} to ${line.seq}` };
    }
    if (line.previous !== chain.hash) {
      return { is: 'Broken', line: number, message: `line ${number}: the line before it was changed (process ${line.process_id}, number ${line.seq})` };
    }
    chains.set(line.process_id, { seq: line.seq + 1, hash: sha256(text) });
  }
  return { is: 'Whole', lines: number, processes: chains.size };
}

function parseLine(text: string): { process_id: string; seq: number; previous: string } | undefined {
  try {
    const line = JSON.parse(text) as Partial<AuditLine> | null;
    if (line?.version !== 1 || typeof line.seq !== 'number') return undefined;
    if (typeof line.process_id !== 'string' || typeof line.previous !== 'string') return undefined;
    return { process_id: line.process_id, seq: line.seq, previous: line.previous };
  } catch {
    return undefined;
  }
}
