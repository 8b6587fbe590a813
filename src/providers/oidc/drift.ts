import { sha256 } from '../../digest.ts';
import type { ClientObservation } from '../../domain/client/record.ts';
import { text } from '../fields.ts';
import type { DesiredClient } from '../port.ts';
import type { ClientMetadata, Profile } from './profile.ts';

/**
 * In what the client at the provider differs from what is desired, and whether it may do more by one of these members; of a setting nobody
 * knows, so it may. What the provider does not say is no drift: many leave out what they do not keep.
 */
export function driftOf(
  said: ClientMetadata,
  desired: DesiredClient,
  profile: Profile,
  carriers: readonly string[],
): Pick<ClientObservation, 'drift' | 'driftDigest' | 'excess'> {
  const wanted = profile.fromBody(profile.toBody(desired, [...desired.scopes, ...carriers]));
  const there = comparable(said, wanted);
  const meant = comparable({ ...wanted, tag: desired.tag, keys: wanted.keys ?? [] }, wanted);
  const differing = Object.entries(there).filter(
    ([member, value]) => value !== undefined && value !== meant[member as keyof Comparable],
  );
  if (differing.length === 0) return { drift: [] };
  const drift = differing.map(([member]) => member);
  const exceeds =
    drift.includes('authentication') ||
    drift.includes('settings') ||
    said.keysUri !== undefined ||
    hasMore(said.scopes, wanted.scopes) ||
    hasMore(said.grantTypes, wanted.grantTypes) ||
    hasMore(said.redirects, wanted.redirects) ||
    hasMore(said.keys?.map(keyText), wanted.keys?.map(keyText));
  return { drift, driftDigest: sha256(JSON.stringify(differing)), ...(exceeds ? { excess: true } : {}) };
}

type Comparable = Readonly<
  Record<
    'name' | 'tag' | 'scopes' | 'authentication' | 'grantTypes' | 'redirects' | 'settings' | 'keys',
    string | undefined
  >
>;

/** Each member as text in which no order and no repetition counts; `undefined`: not said. */
function comparable(client: ClientMetadata, wanted: ClientMetadata): Comparable {
  const { name, tag, scopes, authentication, grantTypes, redirects, settings, keys, keysUri } = client;
  const owned = Object.entries(wanted.settings ?? {}).map(([member, value]) => [member, settings?.[member] ?? value]);
  return {
    name,
    tag,
    scopes: asSet(scopes),
    authentication,
    grantTypes: asSet(grantTypes),
    redirects: asSet(redirects),
    settings: JSON.stringify(owned),
    // Where its keys are read from another place, whoever holds that place can use the client.
    keys: keysUri ?? asSet(keys?.map(keyText)),
  };
}

function asSet(items: readonly string[] | undefined): string | undefined {
  return items && JSON.stringify([...new Set(items)].toSorted());
}

function hasMore(said: readonly string[] = [], wanted: readonly string[] = []): boolean {
  return said.some((item) => !wanted.includes(item));
}

/** The public numbers of a key and its id, all of them text; servers add and drop the other members. */
function keyText(key: Readonly<Record<string, unknown>>): string {
  return JSON.stringify(['kty', 'kid', 'crv', 'x', 'y', 'n', 'e'].map((name) => text(key[name]) ?? null));
}
