import { text } from '../fields.ts';
import type { ClientObservation } from '../../domain/client/record.ts';
import type { DesiredClient } from '../port.ts';
import type { ClientMetadata, Profile } from './profile.ts';

/**
 * Names of the members in which the client at the provider differs from what is desired, and whether it may do more by one of them; of a
 * setting nobody knows, so it may. What the provider does not say is no drift: many leave out what they do not keep.
 */
export function driftOf(
  said: ClientMetadata,
  desired: DesiredClient,
  profile: Profile,
  carriers: readonly string[],
): Pick<ClientObservation, 'drift' | 'excess'> {
  const wanted = profile.fromBody(profile.toBody(desired, [...desired.scopes, ...carriers]));
  const differs: Readonly<Record<string, boolean>> = {
    name: said.name !== undefined && said.name !== wanted.name,
    tag: said.tag !== undefined && said.tag !== desired.tag,
    scopes: said.scopes !== undefined && !sameSet(said.scopes, wanted.scopes ?? []),
    authentication: said.authentication !== undefined && said.authentication !== wanted.authentication,
    grantTypes: said.grantTypes !== undefined && !said.grantTypes.includes('client_credentials'),
    settings: Object.entries(wanted.settings ?? {}).some(
      ([member, value]) => (said.settings?.[member] ?? value) !== value,
    ),
    keys: said.keys !== undefined && !sameSet(said.keys.map(keyText), (wanted.keys ?? []).map(keyText)),
  };
  const drift = Object.keys(differs).filter((member) => differs[member] === true);
  const exceeds =
    drift.includes('authentication') ||
    drift.includes('settings') ||
    hasMore(said.scopes, wanted.scopes) ||
    hasMore(said.keys?.map(keyText), wanted.keys?.map(keyText));
  return { drift, ...(exceeds ? { excess: true } : {}) };
}

function hasMore(said: readonly string[] = [], wanted: readonly string[] = []): boolean {
  return said.some((item) => !wanted.includes(item));
}

function sameSet(one: readonly string[], other: readonly string[]): boolean {
  const a = new Set(one);
  const b = new Set(other);
  return a.size === b.size && [...a].every((item) => b.has(item));
}

/** The public numbers of a key and its id, all of them text; servers add and drop the other members. */
function keyText(key: Readonly<Record<string, unknown>>): string {
  return JSON.stringify(['kty', 'kid', 'crv', 'x', 'y', 'n', 'e'].map((name) => text(key[name]) ?? null));
}
