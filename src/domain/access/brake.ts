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
  /** Only what belongs to this namespace is held back; absent: everything. */
  readonly only?: string;
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
 * It holds everything, with one exception: where one namespace loses more than all others together and theirs alone would be no mass change,
 * it holds what that one loses and nothing else. So nobody who deletes his own objects, or makes and deletes them again and again, holds up
 * others. Where nothing is left at all, as without the kind, everything is held.
 *
 * An id says how many are held and on which day (UTC) it was shown. It counts for at most that many, on that day and the next: so it keeps
 * counting while the number shrinks, after a restart too, and an annotation that stays behind disarms nothing for long.
 */
export function brakeOf(change: MassChange, now: Instant): Brake | undefined {
  const { what, subject, total } = change;
  const ending = [...change.ending.values()].reduce((sum, n) => sum + n, 0);
  if (!isMass(ending, total)) return undefined;
  const only = loneLoser(change, ending);
  const held = only === undefined ? ending : (change.ending.get(only) ?? 0);
  const today = Math.floor(now / day);
  if (idsOf(change.acknowledged).some((id) => covers(id, what, held, today))) return undefined;
  const id = `${what}-${held}-${today}`;
  const effect = what === 'clients' ? 'be deleted at the provider' : 'end because their kind or namespace vanished';
  const whose =
    only === undefined ? '' : ` Held back are the ${held} ${only === '' ? 'of whole pools' : `of namespace ${only}`}.`;
  return {
    id,
    held,
    ...(only === undefined ? {} : { only }),
    message: `${subject}: ${ending} of ${total} ${what} would ${effect}, which is more than ${share * 100} % and more than ${count} at once.${whose} If that is meant, run: kubectl annotate ${kubectlName(subject)} --overwrite ${annotations.acknowledge}=${id}. If it is not, bring back what was deleted.`,
  };
}

/** Whether what belongs to this namespace is held back. */
export function isHeldIn(brake: Brake | undefined, namespace: string): boolean {
  return brake !== undefined && (brake.only === undefined || brake.only === namespace);
}

/** So many clients of this namespace are held back that it gets no more: it alone makes and deletes them faster than anybody looks. */
export function isPiledUp(brake: Brake | undefined, namespace: string): boolean {
  return brake?.only === namespace && brake.held >= mostPiledUp;
}

function isMass(ending: number, total: number): boolean {
  return ending > count && ending > share * total;
}

/** The namespace that alone makes it a mass change. */
function loneLoser({ ending, total }: MassChange, all: number): string | undefined {
  for (const [namespace, own] of ending)
    if (own > all - own && all < total && !isMass(all - own, total - own)) return namespace;
  return undefined;
}

function covers(id: string, what: MassChange['what'], ending: number, today: number): boolean {
  const match = /^(clients|sessions)-(\d{1,9})-(\d{1,6})$/.exec(id);
  if (match === null || match[1] !== what) return false;
  const shown = Number(match[3]);
  return ending <= Number(match[2]) && (shown === today || shown === today - 1);
}

function idsOf(text: string | undefined): readonly string[] {
  return (text ?? '').split(/[\s,]+/);
}

function kubectlName(subject: string): string {
  const [kind = '', name = ''] = subject.split(' ');
  return `${kind.toLowerCase()} ${name}`;
}
