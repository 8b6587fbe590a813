/**
 * A toy provider, API server and cluster around the session table. It carries out decisions with the real transition functions, and it can
 * break between any two effects.
 */
import { hour, minute, plus, second } from '#src/clock.ts';
import type { Instant } from '#src/clock.ts';
import type { Decision } from '#src/decision.ts';
import type { Access, Guard } from '#src/domain/access/access.ts';
import type { Failure } from '#src/domain/failure.ts';
import { decideSession } from '#src/domain/session/decide.ts';
import { mustBeReplaced, usableToken } from '#src/domain/session/facts.ts';
import type {
  ClientFacts,
  Delivered,
  SessionAction,
  SessionRowName,
  SessionSnapshot,
} from '#src/domain/session/machine.ts';
import { sessionCodec } from '#src/domain/session/record-codec.ts';
import type { SessionRecord } from '#src/domain/session/record.ts';
import { firstTryUntil, secondTryUntil } from '#src/domain/session/successor.ts';
import type { RevocationOutcome } from '#src/domain/token.ts';
import { mintMoment } from '#src/domain/clocks.ts';
import { concluded, dropped, forbidden, heldBefore, minted } from '#src/domain/session/transitions.ts';
import {
  suspended,
  buildAsk,
  buildClientFacts,
  buildGranted,
  buildPod,
  buildSessionSnapshot,
  buildToken,
  noon,
} from '#test/support/builders.ts';

/** `failed`: no effect, the process knows. `lost`: the effect is there, the process hears an error. `crash…`: the process is gone. */
export type Mishap = 'none' | 'failed' | 'lost' | 'crash-before' | 'crash-after';

class Crash extends Error {}
class Trouble extends Error {}

export class ToyWorld {
  now: Instant = noon;
  pod: 'Pending' | 'Running' | 'Succeeded' | 'deleting' | 'gone' = 'Pending';
  stopped = false;
  denied = false;
  scopes: readonly string[] = ['a', 'b'];
  guard: Guard = { is: 'Intact', since: plus(noon, -hour) };
  mayUse = true;
  clientReady = true;
  revokeBefore: Instant | undefined;
  outage = false;
  /** Nothing can be revoked. */
  paused = false;
  synced = true;
  stored: string | undefined;
  /** Somebody deleted the Secret of the record, which memory still holds. */
  damaged = false;
  epoch = 1;
  /** What the provider honours: by sha256. */
  readonly alive = new Map<string, Instant>();
  /** Minted, and the process died before it was recorded: one is allowed for each such crash, until it expires. */
  readonly unrecorded = new Set<string>();
  /** What the pod's file holds. */
  file: { readonly content: Delivered['content']; readonly sha256?: string } | undefined;
  readonly trail: string[] = [];
  readonly #revocation: ClientFacts['revocation'];
  #delivered: Delivered | undefined;
  #answered = new Map<string, RevocationOutcome>();
  #failure: (Failure<SessionRowName> & { readonly until: Instant }) | undefined;
  /** The token that must go, and until when it may wait for its successor. */
  #awaited: { readonly token: string; readonly until: Instant; readonly failed: boolean } | undefined;
  #count = 0;

  constructor(revocation: ClientFacts['revocation']) {
    this.#revocation = revocation;
  }

  get record(): SessionRecord | undefined {
    if (this.stored === undefined) return undefined;
    const decoded = sessionCodec.decode(this.stored);
    if (decoded.is !== 'Record') throw new Error(`stored record: ${JSON.stringify(decoded)}`);
    return decoded.record;
  }

  get decision(): Decision<SessionAction, SessionRowName> {
    const fresh = decideSession(this.snapshot(undefined), this.now);
    const note = this.#failure;
    if (note === undefined) return fresh;
    if (fresh.row !== note.row || this.now >= note.until) {
      this.#failure = undefined;
      return fresh;
    }
    return decideSession(this.snapshot(note), this.now);
  }

