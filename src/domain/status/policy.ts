import type { IdentityPool } from '../../api/v1alpha1/identity-pool.ts';
import type { ScopePolicy, ScopePolicyStatus, ScopePolicyStatusProblem } from '../../api/v1alpha1/scope-policy.ts';
import type { Reason } from '../../api/reasons.ts';
import type { Instant } from '../../clock.ts';
import type { Decision, Known } from '../../decision.ts';
import { cut, joinSentences, thereIs } from '../access/explain.ts';
import { nearName } from '../access/near-name.ts';
import { audiencesOf, coversNamespace, type NamespaceFacts, type Rule } from '../access/rules.ts';
import { difference } from '../access/scopes.ts';
import { about, draft, longestMessage, marked, setConditions, type Draft, type Going } from './conditions.ts';
import { notSynced, statusDecision, type StatusAction, type StatusFacts } from './decision.ts';

/** Everything that the status of a policy shows. */
export interface PolicyFacts extends StatusFacts {
  readonly policy: ScopePolicy;
  /** All of them. */
  readonly pools: Known<readonly IdentityPool[]>;
  /** All of them. */
  readonly namespaces: Known<readonly NamespaceFacts[]>;
  /** CiIdentities that get at least one scope from this policy. */
  readonly identities: number;
}

interface Problem extends ScopePolicyStatusProblem {
  readonly reason: Reason;
  /** The rule is well, but there is nothing for it to grant now. */
  readonly harmless?: boolean;
}

const mostProblems = 64;

/** Status of a ScopePolicy: whether its rules can grant what they say. It has no finalizer. */
export function decidePolicy(facts: PolicyFacts, now: Instant): Decision<StatusAction<ScopePolicyStatus>> {
  const { policy, pools, namespaces } = facts;
  if (policy.metadata.deletionTimestamp !== undefined) return { row: 'leaving', reason: 'Settled' };
  if (pools.is === 'Unknown' || namespaces.is === 'Unknown') return notSynced();
  return statusDecision(
    {
      current: policy.status,
      next: policyStatus(facts, now),
      counts: ['identities'],
      zeroIsNews: true,
      writtenAt: facts.writtenAt,
      group: 'scopepolicies',
    },
    now,
  );
}

export function policyStatus(facts: PolicyFacts, now: Instant): ScopePolicyStatus {
  const { policy, pools, namespaces } = facts;
  const generation = policy.metadata.generation ?? 0;
  const problems = policy.spec.rules.flatMap((rule, index) =>
    problemsOf(rule, index, pools.is === 'Seen' ? pools.value : [], namespaces.is === 'Seen' ? namespaces.value : []),
  );
  return {
    conditions: setConditions(policy.status?.conditions, conditions(policy, problems), generation, now),
    observedGeneration: generation,
    rules: policy.spec.rules.length,
    identities: facts.identities,
    ...(problems.length === 0
      ? {}
      : {
          problems: problems
            .slice(0, mostProblems)
            .map(({ rule, reason, message }) => ({ rule, reason, message: cut(message, longestMessage) })),
        }),
  };
}

function conditions({ metadata }: ScopePolicy, problems: readonly Problem[]): readonly Draft[] {
  const subject = `ScopePolicy ${metadata.name}`;
  const serious = problems.filter(({ harmless }) => harmless !== true);
  if (serious.length === 0) {
    const told = problems.map((problem) => problem.message);
    const idle = told.length === 0 ? '' : ` But ${joinSentences(told, longestMessage - 300, 'see status.problems')}`;
    const well = `${subject}: every rule refers to a pool that exists and stays inside its ceiling.${idle}`;
    return [draft('Ready', 'True', 'Ready', well), draft('Valid', 'True', 'Valid', well)];
  }
  const message = about(
    subject,
    joinSentences(
      serious.map((problem) => problem.message),
      longestMessage - 300,
      'see status.problems',
    ),
  );
  const reasons = new Set(serious.map(({ reason }) => reason));
  const reason = reasons.size === 1 && serious[0] !== undefined ? serious[0].reason : 'RuleInvalid';
  // A pool is often applied right after the policies that name it.
  const going: Going = reasons.size === 1 && reasons.has('PoolMissing') ? 'Reconciling' : 'Stalled';
  return [...marked(draft('Ready', 'False', reason, message), going), draft('Valid', 'False', reason, message)];
}

