import type { Reason } from '../../api/reasons.ts';
import { maxTokenLifetime } from '../pool-defaults.ts';
import type { Ask, RuleRef } from './access.ts';
import { askOf } from './ask.ts';
import * as explain from './explain.ts';
import {
  compareText,
  type Gift,
  giftsOf,
  type Given,
  giversOf,
  nearMissesOf,
  type NearMisses,
  pairKey,
  type Question,
} from './rules.ts';
import { equal, intersection, isAudience, isScope, setOf, union, type TextSet } from './scopes.ts';

/** What becomes of one (audience, scope). `LeftOut`: the roles give it and the identity does not ask for it. */
export interface Verdict {
  readonly audience?: string;
  readonly scope?: string;
  readonly outcome: 'Granted' | 'WouldDeny' | 'Denied' | 'LeftOut';
  readonly reason: Reason;
  readonly by?: RuleRef;
  /** The whole sentence; made when it is asked for, because of 64 × 64 few ever are. */
  readonly say: () => string;
}

export interface Judgement {
  /** In a stable order; every wanted pair is in it exactly once. */
  readonly verdicts: readonly Verdict[];
  /** Everything that is granted, as one token asks for it. Absent: nothing is. */
  readonly ask?: Ask;
}

/** A question with everything that is looked up for each pair: up to 64 × 64 of them, so nothing here may be searched for again and again. */
export interface Case {
  readonly question: Question;
  readonly gifts: readonly Gift[];
  /** By pair. */
  readonly givers: ReadonlyMap<string, Given>;
  /** Gifts without an audience. */
  readonly unclear: readonly Gift[];
  readonly near: NearMisses;
}

export function caseOf(question: Question): Case {
  const gifts = giftsOf(question);
  const unclear = gifts.filter((gift) => gift.audiences.length === 0);
  return { question, gifts, givers: giversOf(gifts), unclear, near: nearMissesOf(question) };
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
  const c = caseOf(question);
  const { givers } = c;
  const pairs = pairVerdicts(c);
  const table = grantTable(question, pairs);
  const [first] = table.values();
  if (first === undefined || ![...table.values()].every((scopes) => equal(scopes, first))) {
    return { verdicts: byPair([...withoutToken(pairs, table), ...leftOut(givers, pairs)]) };
  }
  const lifetimes = pairs.filter(isGranted).map((pair) => givers.get(pairKey(pair))?.gift.maxLifetime ?? Infinity);
  const maxLifetime = Math.min(maxTokenLifetime(question.pool), ...lifetimes);
  return {
    verdicts: byPair([...pairs, ...leftOut(givers, pairs)]),
    ...(first.length === 0 ? {} : { ask: askOf(first, table.keys(), maxLifetime) }),
  };
}

