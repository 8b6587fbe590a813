import type { Reason } from '../../api/reasons.ts';
import { maxTokenLifetime } from '../client/target.ts';
import type { Ask, RuleRef } from './access.ts';
import { askOf } from './ask.ts';
import * as explain from './explain.ts';
import { compareText, giftsOf, giverOf, type Gift, type Question } from './rules.ts';
import { equal, intersection, isAudience, isScope, setOf, union, type TextSet } from './scopes.ts';

/** What becomes of one (audience, scope), with the whole sentence. `LeftOut`: the roles give it and the identity does not ask for it. */
export interface Verdict {
  readonly audience?: string;
  readonly scope?: string;
  readonly outcome: 'Granted' | 'WouldDeny' | 'Denied' | 'LeftOut';
  readonly reason: Reason;
  readonly message: string;
  readonly by?: RuleRef;
}

export interface Judgement {
  /** In a stable order; every wanted pair is in it exactly once. */
  readonly verdicts: readonly Verdict[];
  /** Everything that is granted, as one token asks for it. Absent: nothing is. */
  readonly ask?: Ask;
}

/**
 * Authorization, computed per audience: union over the rules that name pool, role, namespace and audience, cut by the identity's
 * narrowing, cut by the ceiling. What an identity wants is its narrowing, and where it has none, everything that its roles give.
 * One token serves several audiences only if each of them grants the same scopes.
 *
 * Adding a rule never takes a pair away from an audience. It can give a second audience (or more scopes at one of several), and then
 * an identity that names no audience has to be split.
 */
export function judge(question: Question): Judgement {
  const gifts = giftsOf(question);
  const pairs = pairVerdicts(question, gifts);
  const table = grantTable(question, pairs);
  const [first] = table.values();
  if (first === undefined || ![...table.values()].every((scopes) => equal(scopes, first))) {
    return { verdicts: [...withoutToken(pairs, table), ...leftOut(gifts, pairs)].toSorted(byPair) };
  }
  const lifetimes = pairs.filter(isGranted).map(({ audience = '', scope = '' }) => giverOf(gifts, audience, scope));
  const maxLifetime = Math.min(
    maxTokenLifetime(question.pool),
    ...lifetimes.map((gift) => gift?.maxLifetime ?? Infinity),
  );
  return {
    verdicts: [...pairs, ...leftOut(gifts, pairs)].toSorted(byPair),
    ...(first.length === 0 ? {} : { ask: askOf(first, table.keys(), maxLifetime) }),
  };
}

/** The verdicts about everything that is wanted, before the rule about one token for several audiences. */
export function pairVerdicts(question: Question, gifts: readonly Gift[]): readonly Verdict[] {
  const { identity } = question;
  const named = identity.spec.scopes;
  const audiences = wantedAudiences(question, gifts);
  const verdicts = audiences.flatMap((audience) => {
    const scopes =
      named ?? union(...gifts.filter((gift) => gift.audiences.includes(audience)).map((gift) => gift.scopes));
    return setOf(scopes).map((scope) => pairVerdict(question, gifts, audience, scope));
  });
  const homeless = setOf(named ?? unclear(gifts).flatMap((gift) => gift.scopes)).filter(
    (scope) => !verdicts.some((verdict) => verdict.scope === scope),
  );
  const empty = audiences.filter((audience) => !verdicts.some((verdict) => verdict.audience === audience));
  const all = [
    ...verdicts,
    ...empty.map((audience) => denied('NoRule', explain.noRule(question, audience, undefined), audience)),
    ...homeless.map((scope) => scopeVerdict(question, gifts, scope)),
  ];
  return all.length > 0 ? all : [denied('NoRule', explain.noRule(question, undefined, undefined))];
}

/** The audiences that the identity names, or else those at which its roles give something that it wants. */
function wantedAudiences({ identity, pool }: Question, gifts: readonly Gift[]): TextSet {
  const { scopes, audiences } = identity.spec;
  if (audiences !== undefined) return setOf(audiences);
  const useful = gifts.filter((gift) => scopes === undefined || intersection(scopes, gift.scopes).length > 0);
  const given = union(...useful.map((gift) => gift.audiences));
  const ceiling = setOf(pool.spec.ceiling.audiences);
  return given.length === 0 && auditsNamed(identity, pool) && ceiling.length === 1 ? ceiling : given;
}

