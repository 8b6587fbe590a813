/** How a lost registration access token shows in the record, and how it heals. */
import type { Instant } from '../../clock.ts';
import type { Redacted } from '../../redacted.ts';
import { currentOf } from './generations.ts';
import type { ClientRecord } from './record.ts';
import { checked } from './transitions.ts';

/**
 * The provider refuses the registration access token: what was under way stays open to proof, what needs the token waits. A credential that
 * was to be taken out may be out already, so that is looked at anew.
 */
export function managementRefused(record: ClientRecord, now: Instant): ClientRecord {
  const { intent, observed: seen, ...rest } = record;
  const wasRetiring = rest.generations.some((one) => one.n === intent?.generation && one.state === 'Retiring');
  const generations = rest.generations.map((one) =>
    one.n === intent?.generation && one.state === 'Retiring' ? { ...one, removedAt: now } : one,
  );
  const kept = wasRetiring || seen === undefined ? {} : { observed: seen };
  return checked({ ...rest, ...kept, generations, managementLost: true });
}

/** Nothing proves to the provider that we may change or delete the client: the token was lost with an answer, or never given. */
export function isUnmanaged({ variant, managementLost, management, generations }: ClientRecord): boolean {
  const exists = generations.some(({ state }) => state !== 'Planned');
  return managementLost === true || (variant !== 'External' && exists && management === undefined);
}

/** A person's registration access token takes the place of the lost one, for every credential of the current client; a look tries it. */
export function managementHandedIn(
  record: ClientRecord,
  { token, digest }: { readonly token: Redacted<string>; readonly digest: string },
): ClientRecord {
  const { managementLost: _, observed: _seen, ...rest } = record;
  const clientId = (currentOf(record) ?? record.generations.findLast((one) => one.clientId !== undefined))?.clientId;
  // Without a URI that the provider named, the one that RFC 7592 suggests is taken.
  const management = { token, uri: record.management?.uri ?? '' };
  const generations = record.generations.map((one) => {
    if (one.clientId !== clientId || one.management === undefined) return one;
    const { management: _old, ...own } = one;
    return own;
  });
  return checked({ ...rest, generations, management, handedIn: digest });
}