function problemsOf(
  rule: Rule,
  index: number,
  pools: readonly IdentityPool[],
  namespaces: readonly NamespaceFacts[],
): readonly Problem[] {
  const at = `spec.rules[${index}] (role ${rule.role})`;
  const problem = (reason: Reason, message: string): Problem => ({ rule: index, reason, message });
  const pool = pools.find(({ metadata }) => metadata.name === rule.pool && metadata.deletionTimestamp === undefined);
  if (pool === undefined) {
    const names = pools.map(({ metadata }) => metadata.name);
    return [
      problem(
        'PoolMissing',
        `${at} grants nothing: IdentityPool ${rule.pool} does not exist${thereIs(nearName(rule.pool, names))}. Create it, or correct pool.`,
      ),
    ];
  }
  const found: Problem[] = [];
  if (pool.spec.purpose === 'Interactive') {
    found.push(
      problem(
        'PurposeMismatch',
        `${at} grants nothing: IdentityPool ${rule.pool} has purpose Interactive and never serves builds. Name a pool with purpose Automation.`,
      ),
    );
  }
  const { ceiling } = pool.spec;
  if (rule.audiences === undefined && audiencesOf(rule, pool).length === 0) {
    found.push(
      problem(
        'AudienceUnclear',
        `${at} grants nothing: it names no audience, and the ceiling of IdentityPool ${rule.pool} has ${ceiling.audiences.length}. Name the one that is meant in audiences.`,
      ),
    );
  }
  const beyond = [...difference(rule.scopes, ceiling.scopes), ...difference(rule.audiences ?? [], ceiling.audiences)];
  if (beyond.length > 0) {
    found.push(
      problem(
        'OutsideCeiling',
        `${at} grants less than it says: the ceiling of IdentityPool ${rule.pool} does not contain ${cut(beyond.join(', '), 700)}. Add it there, or take it out of the rule.`,
      ),
    );
  }
  const unmatched = unmatchedOf(rule, namespaces);
  if (unmatched !== undefined) found.push({ ...problem('MatchesNothing', `${at} ${unmatched}`), harmless: true });
  return found;
}

/** So many names are compared with those that exist: a policy may list 4,096. */
const mostCompared = 10;

/** A namespace may be announced before it is there, so one of several is told of only where it looks misspelt. */
function unmatchedOf(rule: Rule, namespaces: readonly NamespaceFacts[]): string | undefined {
  const isIdle = !namespaces.some((namespace) => coversNamespace(rule, namespace));
  const later = 'It will when there is one.';
  if (rule.namespaces === undefined)
    return isIdle ? `grants nothing now: no namespace has labels that namespaceSelector matches. ${later}` : undefined;
  const known = new Set(namespaces.map(({ name }) => name));
  const missing = rule.namespaces.filter((name) => !known.has(name));
  const slips = missing.slice(0, mostCompared).flatMap((name) => {
    const near = nearName(name, known);
    return near === undefined ? [] : [{ name, near }];
  });
  const remedy = 'Correct it, or create the namespace.';
  const meant = cut(slips.map(({ name, near }) => `${name} is perhaps ${near}`).join(', '), 500);
  if (isIdle) {
    const where = `grants nothing now: there is no namespace ${cut(missing.join(', '), 500)}`;
    return slips.length === 0 ? `${where}. ${later}` : `${where}; ${meant}. ${remedy}`;
  }
  const names = cut(slips.map(({ name }) => name).join(', '), 500);
  return slips.length === 0
    ? undefined
    : `grants nothing in namespace ${names}, which does not exist; ${meant}. ${remedy}`;
}
