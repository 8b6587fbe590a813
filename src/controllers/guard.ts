import type { Instant } from '../clock.ts';
import type { Known } from '../decision.ts';
import type { Guard } from '../domain/access/access.ts';
import {
  brokenPolicies,
  installedVersions,
  recordBroken,
  recordHolds,
  recordWhole,
  trustsNewPods,
} from '../domain/access/trust.ts';
import type { GuardRecord, ObservedPolicy, ShippedPolicy } from '../domain/access/trust.ts';
import type { ProbeOutcome } from '../kube/guard-probe.ts';
import type { GuardStore } from '../kube/guard.ts';
import { OperatorError } from '../errors.ts';

export interface GuardKeeperOptions {
  readonly shipped: readonly ShippedPolicy[];
  /** The live policies and bindings as memory holds them, the same list until one changes; `Unknown` until every list was complete. */
  readonly observed: () => Known<readonly ObservedPolicy[]>;
  readonly store: GuardStore;
  readonly probe: (signal: AbortSignal) => Promise<ProbeOutcome>;
  /** The API server's clock as well as it is known: creation times of pods, with which *since* is compared, are the API server's. */
  readonly now: () => Instant;
}

/**
 * Knows whether the admission policies are what this version ships and since when. `current` looks at memory each time, so
 * an edited policy stops minting with the watch event; `refresh` makes the record durable. Fails closed: `Unknown` until the policies were
 * listed, a probe was answered and the record is stored.
 */
export class GuardKeeper {
  readonly #options: GuardKeeperOptions;
  #judged: Judgement | undefined;
  #record: GuardRecord | undefined;
  #loaded = false;
  #probe: ProbeOutcome | undefined;
  #unclear: string | undefined;
  /** `since` of the guard of which people were told that new pods are trusted. */
  #trustedSince: Instant | undefined;
  #tail: Promise<void> = Promise.resolve();

  constructor(options: GuardKeeperOptions) {
    this.#options = options;
  }

  /** From memory only, and cheap. */
  current(): Guard {
    const judged = this.#judge();
    if (judged === undefined) return unknown;
    if (judged.broken.length > 0) return { is: 'Missing', objects: judged.broken };
    if (this.#probe === undefined || !recordHolds(this.#record, judged.versions)) return unknown;
    return { is: 'Intact', since: this.#record.wholeSince };
  }

  /** What people are told: not `Intact` before a pod that is created now is trusted, because whoever reads `Ready` creates one. */
  told(): Guard {
    const guard = this.current();
    if (guard.is !== 'Intact') return guard;
    // What the API server's clock is known to be may go back a little: whoever was not told again would wait for the next look at everything.
    if (trustsNewPods(guard, this.#options.now())) this.#trustedSince = guard.since;
    return this.#trustedSince === guard.since ? guard : unknown;
  }

  /** Why the last probe told nothing, as a sentence for the log and the health page. */
  get unclearProbe(): string | undefined {
    return this.#unclear;
  }

  /**
   * Makes the record agree with memory: to be called at the start and after each change of a policy or binding. Writes only when something
   * differs. Throws what the store throws; calling again is the remedy. Calls never overlap.
   */
  refresh(signal: AbortSignal): Promise<void> {
    const run = this.#tail.then(() => this.#refresh(signal));
    this.#tail = run.catch(() => undefined);
    return run;
  }

  /**
   * Sends the forbidden requests, then refreshes: to be called at the start and every few minutes. No answer changes nothing; an admitted
   * request breaks the guard until a later probe is refused.
   */
  async probe(signal: AbortSignal): Promise<void> {
    const outcome = await this.#options.probe(signal);
    this.#unclear = outcome.is === 'Unclear' ? outcome.message : undefined;
    if (outcome.is !== 'Unclear') {
      this.#probe = outcome;
      this.#judged = undefined;
    }
    await this.refresh(signal);
  }

  async #refresh(signal: AbortSignal): Promise<void> {
    if (!this.#loaded) {
      this.#record = await this.#options.store.load(signal);
      this.#loaded = true;
    }
    const judged = this.#judge();
    if (judged === undefined) return;
    const now = this.#options.now();
    if (judged.broken.length > 0) {
      if (this.#record === undefined || Object.keys(this.#record.objects).length > 0)
        await this.#save(recordBroken(now), signal);
    } else if (!recordHolds(this.#record, judged.versions)) {
      await this.#save(recordWhole(judged.versions, now), signal);
    }
  }

  async #save(record: GuardRecord, signal: AbortSignal): Promise<void> {
    try {
      await this.#options.store.save(record, signal);
      this.#record = record;
    } catch (error) {
      // Whether the write arrived is open, or another replica wrote: only the stored record counts.
      this.#loaded = false;
      this.#record = undefined;
      if (!(error instanceof OperatorError && error.class === 'Conflict')) throw error;
      await this.#refresh(signal);
    }
  }

  /** Compares only when something changed: `current` is asked at every triage. */
  #judge(): Judgement | undefined {
    const observed = this.#options.observed();
    if (observed.is !== 'Seen') return undefined;
    if (this.#judged?.of !== observed.value) {
      const versions = installedVersions(this.#options.shipped, observed.value);
      const broken = [...brokenPolicies(this.#options.shipped, observed.value), ...this.#admitted()];
      this.#judged = { of: observed.value, versions, broken };
    }
    return this.#judged;
  }

  #admitted(): readonly string[] {
    if (this.#probe?.is !== 'Admitted') return [];
    return this.#probe.what.map(
      (what) => `admission plugin ValidatingAdmissionPolicy (disabled: the API server admits ${what})`,
    );
  }
}

interface Judgement {
  readonly of: readonly ObservedPolicy[];
  readonly versions: GuardRecord['objects'];
  readonly broken: readonly string[];
}

const unknown: Guard = { is: 'Unknown' };
