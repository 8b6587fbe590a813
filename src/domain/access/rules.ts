import type { CiIdentity } from '../../api/v1alpha1/ci-identity.ts';
import type { IdentityPool } from '../../api/v1alpha1/identity-pool.ts';
import type { ScopePolicy } from '../../api/v1alpha1/scope-policy.ts';
import { parseDuration, type Milliseconds } from '../../clock.ts';
import { maxTokenLifetime } from '../pool-defaults.ts';
import type { PolicyRef, RuleRef } from './access.ts';
import { nearName } from './near-name.ts';
import { isAudience, isScope, setOf, type TextSet } from './scopes.ts';
import { isEmptySelector, matches, type Labels } from './selectors.ts';

export type Rule = ScopePolicy['spec']['rules'][number];

export interface NamespaceFacts {
  readonly name: string;
  readonly labels: Labels;
}

/** Whose access is asked about, and all objects that decide it. */
export interface Question {
  readonly identity: CiIdentity;
  readonly pool: IdentityPool;
  readonly policies: readonly ScopePolicy[];
  readonly namespace: NamespaceFacts;
}

/** A rule in its policy. */
export interface PlacedRule {
  readonly rule: Rule;
  readonly ref: RuleRef;
}

/** What one rule gives: each of `scopes` at each of `audiences`. No audiences: it is unclear which one is meant. */
export interface Gift {
  readonly ref: RuleRef;
  readonly scopes: TextSet;
  readonly audiences: TextSet;
  readonly maxLifetime: Milliseconds;
}

/** By the list of policies: thousands of identities are judged by the same one. */
const placed = new WeakMap<readonly ScopePolicy[], readonly PlacedRule[]>();

/** Every rule of every policy that is not being deleted, in a stable order: by policy name, then as written. */
function placedRules(policies: readonly ScopePolicy[]): readonly PlacedRule[] {
  const known = placed.get(policies);
  if (known !== undefined) return known;
  const rules = policies
    .filter((policy) => policy.metadata.deletionTimestamp === undefined)
    .toSorted((a, b) => compareText(a.metadata.name, b.metadata.name))
    .flatMap(({ metadata, spec }) =>
      spec.rules.map((rule, index) => ({
        rule,
        ref: { policy: metadata.name, rule: index, generation: metadata.generation ?? 0 },
      })),
    );
  placed.set(policies, rules);
  return rules;
}

/** Those for this pool and one of the identity's roles, whatever their namespaces are. */
function askedRules({ identity, pool, policies }: Question): readonly PlacedRule[] {
  return placedRules(policies).filter(
    ({ rule }) => rule.pool === pool.metadata.name && identity.spec.roles.includes(rule.role),
  );
}

/** Which policies the answer rests on: those with such a rule. */
export function consultedOf(question: Question): readonly PolicyRef[] {
  const asked = askedRules(question).map(
    ({ ref: { policy, generation } }) => [policy, { policy, generation }] as const,
  );
  return [...new Map(asked).values()];
}

/** Whether the rule is for this namespace: it is listed, or the selector matches its labels. An empty selector matches none: default deny. */
export function coversNamespace(rule: Rule, namespace: NamespaceFacts): boolean {
  if (rule.namespaces?.includes(namespace.name) === true) return true;
  const selector = rule.namespaceSelector;
  return selector !== undefined && !isEmptySelector(selector) && matches(selector, namespace.labels);
}

/** The audiences that a rule is about: its own, or the ceiling's when that has exactly one; none: unclear. */
export function audiencesOf(rule: Rule, pool: IdentityPool): TextSet {
  const ceiling = setOf(pool.spec.ceiling.audiences);
  const audiences = rule.audiences ?? (ceiling.length === 1 ? ceiling : []);
  return setOf(audiences.filter(isAudience));
}

/** What the rules that name this pool, one of the identity's roles and its namespace give; the ceiling is not applied yet. */
export function giftsOf(question: Question): readonly Gift[] {
  const { pool, namespace } = question;
  const ceilingLifetime = maxTokenLifetime(pool);
  return askedRules(question)
    .filter(({ rule }) => coversNamespace(rule, namespace))
    .map(({ rule, ref }) => ({
      ref,
      scopes: setOf(rule.scopes.filter(isScope)),
      audiences: audiencesOf(rule, pool),
      maxLifetime: Math.min(ceilingLifetime, parseDuration(rule.maxTokenLifetime ?? '') ?? ceilingLifetime),
    }));
}

