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
  /** How many would end now, and of how many. */
  readonly ending: number;
  readonly total: number;
  /** Value of the annotation `ci-identity.dev/acknowledge` there: one id, or several with blanks or commas between them. */
  readonly acknowledged?: string | undefined;
}

export interface Brake {
  readonly id: string;
  /** How many it holds back. */
  readonly ending: number;
  readonly message: string;
}

/** Both must be exceeded before the brake holds. */
const share = 0.2;
const count = 10;

/**
 * The brake on mass changes: `undefined` lets them go on. It must be asked only about deregistration and about session ends that come
 * from vanished kinds or namespaces; never about a stop, a revocation or a policy edit.
 *
 * An id says how many and on which day (UTC) it was shown. It counts for at most that many, on that day and the next: so it keeps
 * counting while the number shrinks, after a restart too, and an annotation that stays behind disarms nothing for long.
 */
export function brakeOf(change: MassChange, now: Instant): Brake | undefined {
  const { what, subject, ending, total } = change;
  if (ending <= count || ending <= share * total) return undefined;
  const today = Math.floor(now / day);
  if (idsOf(change.acknowledged).some((id) => covers(id, what, ending, today))) return undefined;
  const id = `${what}-${ending}-${today}`;
  const effect = what === 'clients' ? 'be deleted at the provider' : 'end because their kind or namespace vanished';
  return {
    id,
    ending,
    message: `${subject}: ${ending} of ${total} ${what} would ${effect}, which is more than ${share * 100} % and more than ${count} at once. If that is meant, run: kubectl annotate ${kubectlName(subject)} --overwrite ${annotations.acknowledge}=${id}. If it is not, bring back what was deleted.`,
  };
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
