/** An ask → parameters of the token request, by the way this provider is told an audience. */
import type { Ask } from '../../domain/access/access.ts';
import { OperatorError } from '../../errors.ts';
import type { AudienceMapping, Profile } from './profile.ts';

function effective(mapping: AudienceMapping, profile: Profile): Exclude<AudienceMapping['by'], 'Profile'> {
  return mapping.by === 'Profile' ? profile.audienceBy : mapping.by;
}

/** Scopes that carry these audiences, sorted; empty unless audiences are asked for by scope. An audience without a carrier is left out. */
export function carriers(audiences: readonly string[], mapping: AudienceMapping, profile: Profile): readonly string[] {
  if (effective(mapping, profile) !== 'Scope') return [];
  const scopes = mapping.scopes ?? {};
  const found = audiences.flatMap((audience) => (Object.hasOwn(scopes, audience) ? [scopes[audience] ?? ''] : []));
  return [...new Set(found)].filter((scope) => scope !== '').toSorted();
}

/** `scope`, and `resource` (RFC 8707 §2) or `audience` once per audience. */
export function askParameters(ask: Ask, mapping: AudienceMapping, profile: Profile, issuer: string): URLSearchParams {
  const by = effective(mapping, profile);
  if (by === 'Scope') requireCarriers(ask.audiences, mapping.scopes ?? {}, issuer);
  const parameters = new URLSearchParams();
  const scopes = [...new Set([...ask.scopes, ...carriers(ask.audiences, mapping, profile)])];
  const scope = scopes.length > 0 ? scopes.join(' ') : profile.scopeOfEmptyAsk;
  if (scope !== undefined) parameters.set('scope', scope);
  if (by === 'Resource' || by === 'Audience') {
    for (const audience of ask.audiences) parameters.append(by.toLowerCase(), audience);
  }
  return parameters;
}

function requireCarriers(audiences: readonly string[], scopes: Readonly<Record<string, string>>, issuer: string): void {
  const missing = audiences.filter((audience) => !Object.hasOwn(scopes, audience));
  if (missing.length === 0) return;
  const message =
    `issuer ${issuer}: no scope carries the audience ${missing.join(', ')}, so a token for it cannot be asked for. ` +
    'Write the client scope of the provider that carries it into spec.provider.audience of the pool: {by: Scope, scopes: {<audience>: <scope>}}.';
  throw new OperatorError({ class: 'Terminal', reason: 'ScopeRefused', message });
}