  /** Yields whether something was done. */
  step(mishap: Mishap): boolean {
    const { decision } = this;
    const { row, action } = decision;
    this.trail.push([row, action?.type ?? '', mishap === 'none' ? '' : `(${mishap})`].join(' ').trim());
    if (action === undefined || row === this.#failure?.row) return this.#waitForHold();
    try {
      this.#apply(action, mishap);
      if (this.#failure?.row === row) this.#failure = undefined;
    } catch (error) {
      if (error instanceof Crash) this.takeOver();
      else if (error instanceof Trouble) {
        if (row === 'narrowed') this.#awaitSuccessor();
        this.#failure = {
          row,
          reason: 'ProviderUnavailable',
          message: 'x',
          at: this.now,
          terminal: false,
          until: plus(this.now, 10 * second),
        };
      } else throw error;
    }
    return true;
  }

  takeOver(): void {
    this.epoch += 1;
    this.#forgetDamaged();
    this.#failure = undefined;
    this.#awaited = undefined;
    this.#delivered = undefined;
    this.#answered = new Map();
  }

  /** What is deleted while nobody leads is known to nobody. */
  #forgetDamaged(): void {
    if (!this.damaged) return;
    for (const { sha256 } of this.record?.tokens ?? []) this.unrecorded.add(sha256);
    this.#store(undefined);
  }

  advance(by: number): void {
    this.now = plus(this.now, by);
    for (const [sha256, exp] of this.alive) if (exp <= this.now) this.alive.delete(sha256);
  }

  get granted(): Access {
    return this.denied
      ? { is: 'Denied', lasting: true, denials: [{ reason: 'NoRule', message: 'no rule' }] }
      : buildGranted(buildAsk({ scopes: this.scopes }));
  }

