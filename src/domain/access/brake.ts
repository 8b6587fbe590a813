import { day, type Instant } from '../../clock.ts';
import { annotations } from '../../api/names.ts';

export const brakedThings = ['clients', 'sessions'] as const;
/** What is held back: `clients` deregistered, or `sessions` that end only because their kind or namespace vanished. */
export type BrakedThing = (typeof brakedThings)[number];

/** What would end at once. */
export interface MassChange {
  readonly what: BrakedThing;
  /** The object that takes the acknowledgement, e.g. `Namespace ci-identity-system`. */
  readonly subject: string;
  /** How many would end now, by the namespace that they belong to; `''`: to none, such as the one client of a whole pool. */
  readonly ending: ReadonlyMap<string, number>;
  /** How many there are, those that would end included. */
  readonly total: number;
  /** Value of the annotation `ci-identity.dev/acknowledge` there: one id, or several with blanks or commas between them. */
  readonly acknowledged?: string | undefined;
}

export interface Brake {
  readonly id: string;
  /** How many it holds back. */
  readonly held: number;
  /** Only what belongs to these namespaces is held back, with how many of each; absent: everything. */
  readonly only?: ReadonlyMap<string, number>;
  readonly message: string;
}

/** Both must be exceeded before the brake holds. */
const share = 0.2;
const count = 10;
/** So many clients of one namespace may wait for an acknowledgement before no more are made for it. */
const mostPiledUp = 100;

/**
 * The brake on mass changes: `undefined` lets them go on. It must be asked only about deregistration and about session ends that come
 * from vanished kinds or namespaces; never about a stop, a revocation or a policy edit.
 *
 * It holds everything, with one exception: where a few namespaces each lose more than all others together, and what the others lose would be no
 * mass change, it holds what those few lose and nothing else. So nobody who deletes his own objects, or makes and deletes them again and again,
 * in one namespace or in several, holds up others. Where nothing is left at all, as without the kind, everything is held.
 *
 * An id says how many are held and on which day (UTC) it was shown. It counts for at most that many, on that day and the next: so it keeps
 * counting while the number shrinks, after a restart too, and an annotation that stays behind disarms nothing for long.
 */
export function brakeOf(change: MassChange, now: Instant): Brake | undefined {
  const { what, subject, total } = change;
  const ending = sumOf(change.ending);
  if (!isMass(ending, total)) return undefined;
  const only = largestLosers(change, ending);
  const held = only === undefined ? ending : sumOf(only);
  const today = Math.floor(now / day);
  if (isAcknowledged(what, held, change.acknowledged, now)) return undefined;
  const id = `${what}-${held}-${today}`;
  const effect = what === 'clients' ? 'be deleted at the provider' : 'end because their kind or namespace vanished';
  const whose = only === undefined ? '' : ` Held back are ${inWords(only)}.`;
  return {
    id,
    held,
    ...(only === undefined ? {} : { only }),
    message: `${subject}: ${ending} of ${total} ${what} would ${effect}, which is more than ${share * 100} % and more than ${count} at once.${whose} If that is meant, run: kubectl annotate ${kubectlName(subject)} --overwrite ${annotations.acknowledge}=${id}. If it is not, bring back what was deleted.`,
  };
}

/** Whether the annotation holds an id that counts for so many, so that they go on because somebody said so. */
export function isAcknowledged(what: BrakedThing, held: number, annotation: string | undefined, now: Instant): boolean {
  const today = Math.floor(now / day);
  return acknowledgedIds(annotation).some((id) => covers(id, what, held, today));
}

/** Whether what belongs to this namespace is held back. */
export function isHeldIn(brake: Brake | undefined, namespace: string): boolean {
  return brake !== undefined && (brake.only === undefined || brake.only.has(namespace));
}

/** So many clients of this namespace are held back that it gets no more: it makes and deletes them faster than anybody looks. */
export function isPiledUp(brake: Brake | undefined, namespace: string): boolean {
  return (brake?.only?.get(namespace) ?? 0) >= mostPiledUp;
}

function sumOf(counts: ReadonlyMap<string, number>): number {
  return [...counts.values()].reduce((sum, n) => sum + n, 0);
}

function isMass(ending: number, total: number): boolean {
  return ending > count && ending > share * total;
}

/** So many namespaces at most can be the few that make it a mass change; where more lose much it is an accident. */
const few = 8;

/** The namespaces that make it a mass change, the largest losers first; `undefined`: it cannot be said of a few. */
function largestLosers({ ending, total }: MassChange, all: number): ReadonlyMap<string, number> | undefined {
  if (all >= total) return undefined;
  const largest = new Map<string, number>();
  let others = all;
  for (const [namespace, own] of [...ending].toSorted(([, a], [, b]) => b - a)) {
    if (largest.size === few) return undefined;
    largest.set(namespace, own);
    others -= own;
    if (own > others && !isMass(others, total - (all - others))) return largest;
  }
  return undefined;
}

const mostNamed = 3;

function inWords(only: ReadonlyMap<string, number>): string {
  const named = [...only]
    .slice(0, mostNamed)
    .map(([namespace, n]) => `the ${n} of ${namespace === '' ? 'whole pools' : `namespace ${namespace}`}`);
  const more = only.size - named.length;
  return [...named, ...(more > 0 ? [`those of ${more} more namespaces`] : [])].join(' and ');
}

function covers(id: string, what: MassChange['what'], ending: number, today: number): boolean {
  const match = /^(clients|sessions)-(\d{1,9})-(\d{1,6})$/.exec(id);
  if (match === null || match[1] !== what) return false;
  const shown = Number(match[3]);
  return ending <= Number(match[2]) && (shown === today || shown === today - 1);
}

/** The ids in an annotation `ci-identity.dev/acknowledge`: one, or several with blanks or commas between them. */
export function acknowledgedIds(text: string | undefined): readonly string[] {
  return (text ?? '').split(/[\s,]+/);
}

function kubectlName(subject: string): string {
  const [kind = '', name = ''] = subject.split(' ');
  return `${kind.toLowerCase()} ${name}`;
}
