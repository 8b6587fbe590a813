import type { CiIdentity } from '../../api/v1alpha1/ci-identity.ts';
import type { Clock } from '../../clock.ts';
import { type LimitsRecord, begun, breachOf, startsIn } from '../../domain/access/limits.ts';
import { limitsRecordName } from '../../domain/record-names.ts';
import type { RecordStore } from '../../kube/records.ts';
import type { Effects } from '../../runtime/effect.ts';
import { deadlines } from '../deadlines.ts';
import { type EffectName, limitsEffect } from '../effect-names.ts';
import { type Memory, indexes } from '../memory.ts';

export interface SessionLimitsOptions {
  readonly memory: Memory;
  readonly records: RecordStore<LimitsRecord>;
  readonly effects: Effects<EffectName>;
  readonly clock: Clock;
}

/**
 * Limits of identities on their sessions. Who holds a token is in the session records; who began within the last hour is in a record of its
 * own, written before the token is asked for, so that neither a restart nor the end of a pod forgets it.
 */
export class SessionLimits {
  readonly #o: SessionLimitsOptions;
  /** Uid of an identity → pods that are about to get their first token. */
  readonly #admitted = new Map<string, Set<string>>();
  /** `<namespace>/<identity>` of which a pod waits. */
  readonly #refused = new Set<string>();
  /** Uid of an identity → the last write of its record, so that sessions of one identity write one after the other. */
  readonly #writing = new Map<string, Promise<unknown>>();

  constructor(options: SessionLimitsOptions) {
    this.#o = options;
  }

  /** Why this pod may not begin a session now, as a sentence. */
  breach(identity: CiIdentity, pod: string): string | undefined {
    const { limits } = identity.spec;
    if (limits === undefined) return undefined;
    const { namespace = '', name, uid = '' } = identity.metadata;
    const now = this.#o.clock.now();
    // Also where it ends: what nobody could revoke yet works on, and a loop of short pods must not pile it up.
    const live = this.#o.memory.sessions
      .byIndex(indexes.identity, `${namespace}/${name}`)
      .filter(
        ([, { record }]) => record?.pod.uid !== pod && record?.tokens.some(({ exp }) => now < exp) === true,
      ).length;
    const admitted = [...(this.#admitted.get(uid) ?? [])].filter((one) => one !== pod).length;
    const starts = startsIn(this.#recordOf(uid), now).filter((start) => start.pod !== pod).length;
    return breachOf(limits, live + admitted, starts);
  }

  /** Runs `work`, which gets the pod its first token, inside the limits. `false`: it was not run, because a limit is reached. */
  async within(identity: CiIdentity, pod: string, signal: AbortSignal, work: () => Promise<void>): Promise<boolean> {
    const { uid = '' } = identity.metadata;
    if (identity.spec.limits === undefined) return (await work(), true);
    if (this.breach(identity, pod) !== undefined) return false;
    const admitted = this.#admitted.get(uid) ?? new Set();
    this.#admitted.set(uid, admitted.add(pod));
    try {
      if (identity.spec.limits.sessionsPerHour !== undefined && !(await this.#begin(identity, pod, signal)))
        return false;
      await work();
      return true;
    } finally {
      admitted.delete(pod);
      if (admitted.size === 0) this.#admitted.delete(uid);
    }
  }

  /** A pod was told that it has to wait. */
  refused(namespace: string, identity: string): void {
    this.#refused.add(`${namespace}/${identity}`);
  }

  /** The limit because of which a pod waits, while it is still reached. */
  refusal(identity: CiIdentity): string | undefined {
    const { namespace = '', name } = identity.metadata;
    if (!this.#refused.has(`${namespace}/${name}`)) return undefined;
    const message = this.breach(identity, '');
    if (message === undefined) this.#refused.delete(`${namespace}/${name}`);
    return message;
  }

  /** Records of identities that are gone. */
  async forget(signal: AbortSignal): Promise<void> {
    const { memory, records, effects } = this.#o;
    for (const [name, { record }] of memory.limits.entries()) {
      if (record === undefined) continue;
      const { namespace, name: identity, uid } = record.identity;
      const known = memory.identity(namespace, identity);
      if (known.is === 'Unknown' || (known.is === 'Seen' && known.value.metadata.uid === uid)) continue;
      await effects.run(limitsEffect, { deadline: deadlines.apiWrite, signal }, (bounded) =>
        records.remove(name, record, bounded),
      );
    }
  }

  async #begin(identity: CiIdentity, pod: string, signal: AbortSignal): Promise<boolean> {
    const { uid = '' } = identity.metadata;
    const before = this.#writing.get(uid) ?? Promise.resolve();
    const write = before.then(
      () => this.#write(identity, pod, signal),
      () => this.#write(identity, pod, signal),
    );
    this.#writing.set(uid, write);
    try {
      return await write;
    } finally {
      if (this.#writing.get(uid) === write) this.#writing.delete(uid);
    }
  }

  /** Looked at again when its turn has come: others began meanwhile. */
  async #write(identity: CiIdentity, pod: string, signal: AbortSignal): Promise<boolean> {
    if (this.breach(identity, pod) !== undefined) return false;
    const { namespace = '', name, uid = '' } = identity.metadata;
    const now = this.#o.clock.now();
    const known = this.#recordOf(uid);
    if (startsIn(known, now).some((start) => start.pod === pod)) return true;
    const next = begun(known, { namespace, name, uid }, pod, now);
    await this.#o.effects.run(limitsEffect, { deadline: deadlines.apiWrite, signal }, (bounded) =>
      this.#o.records.write(limitsRecordName(uid), next, known, bounded),
    );
    return true;
  }

  #recordOf(uid: string): LimitsRecord | undefined {
    return this.#o.memory.limits.get(limitsRecordName(uid))?.record;
  }
}
