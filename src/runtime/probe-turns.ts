import type { Instant } from '../clock.ts';
import type { Work } from '../decision.ts';

/** What waits for a paused resource and may find out whether it works again. */
export interface Prober {
  readonly key: string;
  readonly work: Work;
  /** First come, first served among equals. */
  readonly seq: number;
}

type Rank = readonly [
  partyFailed: number,
  groupFailed: number,
  lane: number,
  keyFailed: number,
  by: Instant,
  seq: number,
];

/** So many failures are remembered; older ones only cost a probe. */
const most = 10_000;

/**
 * Who probes a paused resource. If that were always the most urgent, those for whom alone it fails would keep everybody else from it. So first
 * come those of a party whose last probe did not fail, then those whose last failure is longest ago; among them the lanes and groups likewise,
 * by lane, and then the keys.
 */
export class ProbeTurns {
  /** When the last probe failed: by party, by lane and group of a resource, and by key. In the order of time. */
  readonly #parties = new Map<string, number>();
  readonly #groups = new Map<string, number>();
  readonly #keys = new Map<string, number>();
  #turn = 0;

  /** O(waiting): probes are seldom. */
  next<P extends Prober>(waiting: Iterable<P>): P | undefined {
    let best: { readonly one: P; readonly rank: Rank } | undefined;
    for (const one of waiting) {
      const rank = this.#rank(one);
      if (best === undefined || isLower(rank, best.rank)) best = { one, rank };
    }
    return best?.one;
  }

  ended({ key, work }: Pick<Prober, 'key' | 'work'>, works: boolean): void {
    this.#turn += 1;
    for (const [failed, name] of [
      [this.#parties, partyOf(work)],
      [this.#groups, groupOf(work)],
      [this.#keys, key],
    ] as const) {
      if (name === undefined) continue;
      failed.delete(name);
      if (!works) failed.set(name, this.#turn);
      const oldest = failed.size > most ? failed.keys().next().value : undefined;
      if (oldest !== undefined) failed.delete(oldest);
    }
  }

  #rank({ key, work, seq }: Prober): Rank {
    const party = partyOf(work);
    const partyFailed = (party === undefined ? undefined : this.#parties.get(party)) ?? 0;
    return [partyFailed, this.#groups.get(groupOf(work)) ?? 0, work.lane, this.#keys.get(key) ?? 0, work.by, seq];
  }
}

function partyOf({ resource, party }: Work): string | undefined {
  return party === undefined ? undefined : `${resource ?? ''} ${party}`;
}

function groupOf({ resource, lane, group }: Work): string {
  return `${resource ?? ''} ${lane} ${group}`;
}

function isLower(one: Rank, other: Rank): boolean {
  const at = one.findIndex((value, i) => value !== other[i]);
  return at >= 0 && (one[at] ?? 0) < (other[at] ?? 0);
}