/** The verdicts about everything that is wanted, before the rule about one token for several audiences. */
export function pairVerdicts(c: Case): readonly Verdict[] {
  const { question, gifts, unclear, near } = c;
  const { identity } = question;
  const named = identity.spec.scopes;
  const asked = named === undefined ? undefined : setOf(named);
  const audiences = wantedAudiences(question, gifts);
  const verdicts = audiences.flatMap((audience) => {
    const scopes =
      asked ?? union(...gifts.filter((gift) => gift.audiences.includes(audience)).map((gift) => gift.scopes));
    return scopes.map((scope) => pairVerdict(c, audience, scope));
  });
  const homeless = (asked ?? setOf(unclear.flatMap((gift) => gift.scopes))).filter(
    (scope) => !verdicts.some((verdict) => verdict.scope === scope),
  );
  const served = new Set(verdicts.map(({ audience }) => audience));
  const empty = audiences.filter((audience) => !served.has(audience));
  const all = [
    ...verdicts,
    ...empty.map((audience) =>
      verdict('Denied', 'NoRule', { audience }, () => explain.noRule(question, near, audience, undefined)),
    ),
    ...homeless.map((scope) => scopeVerdict(c, scope)),
  ];
  return all.length > 0
    ? all
    : [verdict('Denied', 'NoRule', {}, () => explain.noRule(question, near, undefined, undefined))];
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

function pairVerdict({ question, givers, unclear, near }: Case, audience: string, scope: string): Verdict {
  const { identity, pool } = question;
  const { ceiling } = pool.spec;
  const inside = ceiling.scopes.includes(scope) && ceiling.audiences.includes(audience);
  // To make the key of a long pair and look for it is most of what a denial costs.
  const by = givers.size === 0 ? undefined : givers.get(pairKey({ audience, scope }))?.gift.ref;
  if (by !== undefined && inside)
    return verdict('Granted', 'Authorized', { audience, scope, by }, () => explain.granted(audience, scope, by));
  if (by !== undefined)
    return verdict('Denied', 'OutsideCeiling', { audience, scope, by }, () =>
      explain.outsideCeiling(question, audience, scope, by),
    );
  const vague = unclear.find((gift) => gift.scopes.includes(scope));
  const reason = vague === undefined ? 'NoRule' : 'AudienceUnclear';
  const why = (): string =>
    vague === undefined
      ? explain.noRule(question, near, audience, scope)
      : explain.ruleWithoutAudience(question, audience, scope, vague.ref);
  const audited = inside && isScope(scope) && isAudience(audience) && auditsNamed(identity, pool);
  return audited
    ? verdict('WouldDeny', reason, { audience, scope }, () => explain.onlyAudited(question, why()))
    : verdict('Denied', reason, { audience, scope }, why);
}

/** A scope that is wanted, but at no audience. */
function scopeVerdict({ question, unclear, near }: Case, scope: string): Verdict {
  const { identity, pool } = question;
  const vague = unclear.find((gift) => gift.scopes.includes(scope));
  if (vague !== undefined)
    return verdict('Denied', 'AudienceUnclear', { scope }, () =>
      explain.ruleWithoutAudience(question, undefined, scope, vague.ref),
    );
  return auditsNamed(identity, pool) && pool.spec.ceiling.scopes.includes(scope)
    ? verdict('Denied', 'AudienceUnclear', { scope }, () => explain.identityWithoutAudience(question, scope))
    : verdict('Denied', 'NoRule', { scope }, () => explain.noRule(question, near, undefined, scope));
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
  const message = explain.audiencesDiffer(explain.differingAudiences(table));
  return pairs.map((pair) =>
    isGranted(pair) ? verdict('Denied', 'AudiencesDiffer', subjectOf(pair), () => message) : pair,
  );
}

function leftOut(givers: Case['givers'], pairs: readonly Verdict[]): readonly Verdict[] {
  if (givers.size === 0) return [];
  const judged = new Set(pairs.map(pairKey));
  return [...givers]
    .filter(([key]) => !judged.has(key))
    .map(
      ([
        ,
        {
          audience,
          scope,
          gift: { ref: by },
        },
      ]) => verdict('LeftOut', 'NarrowedAway', { audience, scope, by }, () => explain.leftOut(audience, scope, by)),
    );
}

/** Audit grants beyond the policies only what the identity itself names: without names there is nothing to look beyond. */
function auditsNamed(identity: Question['identity'], pool: Question['pool']): boolean {
  return pool.spec.enforcement === 'Audit' && identity.spec.scopes !== undefined;
}

function isGranted(verdict: Verdict): boolean {
  return verdict.outcome === 'Granted' || verdict.outcome === 'WouldDeny';
}

type Subject = Pick<Verdict, 'audience' | 'scope' | 'by'>;

function verdict(outcome: Verdict['outcome'], reason: Reason, about: Subject, say: () => string): Verdict {
  return { ...about, outcome, reason, say };
}

function subjectOf({ audience, scope }: Verdict): Subject {
  return { ...(audience === undefined ? {} : { audience }), ...(scope === undefined ? {} : { scope }) };
}

/** Each key is made once: up to 64 × 64 of them. */
function byPair(verdicts: readonly Verdict[]): readonly Verdict[] {
  return verdicts
    .map((one) => ({ one, key: pairKey(one) }))
    .toSorted((a, b) => compareText(a.key, b.key))
    .map(({ one }) => one);
}