/** One scope at one audience, and the rule that gives it. */
export interface Given {
  readonly audience: string;
  readonly scope: string;
  readonly gift: Gift;
}

/**
 * Every scope at every audience that the gifts give, by {@link pairKey}. Of several rules the one with the longest lifetime, so that a
 * further rule never takes anything away; then the first. Made once per question: teams choose how many pairs they ask for.
 */
export function giversOf(gifts: readonly Gift[]): ReadonlyMap<string, Given> {
  const givers = new Map<string, Given>();
  for (const gift of gifts) {
    for (const audience of gift.audiences) {
      for (const scope of gift.scopes) {
        const key = pairKey({ audience, scope });
        const known = givers.get(key);
        if (known === undefined || known.gift.maxLifetime < gift.maxLifetime)
          givers.set(key, { audience, scope, gift });
      }
    }
  }
  return givers;
}

/** Neither has a space in it where it is granted. */
export function pairKey({ audience, scope }: { readonly audience?: string; readonly scope?: string }): string {
  return `${audience ?? ''} ${scope ?? ''}`;
}

export interface NearRule extends PlacedRule {
  /** The ceiling of the pool leaves nothing of it, so it is no help where it stands either. */
  readonly isIdle: boolean;
}

/**
 * The first rules that nearly give a scope to one of the identity's roles, because a wrong namespace or pool is the usual mistake. Those that give
 * something where they stand come before those that do not.
 */
export interface NearMiss {
  /** Of its pool and for its namespace. */
  readonly here: NearRule | undefined;
  /** Of its pool. */
  readonly elsewhere: NearRule | undefined;
  readonly otherPool: PlacedRule;
}

export interface NearMisses {
  /** `undefined`: whatever the scope. */
  readonly byScope: ReadonlyMap<string | undefined, NearMiss>;
  /** Where no rule names any of the identity's roles: those that rules of its pool name and that are spelt nearly so. */
  readonly similarRoles: readonly string[];
}

/** Made once per question: teams choose how many pairs they ask for. */
export function nearMissesOf({ identity, pool, policies, namespace }: Question): NearMisses {
  const near = new Map<string | undefined, NearMiss>();
  const { ceiling } = pool.spec;
  const scopes = new Set(ceiling.scopes);
  for (const one of placedRules(policies)) {
    const { rule } = one;
    if (!identity.spec.roles.includes(rule.role)) continue;
    const isOfPool = rule.pool === pool.metadata.name;
    const isHere = isOfPool && coversNamespace(rule, namespace);
    const audiences = audiencesOf(rule, pool);
    const reaches = audiences.length === 0 || audiences.some((audience) => ceiling.audiences.includes(audience));
    const within = new Set<string | undefined>(reaches ? rule.scopes.filter((scope) => scopes.has(scope)) : []);
    if (within.size > 0) within.add(undefined);
    for (const scope of [undefined, ...rule.scopes]) {
      const known = near.get(scope);
      const found = { ...one, isIdle: !within.has(scope) };
      near.set(scope, {
        here: isHere ? better(known?.here, found) : known?.here,
        elsewhere: isOfPool ? better(known?.elsewhere, found) : known?.elsewhere,
        otherPool: known?.otherPool ?? one,
      });
    }
  }
  return { byScope: near, similarRoles: near.size > 0 ? [] : similarRoles(identity.spec.roles, pool, policies) };
}

function better(known: NearRule | undefined, found: NearRule): NearRule {
  return known === undefined || (known.isIdle && !found.isIdle) ? found : known;
}

/** Of so many roles it is guessed what was meant: a slip is in one of a few. */
const mostGuessed = 4;

function similarRoles(
  roles: readonly string[],
  pool: IdentityPool,
  policies: readonly ScopePolicy[],
): readonly string[] {
  const ofPool = placedRules(policies).filter(({ rule }) => rule.pool === pool.metadata.name);
  const known = new Set(ofPool.map(({ rule }) => rule.role));
  return roles.slice(0, mostGuessed).flatMap((role) => nearName(role, known) ?? []);
}

/** By code unit, the same on every machine. */
export function compareText(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
