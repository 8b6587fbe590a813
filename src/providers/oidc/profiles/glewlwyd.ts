import type { Profile } from '../profile.ts';
import { generic, unusedRedirect } from './generic.ts';

/** Told of every registered client, whatever it asked for. */
const ownGrant = 'authorization_code';

/**
 * Glewlwyd 2.7 by RFC 7591. It keeps what we register but grants every registered client the same scopes (those of its plugin), wants
 * assertions for the very endpoint that is called, gives a new secret at each update and forgets the old one, and "deletes" a client by
 * disabling it, and its token endpoint breaks down at the key of a disabled client.
 */
export const glewlwyd: Profile = {
  ...generic,
  name: 'Glewlwyd',
  fromBody(body) {
    const said = generic.fromBody(body);
    return said.grantTypes === undefined
      ? said
      : { ...said, grantTypes: said.grantTypes.filter((grant) => grant !== ownGrant) };
  },
  toBody: (desired, scopes) => ({ ...generic.toBody(desired, scopes), redirect_uris: [unusedRedirect] }),
  assertionAudience: 'CalledEndpoint',
  scopeOfEmptyAsk: 'openid',
  variants: (authentication) => [...generic.variants(authentication), 'InPlace'],
  // One gateway says the same to all: nobody but the product says 401 to a deletion and 403 to a token request.
  silentRefusals: { Token: 403, Revoke: 401, Introspect: 401, Manage: 401 },
  failsOnUnusableClient: (error) => error.status === 500,
  registrationHint(error, issuer, { scopes }) {
    if (error.status !== 400) return undefined;
    const plugin = /\/([^/]+)\/?$/.exec(issuer)?.[1] ?? '';
    const names = scopes.length === 0 ? 'the scopes of the pool' : scopes.join(', ');
    return `In Glewlwyd see what plugin ${plugin} allows to registered clients, and that it grants them ${names} (Clients registration, Scopes to add to the new clients).`;
  },
};
