import { day, type Instant } from '../../clock.ts';
import { annotations } from '../../api/names.ts';

export const brakedThings = ['clients', 'sessions'] as const;
/** What is held back: `clients` deregistered, or `sessions` that end only because their identity, kind or namespace vanished. */
export type BrakedThing = (typeof brakedThings)[number];

/** One client or session that would end now, or did a moment ago. */
export interface Ending {
  /** Name of its record. */
  readonly key: string;
  /** Whose it is; `''`: of no namespace, such as the one client of a whole pool. */
  readonly namespace: string;
  /** A session whose kind or whole namespace vanished, so that nobody decided about it. */
  readonly accident?: boolean;
  /** The brake holds it already. */
  readonly held?: boolean;
}

/** Where it was an accident. Kubernetes never takes a deletion back, and what is made anew has another UID. */
const undoing: Readonly<Record<BrakedThing, string>> = {
  clients:
    'If it is not, undo it: where a namespace is back, or the spec as before, its client is used again. A pool or identity that was deleted gets a new client with a new subject (sub) when it is applied again; take the finalizer away from a pool that is still Terminating.',
  sessions: 'If it is not, bring back what was deleted.',
};

/** What would end at once. */
export interface MassChange {
  readonly what: BrakedThing;
  /** The object that takes the acknowledgement, e.g. `Namespace ci-identity-system`. */
  readonly subject: string;
  readonly ending: readonly Ending[];
  /** How many there are, those that would end included. */
  readonly total: number;
  /** Value of the annotation `ci-identity.dev/acknowledge` there: one id, or several with blanks or commas between them. */
  readonly acknowledged?: string | undefined;
}

export interface Brake {
  readonly id: string;
  /** What it holds back. */
  readonly keys: ReadonlySet<string>;
  /** How many of which namespaces. */
  readonly lost: ReadonlyMap<string, number>;
  /** These few namespaces alone make it a mass change. */
  readonly isOfFew: boolean;
  readonly message: string;
  /** Somebody acknowledged it: it holds nothing. */
  readonly acknowledged: boolean;
}

/** Both must be exceeded before the brake holds. */
const share = 0.2;
const count = 10;
/** So many clients of one namespace may wait for an acknowledgement before no more are made for it. */
const mostPiledUp = 100;

/**
 * Of fewer namespaces than this nothing is held that somebody deleted. Who deletes identities of his own namespace wants their sessions to end;
 * a client, once deregistered, does not come back.
 */
const fewestNamespaces: Readonly<Record<BrakedThing, number>> = { clients: 1, sessions: 2 };

/**
 * The brake on mass changes: `undefined` lets them go on. It must be asked only about deregistration and about session ends that come
 * from vanished identities, kinds or namespaces; never about a stop, a revocation or a policy edit.
 *
 * It holds what nobody decided about, and what was deleted, with one exception: where a few namespaces each lose more than all others together, and
 * what the others lose would be no mass change, it holds of that what those few lose and nothing else. So nobody who deletes his own objects, or
 * makes and deletes them again and again, in one namespace or in several, holds up others. What it holds once it holds until it is acknowledged or
 * would end no longer, however few are left and however many others come.
 *
 * An id says how many are held and on which day (UTC) it was shown. It counts for at most that many, on that day and the next: so it keeps
 * counting while the number shrinks, after a restart too, and an annotation that stays behind disarms nothing for long.
 */