function pairVerdict(question: Question, gifts: readonly Gift[], audience: string, scope: string): Verdict {
  const { identity, pool } = question;
  const { ceiling } = pool.spec;
  const inside = ceiling.scopes.includes(scope) && ceiling.audiences.includes(audience);
  const by = giverOf(gifts, audience, scope)?.ref;
  if (by !== undefined && inside) {
    return {
      audience,
      scope,
      outcome: 'Granted',
      reason: 'Authorized',
      message: explain.granted(audience, scope, by),
      by,
    };
  }
  if (by !== undefined) {
    return { ...denied('OutsideCeiling', explain.outsideCeiling(question, audience, scope, by), audience, scope), by };
  }
  const vague = unclear(gifts).find((gift) => gift.scopes.includes(scope));
  const refusal =
    vague === undefined
      ? denied('NoRule', explain.noRule(question, audience, scope), audience, scope)
      : denied('AudienceUnclear', explain.ruleWithoutAudience(question, audience, scope, vague.ref), audience, scope);
  const audited = inside && isScope(scope) && isAudience(audience) && auditsNamed(identity, pool);
  return audited
    ? { ...refusal, outcome: 'WouldDeny', message: explain.onlyAudited(question, refusal.message) }
    : refusal;
}

/** A scope that is wanted, but at no audience. */
function scopeVerdict(question: Question, gifts: readonly Gift[], scope: string): Verdict {
  const { identity, pool } = question;
  const vague = unclear(gifts).find((gift) => gift.scopes.includes(scope));
  if (vague !== undefined) {
    return denied(
      'AudienceUnclear',
      explain.ruleWithoutAudience(question, undefined, scope, vague.ref),
      undefined,
      scope,
    );
  }
  return auditsNamed(identity, pool) && pool.spec.ceiling.scopes.includes(scope)
    ? denied('AudienceUnclear', explain.identityWithoutAudience(question, scope), undefined, scope)
    : denied('NoRule', explain.noRule(question, undefined, scope), undefined, scope);
}

/** Audience → scopes that it grants. An audience that the identity names is in it even if it grants nothing. */
function grantTable({ identity }: Question, pairs: readonly Verdict[]): ReadonlyMap<string, TextSet> {
  const granted = pairs.filter(isGranted);
  const audiences = setOf(identity.spec.audiences ?? granted.map(({ audience = '' }) => audience));
  return new Map(
    audiences.map((audience) => [
      audience,
      setOf(granted.filter((verdict) => verdict.audience === audience).map(({ scope = '' }) => scope)),
    ]),
  );
}

/** The same verdicts when no token can carry what is granted. */
function withoutToken(pairs: readonly Verdict[], table: ReadonlyMap<string, TextSet>): readonly Verdict[] {
  return pairs.map((verdict) => {
    const { audience = '', scope = '' } = verdict;
    if (!isGranted(verdict)) return verdict;
    return denied('AudiencesDiffer', explain.audiencesDiffer(audience, scope, table), audience, scope);
  });
}

function leftOut(gifts: readonly Gift[], pairs: readonly Verdict[]): readonly Verdict[] {
  const seen = new Set(pairs.map(pairKey));
  const verdicts: Verdict[] = [];
  for (const { audience, scope } of gifts.flatMap(pairsOf)) {
    const by = giverOf(gifts, audience, scope)?.ref;
    if (by === undefined || seen.has(pairKey({ audience, scope }))) continue;
    seen.add(pairKey({ audience, scope }));
    const message = explain.leftOut(audience, scope, by);
    verdicts.push({ audience, scope, outcome: 'LeftOut', reason: 'NarrowedAway', message, by });
  }
  return verdicts;
}

function pairsOf({ audiences, scopes }: Gift): readonly { readonly audience: string; readonly scope: string }[] {
  return audiences.flatMap((audience) => scopes.map((scope) => ({ audience, scope })));
}

function unclear(gifts: readonly Gift[]): readonly Gift[] {
  return gifts.filter((gift) => gift.audiences.length === 0);
}

/** Audit grants beyond the policies only what the identity itself names: without names there is nothing to look beyond. */
function auditsNamed(identity: Question['identity'], pool: Question['pool']): boolean {
  return pool.spec.enforcement === 'Audit' && identity.spec.scopes !== undefined;
}

function isGranted(verdict: Verdict): boolean {
  return verdict.outcome === 'Granted' || verdict.outcome === 'WouldDeny';
}

function denied(reason: Reason, message: string, audience?: string, scope?: string): Verdict {
  return {
    ...(audience === undefined ? {} : { audience }),
    ...(scope === undefined ? {} : { scope }),
    outcome: 'Denied',
    reason,
    message,
  };
}

function pairKey({ audience, scope }: { readonly audience?: string; readonly scope?: string }): string {
  return `${audience ?? ''} ${scope ?? ''}`;
}

function byPair(a: Verdict, b: Verdict): number {
  return compareText(pairKey(a), pairKey(b));
}
