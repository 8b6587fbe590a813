import { labels } from '../../api/names.ts';
import type { RuleRef } from './access.ts';
import type { NearMisses, NearRule, Question } from './rules.ts';

/**
 * The sentences about scopes: what – why – what to do. Status, event, admission and command line show the same text; the object that it
 * is about (`CiIdentity publisher: `) is put in front by whoever prints it outside of that object.
 */

export function ruleName(ref: RuleRef): string {
  return `ScopePolicy ${ref.policy} (spec.rules[${ref.rule}])`;
}

export function granted(audience: string, scope: string, by: RuleRef): string {
  return `${pair(audience, scope)} is granted by ${ruleName(by)}.`;
}

export function noRule(
  question: Question,
  near: NearMisses,
  audience: string | undefined,
  scope: string | undefined,
): string {
  const what =
    scope !== undefined
      ? `${pair(audience, scope)} is denied`
      : audience !== undefined
        ? `audience ${audience} is denied`
        : 'nothing is granted';
  const remedy =
    scope !== undefined
      ? 'Ask the owner of the policies to add it to a rule, or leave it out of spec.scopes'
      : audience !== undefined
        ? 'Ask the owner of the policies for a rule with this audience, or leave it out of spec.audiences'
        : 'Ask the owner of the policies for a rule, or correct spec.roles';
  return `${what}: no rule of any ScopePolicy gives ${scope === undefined ? 'anything' : 'it'} to ${who(question)}${nearMiss(near, audience, scope)}. ${remedy}.`;
}

export function outsideCeiling(question: Question, audience: string, scope: string, by: RuleRef): string {
  const { ceiling } = question.pool.spec;
  const missing = [
    ...(ceiling.scopes.includes(scope) ? [] : ['scope']),
    ...(ceiling.audiences.includes(audience) ? [] : ['audience']),
  ].join(' and the ');
  return `${pair(audience, scope)} is denied: ${ruleName(by)} gives it, but the ceiling of ${poolName(question)} does not contain the ${missing}. Ask the owner of the pool to add it to spec.ceiling, or take it out of the rule.`;
}

export function ruleWithoutAudience(
  question: Question,
  audience: string | undefined,
  scope: string,
  by: RuleRef,
): string {
  return `${pair(audience, scope)} is denied: ${ruleName(by)} gives scope ${scope} without naming an audience, and the ceiling of ${poolName(question)} has ${question.pool.spec.ceiling.audiences.length} of them. Ask the owner of the policy to name the audience in the rule.`;
}

export function identityWithoutAudience(question: Question, scope: string): string {
  return `scope ${scope} is denied: no rule and not the identity says for which audience, and the ceiling of ${poolName(question)} has ${question.pool.spec.ceiling.audiences.length} of them. Name one in spec.audiences.`;
}

/** Equal for every pair, so that it is told once. `differing`: see {@link differingAudiences}. */
export function audiencesDiffer(differing: string): string {
  return `everything is denied: an identity has one token for all its audiences, and these grant different scopes (${differing}). Split it into two identities with one entry in spec.audiences each.`;
}

/** What each audience grants, in a few words. */
export function differingAudiences(table: ReadonlyMap<string, readonly string[]>): string {
  const rows = [...table].map(([name, scopes]) => `${name}: ${scopes.length === 0 ? 'nothing' : scopes.join(' ')}`);
  return cut(rows.join('; '), 600);
}

export function onlyAudited(question: Question, why: string): string {
  return `granted only because ${poolName(question)} has enforcement Audit; with Enforce, ${why}`;
}

export function leftOut(audience: string, scope: string, by: RuleRef): string {
  return `${pair(audience, scope)} is given by ${ruleName(by)}, but the identity does not ask for it in spec.scopes or spec.audiences.`;
}

export function poolMissing(pool: string, near: string | undefined): string {
  return `IdentityPool ${pool} does not exist${thereIs(near)}. Create it, or correct spec.pool.`;
}

/** What was perhaps meant by a name that is not there. */
export function thereIs(near: string | undefined): string {
  return near === undefined ? '' : ` (there is ${near})`;
}

export function poolLeaving(pool: string): string {
  return `IdentityPool ${pool} is being deleted, so it serves nothing any more. Name another pool in spec.pool.`;
}