export function brakeOf(change: MassChange, now: Instant): Brake | undefined {
  const { what, subject, ending, total } = change;
  const isMassChange = isMass(ending.length, total);
  const { holds, isOfFew } = isMassChange ? ruleFor(change) : holdsNothing;
  const held = ending.filter((one) => one.held === true || holds(one));
  if (held.length === 0) return undefined;
  const lost = perNamespace(held);
  const id = `${what}-${held.length}-${Math.floor(now / day)}`;
  const effect =
    what === 'clients' ? 'be deleted at the provider' : 'end because their identity, kind or namespace vanished';
  const size = isMassChange
    ? `which is more than ${share * 100} % and more than ${count} at once`
    : 'what is left of a mass change';
  const many = isMassChange ? ending.length : held.length;
  const isAll = held.length === ending.length && !isOfFew;
  const whose = isAll ? '' : ` Held back are ${inWords(lost)}.`;
  return {
    id,
    keys: new Set(held.map(({ key }) => key)),
    lost,
    isOfFew,
    message: `${subject}: ${many} of ${total} ${what} would ${effect}, ${size}.${whose} If that is meant, run: kubectl annotate ${kubectlName(subject)} --overwrite ${annotations.acknowledge}=${id}. ${undoing[what]}`,
    acknowledged: isAcknowledged(what, held.length, change.acknowledged, now),
  };
}

/** Whether the annotation holds an id that counts for so many, so that they go on because somebody said so. */
export function isAcknowledged(what: BrakedThing, held: number, annotation: string | undefined, now: Instant): boolean {
  const today = Math.floor(now / day);
  return acknowledgedIds(annotation).some((id) => covers(id, what, held, today));
}

/** Whether this client or session is held back. */
export function isHeldBy(brake: Brake | undefined, key: string): boolean {
  return brake?.acknowledged === false && brake.keys.has(key);
}

/** So many clients of this namespace are held back that it gets no more: it makes and deletes them faster than anybody looks. */
export function isPiledUp(brake: Brake | undefined, namespace: string): boolean {
  return brake?.isOfFew === true && (brake.lost.get(namespace) ?? 0) >= mostPiledUp;
}

function isMass(ending: number, total: number): boolean {
  return ending > count && ending > share * total;
}

/** So many namespaces at most can be the few that make it a mass change; where more lose much it is an accident. */
const few = 8;

/** What begins to be held. */
interface Rule {
  readonly holds: (one: Ending) => boolean;
  /** It can be said which few namespaces make it a mass change. */
  readonly isOfFew: boolean;
}

const holdsNothing: Rule = { holds: () => false, isOfFew: false };

function ruleFor({ what, ending, total }: MassChange): Rule {
  const deleted = ending.filter(({ accident }) => accident !== true);
  const lost = isMass(deleted.length, total) ? perNamespace(deleted) : new Map<string, number>();
  const largest = largestLosers(lost, total);
  const held = largest ?? lost;
  const isHeld = held.size >= fewestNamespaces[what];
  return {
    holds: ({ accident, namespace }) => accident === true || (isHeld && held.has(namespace)),
    isOfFew: largest !== undefined,
  };
}

/** The namespaces that make it a mass change, the largest losers first; `undefined`: it cannot be said of a few. */
function largestLosers(lost: ReadonlyMap<string, number>, total: number): ReadonlyMap<string, number> | undefined {
  const all = [...lost.values()].reduce((sum, n) => sum + n, 0);
  if (all >= total) return undefined;
  const largest = new Map<string, number>();
  let others = all;
  for (const [namespace, own] of [...lost].toSorted(([, a], [, b]) => b - a)) {
    if (largest.size === few) return undefined;
    largest.set(namespace, own);
    others -= own;
    if (own > others && !isMass(others, total - (all - others))) return largest;
  }
  return undefined;
}

function perNamespace(ending: readonly Ending[]): ReadonlyMap<string, number> {
  const counts = new Map<string, number>();
  for (const { namespace } of ending) counts.set(namespace, (counts.get(namespace) ?? 0) + 1);
  return counts;
}

const mostNamed = 3;

function inWords(lost: ReadonlyMap<string, number>): string {
  const named = [...lost]
    .toSorted(([, a], [, b]) => b - a)
    .slice(0, mostNamed)
    .map(([namespace, n]) => `the ${n} of ${namespace === '' ? 'whole pools' : `namespace ${namespace}`}`);
  const more = lost.size - named.length;
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
