import type { Milliseconds } from '../../clock.ts';
import type { Reason } from '../../api/reasons.ts';
import type { Known } from '../../decision.ts';
import type { Access, RuleRef, Stop } from './access.ts';
import { type AuthorizeInput, authorize } from './authorize.ts';
import { answersTo } from './inquiry.ts';
import { stopOf, stopSentence } from './stops.ts';

/** One scope at one audience that an identity has and will not have, with the sentence why. */
export interface Loss {
  readonly audience: string;
  readonly scope: string;
  readonly reason: Reason;
  readonly message: string;
}

/** One that it has not and will have; without `by` only because its pool has enforcement Audit. */
export interface Gain {
  readonly audience: string;
  readonly scope: string;
  readonly by?: RuleRef;
}

/** What an edit of objects does to one identity. */
export interface Shift {
  readonly lost: readonly Loss[];
  readonly gained: readonly Gain[];
  /** Tokens will live longer or shorter. */
  readonly lifetime?: { readonly before: Milliseconds; readonly after: Milliseconds };
}

/**
 * Compares what an identity may have before and after an edit. An edit that stops it takes everything; where it was stopped before, the
 * comparison is of what it may have without that. `Unknown`: an object that decides could not be read.
 */
export function shiftOf(before: AuthorizeInput, after: AuthorizeInput): Known<Shift> {
  const [old, next] = [authorize(before), authorize(after)];
  if (old.is !== 'Seen' || next.is !== 'Seen') return { is: 'Unknown' };
  const stop = stopIn(before) === undefined ? stopIn(after) : undefined;
  const [had, has] = [pairsOf(old.value), stop === undefined ? pairsOf(next.value) : []];
  const why = stop && ({ reason: 'Suspended', message: stopSentence(stop) } as const);
  const lifetime = lifetimeOf(old.value, next.value);
  return {
    is: 'Seen',
    value: {
      lost: had.filter((pair) => !contains(has, pair)).map((pair) => ({ ...pair, ...(why ?? whyNot(after, pair)) })),
      gained: has.filter((pair) => !contains(had, pair)).map((pair) => ({ ...pair, ...giverOf(next.value, pair) })),
      ...(lifetime === undefined ? {} : { lifetime }),
    },
  };
}

/** What is not in the objects of an edit (a namespace's annotation, the ConfigMap) does not change with it. */
function stopIn({ pool, identity }: AuthorizeInput): Stop | undefined {
  return stopOf({ identity, ...(pool.is === 'Seen' ? { pool: pool.value } : {}) });
}

interface Pair {
  readonly audience: string;
  readonly scope: string;
}

/** Each audience of a token carries each of its scopes. */
function pairsOf(access: Access): readonly Pair[] {
  if (access.is === 'Denied') return [];
  const { audiences, scopes } = access.ask;
  return audiences.flatMap((audience) => scopes.map((scope) => ({ audience, scope })));
}

function contains(pairs: readonly Pair[], { audience, scope }: Pair): boolean {
  return pairs.some((pair) => pair.audience === audience && pair.scope === scope);
}

function whyNot(input: AuthorizeInput, pair: Pair): { readonly reason: Reason; readonly message: string } {
  const answers = answersTo(input, pair);
  const [first] = answers.is === 'Seen' ? answers.value : [];
  return first === undefined
    ? { reason: 'NothingGranted', message: `scope ${pair.scope} at ${pair.audience} is not granted any more.` }
    : { reason: first.reason, message: first.message };
}

function giverOf(access: Access, pair: Pair): { readonly by?: RuleRef } {
  const granted = access.is === 'Granted' ? access.by.find((one) => contains([one], pair)) : undefined;
  return granted === undefined ? {} : { by: granted.by };
}

function lifetimeOf(old: Access, next: Access): Shift['lifetime'] {
  if (old.is === 'Denied' || next.is === 'Denied' || old.ask.maxLifetime === next.ask.maxLifetime) return undefined;
  return { before: old.ask.maxLifetime, after: next.ask.maxLifetime };
}