export function wrongPurpose(pool: string): string {
  return `IdentityPool ${pool} has purpose Interactive: it serves people who log in, never builds. Name a pool with purpose Automation in spec.pool.`;
}

/** Without a remedy, which depends on who reads it. */
export function issuerNotListed(issuer: string, near: string | undefined): string {
  return `issuer ${issuer} is not listed in the configuration of the operator${thereIs(near)}, so it is never called`;
}

/** `ref`: the reference, with whose it is where that is not said before. */
export function registrationTokenMissing(ref: string): string {
  return `${secretMissing(ref)}. Create it; until then no client is registered.`;
}

export function secretMissing(ref: string): string {
  return `the Secret or key that ${ref} names does not exist in the operator's namespace, is empty, or cannot be read (then the operator's log says why)`;
}

export function issuerNotConfigured(pool: string, issuer: string): string {
  return `IdentityPool ${pool}: ${issuerNotListed(issuer, undefined)}. Ask the operator's administrator to add it under issuers, or name another pool.`;
}

export function namespaceGone(namespace: string): string {
  return `namespace ${namespace} is gone, so nothing is granted in it.`;
}

export function notOptedIn(namespace: string): string {
  return `namespace ${namespace} lacks the label ${labels.inject}=enabled, so its pods start without an identity. ${capitalised(optInSteps(namespace))}.`;
}

/** Rights first: with the label alone, nobody holds `use` and every agent pod is refused. */
export function optInSteps(namespace: string): string {
  return `apply the component manifests/components/agent-namespace there first, or its agent pods are refused; then kubectl label namespace ${namespace} --overwrite ${labels.inject}=enabled`;
}

export function capitalised(text: string): string {
  return `${text.charAt(0).toUpperCase()}${text.slice(1)}`;
}

/** At most `length` characters, with an ellipsis where something is missing. */
export function cut(text: string, length: number): string {
  return text.length <= length ? text : `${text.slice(0, length - 1)}…`;
}

/** A sentence as a part of another one. */
export function asClause(sentence: string): string {
  return sentence.replace(/\.$/, '');
}

/** As many whole sentences as fit into `length` characters; how many of `all` are left is said. */
export function joinSentences(
  sentences: readonly string[],
  length: number,
  rest: string,
  all = sentences.length,
): string {
  let kept = 0;
  for (let taken = -1; kept < sentences.length; kept++) {
    taken += (sentences[kept]?.length ?? 0) + 1;
    if (taken > length) break;
  }
  if (kept === sentences.length) return sentences.join(' ');
  for (; kept > 0; kept--) {
    const text = `${sentences.slice(0, kept).join(' ')} ${all - kept} more: ${rest}.`;
    if (text.length <= length) return text;
  }
  return cut(sentences.join(' '), length);
}

function pair(audience: string | undefined, scope: string): string {
  return audience === undefined ? `scope ${scope}` : `scope ${scope} at ${audience}`;
}

function poolName({ pool }: Question): string {
  return `IdentityPool ${pool.metadata.name}`;
}

function who({ identity, pool, namespace }: Question): string {
  const { roles } = identity.spec;
  return `${roles.length === 1 ? 'role' : 'roles'} ${cut(roles.join(', '), 300)} of IdentityPool ${pool.metadata.name} in namespace ${namespace.name}`;
}

/** The rule that comes closest. */
function nearMiss(near: NearMisses, audience: string | undefined, scope: string | undefined): string {
  const found = near.byScope.get(scope);
  if (found === undefined) return similarInWords(near.similarRoles);
  const { here, elsewhere, otherPool } = found;
  if (here !== undefined && audience !== undefined) return ` at this audience (${does(here, 'at another')})`;
  if (elsewhere !== undefined) return ` (${does(elsewhere, 'in other namespaces')})`;
  return ` (${ruleName(otherPool.ref)} does for pool ${otherPool.rule.pool})`;
}

function does({ ref, isIdle }: NearRule, where: string): string {
  return `${ruleName(ref)} does ${where}${isIdle ? ', but the ceiling of the pool leaves nothing of it' : ''}`;
}

function similarInWords(roles: readonly string[]): string {
  if (roles.length === 0) return '';
  return ` (there are rules for ${roles.length === 1 ? 'role' : 'roles'} ${cut(roles.join(', '), 300)})`;
}
