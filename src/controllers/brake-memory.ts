import { group } from '../api/names.ts';
import type { BrakedThing } from '../domain/access/brake.ts';
import { LostLeaseError } from '../errors.ts';
import type { SmallRecord, SmallRecordKind } from '../kube/small-record.ts';
import type { Brakes, HeldNamespaces } from './brakes.ts';

export const brakeRecord: SmallRecordKind<HeldNamespaces> = {
  name: 'brake',
  type: `${group}/brake-record`,
  parse({ clients, sessions }) {
    const [ofClients, ofSessions] = [namesIn(clients), namesIn(sessions)];
    return ofClients && ofSessions && { clients: ofClients, sessions: ofSessions };
  },
};

export interface BrakeMemoryOptions {
  readonly brakes: Pick<Brakes, 'isKnown' | 'of' | 'recall'>;
  readonly store: Pick<SmallRecord<HeldNamespaces>, 'load' | 'save'>;
  /** Whether this process leads at this moment. */
  readonly held: () => boolean;
}

/** Keeps what the brake holds over a restart and a change of the leader: what is left of a mass change would be none by itself. */
export class BrakeMemory {
  readonly #o: BrakeMemoryOptions;
  readonly #loaded = Promise.withResolvers<void>();
  #stored: string | undefined;
  #isKnown = false;

  constructor(options: BrakeMemoryOptions) {
    this.#o = options;
  }

  /** Resolves when the brake knows what was held before, which is before anything may go. */
  get loaded(): Promise<void> {
    return this.#loaded.promise;
  }

  /** To be called about once a second. Throws what the store throws; calling again is the remedy. */
  async look(signal: AbortSignal): Promise<void> {
    const { brakes, store, held } = this.#o;
    if (this.#stored === undefined) {
      const before = (await store.load(signal)) ?? { clients: [], sessions: [] };
      this.#stored = JSON.stringify(before);
      if (!this.#isKnown) brakes.recall(before);
      this.#isKnown = true;
      this.#loaded.resolve();
    }
    if (!brakes.isKnown) return;
    const namespaces = (what: BrakedThing): readonly string[] => [...(brakes.of(what)?.lost.keys() ?? [])].toSorted();
    const now = { clients: namespaces('clients'), sessions: namespaces('sessions') };
    if (JSON.stringify(now) === this.#stored) return;
    // Whoever was frozen while another process began to lead would store what it remembers.
    if (!held()) throw new LostLeaseError('the brake record is not written: this process does not lead');
    // Whether the write arrives is open until it is answered.
    this.#stored = undefined;
    await store.save(now, signal);
    this.#stored = JSON.stringify(now);
  }
}

function namesIn(value: unknown): readonly string[] | undefined {
  return Array.isArray(value) && value.every((one) => typeof one === 'string') ? value : undefined;
}