  snapshot(failure: Failure<SessionRowName> | undefined): SessionSnapshot {
    const { record } = this;
    const client = buildClientFacts({
      revocation: this.#revocation,
      revocationsPaused: this.paused,
      ...(this.revokeBefore === undefined ? {} : { revokeBefore: this.revokeBefore }),
    });
    const revokedBefore =
      this.revokeBefore === undefined ? {} : { revokedBefore: new Map([[facts.client, this.revokeBefore]]) };
    const { current: _, ...unready } = client;
    const pod = buildPod({ phase: this.pod === 'deleting' ? 'Running' : this.pod, deleting: this.pod === 'deleting' });
    const s = buildSessionSnapshot({
      pod: this.pod === 'gone' ? { is: 'Gone' } : { is: 'Seen', value: pod },
      guard: this.guard,
      mayUse: { is: 'Seen', value: this.mayUse },
      access: this.synced ? { is: 'Seen', value: this.granted } : { is: 'Unknown' },
      client: { is: 'Seen', value: this.clientReady ? client : unready },
      ...revokedBefore,
      epoch: this.epoch,
      ...(this.stopped ? { stop: suspended } : {}),
      ...(this.damaged ? { damaged: true } : {}),
      ...(record === undefined ? {} : { record, wantedDigest: digestOf(record) }),
      ...(this.#delivered === undefined ? {} : { delivered: this.#delivered }),
      answered: this.#answered,
      ...(failure === undefined ? {} : { failure }),
    });
    const token = usableToken(s)?.sha256;
    if (token === undefined || !mustBeReplaced(s, this.now)) this.#awaited = undefined;
    else if (this.#awaited?.token !== token) this.#awaited = { token, until: firstTryUntil(this.now), failed: false };
    const { until, failed } = this.#awaited ?? {};
    return {
      ...s,
      ...(until === undefined ? {} : { successorUntil: until }),
      ...(failed === true ? { successorFailed: true } : {}),
    };
  }

  #awaitSuccessor(): void {
    const s = this.snapshot(undefined);
    const token = usableToken(s)?.sha256;
    if (token !== undefined) this.#awaited = { token, until: secondTryUntil(s, false, this.now), failed: true };
  }

  #waitForHold(): boolean {
    if (this.#failure === undefined) return false;
    this.advance(Math.max(0, this.#failure.until - this.now));
    return true;
  }

  #apply(action: SessionAction, mishap: Mishap): void {
    if (mishap === 'crash-before') throw new Crash();
    if (mishap === 'failed') throw new Trouble();
    switch (action.type) {
      case 'Mint':
        return this.#mint(action, mishap);
      case 'Revoke':
        return this.#revoke(action.token, mishap);
      case 'Deliver':
        this.#deliver(action);
        break;
      case 'Conclude':
        this.#store(this.record && concluded(this.record, this.#answered));
        break;
      case 'Forbid':
        this.#store(this.record && forbidden(this.record, action.tokens, this.now, this.#revocation, 'Suspended'));
        break;
      case 'Restore':
        this.#store(this.record);
        break;
      case 'Drop':
        this.#store(this.record && dropped(this.record, action.tokens));
        break;
    }
    if (mishap === 'crash-after') throw new Crash();
    if (mishap === 'lost') throw new Trouble();
  }

  #mint({ ask, predecessor }: Extract<SessionAction, { type: 'Mint' }>, mishap: Mishap): void {
    if (this.outage) throw new Trouble();
    const token = buildToken({
      sha256: `t${(this.#count += 1)}`,
      ask,
      minted: mintMoment(this.now, this.revokeBefore),
      exp: plus(this.now, 15 * minute),
    });
    this.alive.set(token.sha256, token.exp);
    if (mishap !== 'none') {
      this.unrecorded.add(token.sha256);
      throw mishap === 'lost' ? new Trouble() : new Crash();
    }
    const { pod, identity, pool, client, requester, issuer } = facts;
    const who = { pod, identity, pool, client, requester, issuer, revocation: this.#revocation };
    this.#store(minted(heldBefore(this.record, this.#answered), token, who, predecessor, this.now, 'RenewalDue'));
  }

  #revoke(sha256: string, mishap: Mishap): void {
    if (this.outage || this.paused) throw new Trouble();
    const { record } = this;
    if (record === undefined) return;
    if (this.#revocation !== 'ExpiryOnly') this.alive.delete(sha256);
    if (mishap === 'crash-after') throw new Crash();
    if (mishap === 'lost') throw new Trouble();
    this.#answered.set(sha256, this.#revocation === 'ExpiryOnly' ? 'NotSupported' : 'Confirmed');
  }

  #deliver(action: Extract<SessionAction, { type: 'Deliver' }>): void {
    const newest = this.record?.tokens.at(-1);
    const sha256 = action.content === 'Token' ? newest?.sha256 : undefined;
    if (action.content === 'Token' && newest?.end !== undefined) throw new Error('a token with an end was delivered');
    this.file = { content: action.content, ...(sha256 === undefined ? {} : { sha256 }) };
    const digest = this.record === undefined ? '' : digestOf(this.record);
    const error = action.content === 'Error' ? { error: action.error } : {};
    this.#delivered = { content: action.content, digest, at: this.now, ...error };
  }

  #store(next: SessionRecord | undefined): void {
    this.damaged = false;
    this.stored = next === undefined ? undefined : sessionCodec.encode({ ...next, epoch: this.epoch });
  }
}

const facts = {
  pod: { namespace: 'ci-payments', name: 'agent-1', uid: 'pod-uid' },
  identity: { name: 'publisher', uid: 'identity-uid' },
  pool: { name: 'ci-bots', uid: 'pool-uid' },
  client: 'client-1',
  requester: 'jenkins',
  issuer: 'https://idp.example.com/realms/ci',
} as const;

function digestOf(record: SessionRecord): string {
  return record.tokens.at(-1)?.sha256 ?? '';
}
