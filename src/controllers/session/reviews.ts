import { type Clock, type Instant, type Milliseconds, minute, plus } from '../../clock.ts';
import type { Known } from '../../decision.ts';

/** Asks the API server whether `user` holds the verb `use` on the CiIdentity (SubjectAccessReview). */
export type ReviewUse = (
  o: { user: string; namespace: string; identity: string },
  signal: AbortSignal,
) => Promise<boolean>;

interface Answer {
  readonly allowed: boolean;
  readonly at: Instant;
}

/** How long an answer counts for another pod. */
const fresh: Milliseconds = minute;

/** Remembers for a minute who may use which identity. */
export class Reviews {
  readonly #ask: ReviewUse;
  readonly #clock: Clock;
  readonly #answers = new Map<string, Answer>();

  constructor(options: { readonly ask: ReviewUse; readonly clock: Clock }) {
    this.#ask = options.ask;
    this.#clock = options.clock;
  }

  /** What is known without asking. A refusal is remembered as long as an answer; after that it is `Unknown` again and the next Mint asks. */
  known(user: string, namespace: string, identity: string): Known<boolean> {
    const answer = this.#answers.get(answerKey(user, namespace, identity));
    return answer === undefined || plus(answer.at, fresh) <= this.#clock.now()
      ? { is: 'Unknown' }
      : { is: 'Seen', value: answer.allowed };
  }

  /** The answer, asked for anew when the last one is older than a minute. */
  async allowed(user: string, namespace: string, identity: string, signal: AbortSignal): Promise<boolean> {
    const known = this.known(user, namespace, identity);
    if (known.is === 'Seen') return known.value;
    const allowed = await this.#ask({ user, namespace, identity }, signal);
    this.#forgetOld();
    this.#answers.set(answerKey(user, namespace, identity), { allowed, at: this.#clock.now() });
    return allowed;
  }

  /**
   * Asks again about one right that a live session rests on, because nobody tells us when a RoleBinding goes. Yields `false` when the right
   * was withdrawn; what is not known changes nothing.
   */
  async again(user: string, namespace: string, identity: string, signal: AbortSignal): Promise<boolean> {
    const allowed = await this.#ask({ user, namespace, identity }, signal);
    this.#answers.set(answerKey(user, namespace, identity), { allowed, at: this.#clock.now() });
    return allowed;
  }

  #forgetOld(): void {
    if (this.#answers.size < 10_000) return;
    const now = this.#clock.now();
    for (const [key, answer] of this.#answers) if (plus(answer.at, fresh) <= now) this.#answers.delete(key);
  }
}

function answerKey(user: string, namespace: string, identity: string): string {
  return `${namespace}/${identity} ${user}`;
}
