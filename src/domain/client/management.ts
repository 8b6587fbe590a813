/** How a lost registration access token shows in the record, and how it heals. */
import type { Instant } from '../../clock.ts';
import type { Redacted } from '../../redacted.ts';
import { isExternal } from './existing.ts';
import { generation, lacksManagement, ownManagementOf } from './generations.ts';
import type { ClientRecord, Generation, OwnManagement } from './record.ts';
import { checked } from './transitions.ts';

/**
 * The provider refuses the registration access token: what was under way stays open to proof, what needs the token waits. A credential that
 * was to be taken out may be out already, and so may its whole client with all its credentials, so that is looked at anew.
 */
export function managementRefused(record: ClientRecord, now: Instant): ClientRecord {
  const { intent, observed: seen, ...rest } = record;
  const subject = intent && generation(record, intent.generation);
  const wasRetiring = subject?.state === 'Retiring';
  const goesWith = (one: Generation): boolean =>
    intent?.call === 'Deregister' && one.state === 'Retiring' && one.clientId === subject?.clientId;
  const generations = rest.generations.map((one) =>
    wasRetiring && (one.n === subject.n || goesWith(one)) ? { ...one, removedAt: now } : one,
  );
  const kept = wasRetiring || seen === undefined ? {} : { observed: seen };
  const next = { ...rest, ...kept, generations };
  return subject === undefined ? checked({ ...next, managementLost: true }) : withLost(next, subject, true);
}

/** The token that manages the client of this generation is refused now, or is not. */
export function withLost(record: ClientRecord, of: Generation, isLost: boolean): ClientRecord {
  const own = ownManagementOf(record, of);
  if (own !== undefined) return withOwn(record, of, { ...unlost(own), ...(isLost ? { lost: true } : {}) });
  const { managementLost: _, ...rest } = record;
  return checked({ ...rest, ...(isLost ? { managementLost: true } : {}) });
}

/** The token of a client that is not the record's stands with each credential of it that has one. */
export function withOwn(record: ClientRecord, of: Generation, management: OwnManagement): ClientRecord {
  const generations = record.generations.map((one) =>
    one.clientId === of.clientId && one.management !== undefined ? { ...one, management } : one,
  );
  return checked({ ...record, generations });
}

/** The provider takes it, or it was not tried yet. */
export function unlost(own: OwnManagement): OwnManagement {
  const { lost: _, ...held } = own;
  return held;
}

/**
 * The newest credential of a client of ours that nothing proves to the provider to be ours to change or delete: its token was lost with an
 * answer, or never given.
 */
export function unmanagedOne(record: ClientRecord): Generation | undefined {
  return record.generations.findLast(
    (one) => one.state !== 'Planned' && !isExternal(one) && lacksManagement(record, one),
  );
}

export function isUnmanaged(record: ClientRecord): boolean {
  return record.managementLost === true || unmanagedOne(record) !== undefined;
}

/** A person's registration access token takes the place of the lost one, for every credential of that client; the next call tries it. */
export function managementHandedIn(
  record: ClientRecord,
  { token, digest }: { readonly token: Redacted<string>; readonly digest: string },
): ClientRecord {
  const of = unmanagedOne(record);
  const own = of && ownManagementOf(record, of);
  if (of !== undefined && own !== undefined)
    return withOwn({ ...record, handedIn: digest }, of, { token, uri: own.uri });
  const { managementLost: _, observed: _seen, ...rest } = record;
  // Without a URI that the provider named, the one that RFC 7592 suggests is taken.
  return checked({ ...rest, management: { token, uri: record.management?.uri ?? '' }, handedIn: digest });
}
