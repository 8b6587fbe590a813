import { type Clock, plus, second } from '../../clock.ts';
import type { SessionRecord } from '../../domain/session/record.ts';
import type { Minted } from '../../domain/token.ts';
import { OperatorError } from '../../errors.ts';
import type { RecordStore } from '../../kube/records.ts';
import type { Effects } from '../../runtime/effect.ts';
import { deadlines } from '../deadlines.ts';
import type { EffectName } from '../effect-names.ts';
import type { Memory } from '../memory.ts';
import { type Fate, type Minting, discarded } from './minting.ts';
import type { SessionAudit } from '../telling/session-audit.ts';
import { recordNameOf } from './key.ts';

/** How long a record that could not be stored is tried again. */
const storeFor = 60 * second;
const storeEvery = second / 4;

export interface StoringOptions {
  readonly memory: Memory;
  readonly records: RecordStore<SessionRecord>;
  readonly effects: Effects<EffectName>;
  readonly audit: SessionAudit;
  readonly clock: Clock;
}

/** The end of a Mint: the new token goes into its record, or dies. */
export class Storing {
  readonly #o: StoringOptions;

  constructor(options: StoringOptions) {
    this.#o = options;
  }

  /** A write that was perhaps stored is written again; a token that is in no record, as far as anybody can see, is revoked, because nobody else knows it. */
  async store(minting: Minting, next: SessionRecord, answer: Minted, signal: AbortSignal): Promise<void> {
    const { s } = minting;
    const until = plus(this.#o.clock.now(), storeFor);
    for (;;) {
      try {
        await this.#o.effects.run('session.Mint.record', { deadline: deadlines.tokenCall, signal }, (bounded) =>
          this.#o.records.write(recordNameOf(s) ?? '', next, s.record, bounded),
        );
        return;
      } catch (error) {
        if (!isPassing(error) || this.#o.clock.now() >= until) {
          await this.#discard(minting, answer, error, signal);
          throw error;
        }
        await this.#o.clock.sleepUntil(plus(this.#o.clock.now(), storeEvery), signal);
      }
    }
  }

  /** Revokes a token that goes into no record. A failure is no error: the token then lives until it expires, and nobody holds it. */
  async revoke({ tokens, client, credential }: Minting, answer: Minted, signal: AbortSignal): Promise<Fate> {
    const options = { deadline: deadlines.tokenCall, signal, whose: 'Issuer' } as const;
    return this.#o.effects
      .run('session.Mint.revoke', options, (bounded) =>
        tokens.revoke(answer.value, client.current.clientId, credential, bounded),
      )
      .catch((error: unknown) => {
        if (!(error instanceof OperatorError)) throw error;
        return 'Failed' as const;
      });
  }

  /** Should a record of it turn up after all, it is known to be dead, or good where it could not be revoked. */
  async #discard(minting: Minting, answer: Minted, error: unknown, signal: AbortSignal): Promise<void> {
    const { key, s } = minting;
    const { answered } = this.#o.memory;
    if (this.#o.memory.holdsToken(answer.sha256)) return;
    const fate = await this.revoke(minting, answer, signal);
    const isDead = fate === 'Confirmed' || fate === 'Requested';
    if (isDead) answered.set(key, new Map([...(answered.get(key) ?? []), [answer.sha256, fate]]));
    if (isDead || !isPassing(error)) this.#o.audit.record(key, s, discarded(minting, error, answer.sha256, fate));
  }
}

/** The write was perhaps stored, and is worth another try. */
function isPassing(error: unknown): boolean {
  return error instanceof OperatorError && error.class === 'Transient';
}
