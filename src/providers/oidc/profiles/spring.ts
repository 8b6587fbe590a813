import type { Profile } from '../profile.ts';
import { generic, unusedRedirect } from './generic.ts';

/**
 * Spring Authorization Server 7.0 by OpenID Connect registration or RFC 7591. Its registration access token reads the client for as long as an
 * access token lives and does nothing else, so it is not kept. Of keys it takes only the address of a set (`jwks_uri`); at its endpoint of
 * RFC 7591 a client that asks for keys gets a secret instead, without a word.
 */
export const spring: Profile = {
  ...generic,
  name: 'Spring',
  toBody: (desired, scopes) => ({
    ...generic.toBody(desired, scopes),
    redirect_uris: [unusedRedirect],
    // An empty list is refused, and without any the client may also ask for codes.
    response_types: ['none'],
  }),
  fromBody(body) {
    const { managementToken: _, managementUri: _uri, ...said } = generic.fromBody(body);
    return said;
  },
  registersOnly: true,
  variants: () => ['NewClient'],
  whyNotRegistered: ({ authentication }) =>
    authentication === 'PrivateKeyJwt'
      ? 'Spring Authorization Server registers no client with a key of its own. Set spec.client.authentication of the pool to ClientSecretBasic or ClientSecretPost.'
      : undefined,
  registrationHint(error, _issuer, { scopes }) {
    if (error.status !== 400 || error.code !== 'invalid_scope') return undefined;
    const names = scopes.length === 0 ? 'the scopes of the pool' : scopes.join(', ');
    return `In the application give its client registration a validator (setAuthenticationValidator) that accepts ${names}; as it comes it accepts no scope at all.`;
  },
};
