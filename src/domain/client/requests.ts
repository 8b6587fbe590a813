/** What people ask for with an id: a rotation, a revocation, or with one id for both an emergency. */
import { sha256 } from '../../digest.ts';
import { currentOf } from './generations.ts';
import type { Desired } from './machine.ts';
import type { ClientRecord } from './record.ts';

export interface ClientRequest {
  readonly kind: 'Rotate' | 'Revoke' | 'Emergency';
  readonly id: string;
}

/** An annotation may have 256 KiB, a record with all its ids 1 MiB. */
const longestId = 256;

/** The id by which a request is known. A longer one keeps its beginning, which is what status shows, and is told from others by its digest. */
export function idOfText(text: string): string {
  return text.length <= longestId ? text : `${text.slice(0, 64)} ${sha256(text)}`;
}

/** How a record remembers that the request was carried out. That of an emergency is the id alone, and counts for every kind. */
export function requestMark({ kind, id }: ClientRequest): string {
  return kind === 'Emergency' ? id : `${kind} ${id}`;
}

/** Under whatever kind it was carried out. */
export function marksOf(id: string): readonly string[] {
  return (['Emergency', 'Rotate', 'Revoke'] as const).map((kind) => requestMark({ kind, id }));
}

/** The way back, for one kind; a mark of another kind comes back as it is. */
export function idOfMark(kind: ClientRequest['kind'], mark: string): string {
  return mark.startsWith(`${kind} `) ? mark.slice(kind.length + 1) : mark;
}

export function isHandled(handled: readonly string[], request: ClientRequest): boolean {
  return handled.includes(request.id) || handled.includes(requestMark(request));
}

/** What the objects ask for and the record does not have yet. Who rotated with an id and then revokes with it asks for an emergency. */
export function openRequests(
  record: ClientRecord | undefined,
  { rotateRequest: rotate, revokeRequest: revoke }: Pick<Desired, 'rotateRequest' | 'revokeRequest'>,
): readonly ClientRequest[] {
  const asked: ClientRequest[] = [];
  if (rotate !== undefined) asked.push({ kind: rotate === revoke ? 'Emergency' : 'Rotate', id: rotate });
  if (revoke !== undefined && revoke !== rotate) asked.push({ kind: 'Revoke', id: revoke });
  return asked.filter((one) => !isHandled(record?.handled ?? [], one));
}

/**
 * The first generation whose tokens may stay. A Mint that was under way when its credential was replaced in an emergency, or taken out, brings
 * a token of an older one, whenever that was minted.
 */
export function firstHonoured(record: ClientRecord): number {
  if (record.emergency !== undefined && hasRotated(record)) return record.emergency;
  return record.generations[0]?.n ?? 0;
}

/** The credential that the emergency brings mints by now, or one that came after it. */
export function hasRotated(record: ClientRecord): boolean {
  const mints = currentOf(record)?.n;
  return record.emergency !== undefined && mints !== undefined && mints >= record.emergency;
}
