import { type Instant, type Milliseconds, earliest, plus, second } from '../../clock.ts';
import { type Decision, type Row, firstRow } from '../../decision.ts';
import { resourceOf } from '../circuits.ts';
import { lanes } from '../lanes.ts';

/**
 * The token of a proof that succeeded. It is in no record and nobody holds it, so nobody waits for its end: where the process is killed before, it
 * lives until it expires, as one does whose proof was under way.
 */
export interface ProofToken {
  readonly issuer: string;
  readonly pool: string;
  /** Name of the record of the client that asked for it. */
  readonly client: string;
  readonly since: Instant;
  /** Something else waits for its turn, whatever it is. */
  readonly isBusy: boolean;
}

export interface ProofTokenAction {
  readonly type: 'Revoke';
}

export type ProofTokenRowName = 'yields' | 'revoke';

/** So long it lets everything else go first; then it takes turns with builds that wait for their first token. */
const patience: Milliseconds = 15 * second;
/** How often it looks whether there is still something else. */
const lookEvery: Milliseconds = 2 * second;

const rows: readonly Row<ProofToken, ProofTokenAction, ProofTokenRowName>[] = [
  {
    name: 'yields',
    when: (s, now) => s.isBusy && !isOverdue(s, now),
    then: (s, now) => {
      const recheckAt = earliest(plus(s.since, patience), plus(now, lookEvery));
      return { reason: 'InProgress', ...(recheckAt === undefined ? {} : { recheckAt }) };
    },
  },
  {
    name: 'revoke',
    then: (s, now) => ({
      reason: 'InProgress',
      action: { type: 'Revoke' },
      work: {
        lane: isOverdue(s, now) ? lanes.NewPod : lanes.CleanUp,
        by: s.since,
        group: s.pool,
        resource: resourceOf(s.issuer, 'revocations'),
        party: s.client,
      },
    }),
  },
];

export function decideProofToken(s: ProofToken, now: Instant): Decision<ProofTokenAction, ProofTokenRowName> {
  return firstRow(rows, s, now);
}

function isOverdue({ since }: ProofToken, now: Instant): boolean {
  return now >= plus(since, patience);
}
