import type { Traits } from './contract.ts';

const opaque: Traits = {
  product: 'oidc-provider, opaque tokens',
  profile: 'Generic',
  tokenFormat: 'opaque',
  variants: ['TwoKeys', 'NewClient'],
  clientIdBy: 'Provider',
  revocation: 'Immediate',
  registration: 'Token',
  introspection: 'Client',
  revoker: 'ItsClient',
  managementToken: 'Replaced',
  secretOnUpdate: 'Kept',
  otherSecretMethod: 'Accepted',
  deregistered: 'Gone',
  deletedClient: 'CredentialRefused',
  tokensOfDeletedClient: 'Live',
  unregisteredScope: 'Refused',
  unknownScope: 'Dropped',
  registersUnknownScope: 'Refused',
  lifetimeBy: 'Provider',
  newManagementToken: false,
  tagIsRead: true,
  audienceBy: { Resource: 'Right', Audience: 'Unseen', Scope: 'Unseen', None: 'Unseen' },
};

/** oidc-provider 9.13, in process. */
export const oidcProviderOpaque = opaque;
export const oidcProviderJwt: Traits = {
  ...opaque,
  product: 'oidc-provider, JWTs',
  tokenFormat: 'jwt',
  revocation: 'ExpiryOnly',
  tokensOfDeletedClient: 'CannotBeAsked',
};
export const oidcProviderStock: Traits = {
  ...opaque,
  product: 'oidc-provider as it comes: no software_id, a management token that stays',
  managementToken: 'Kept',
  tagIsRead: false,
};

/** Keycloak 26.4. */
export const keycloakTraits: Traits = {
  product: 'Keycloak',
  profile: 'Keycloak',
  tokenFormat: 'jwt',
  variants: ['TwoKeys', 'NewClient'],
  clientIdBy: 'Us',
  revocation: 'IntrospectionOnly',
  registration: 'Token',
  introspection: 'Client',
  revoker: 'ItsClient',
  managementToken: 'Replaced',
  secretOnUpdate: 'Kept',
  otherSecretMethod: 'Accepted',
  deregistered: 'Gone',
  deletedClient: 'CredentialRefused',
  tokensOfDeletedClient: 'Dead',
  unregisteredScope: 'Refused',
  unknownScope: 'Refused',
  registersUnknownScope: 'Refused',
  lifetimeBy: 'Client',
  newManagementToken: true,
  tagIsRead: true,
  audienceBy: { Resource: 'AudienceWrong', Audience: 'AudienceWrong', Scope: 'Right', None: 'AudienceWrong' },
};

/** Glewlwyd 2.7.5. */
export const glewlwydTraits: Traits = {
  product: 'Glewlwyd',
  profile: 'Glewlwyd',
  tokenFormat: 'jwt',
  variants: ['TwoKeys', 'NewClient', 'InPlace'],
  clientIdBy: 'Provider',
  revocation: 'IntrospectionOnly',
  registration: 'Token',
  introspection: 'Client',
  revoker: 'AnyClient',
  managementToken: 'Kept',
  secretOnUpdate: 'Replaced',
  otherSecretMethod: 'Refused',
  deregistered: 'Disabled',
  deletedClient: 'ClientUnusable',
  tokensOfDeletedClient: 'Live',
  unregisteredScope: 'Granted',
  unknownScope: 'Dropped',
  registersUnknownScope: 'Accepted',
  lifetimeBy: 'Provider',
  newManagementToken: false,
  tagIsRead: false,
  audienceBy: { Resource: 'Right', Audience: 'AudienceWrong', Scope: 'AudienceWrong', None: 'AudienceWrong' },
};

/** Ory Hydra 2.3. */
export const hydraOpaque: Traits = {
  product: 'Hydra, opaque tokens',
  profile: 'Hydra',
  tokenFormat: 'opaque',
  variants: ['TwoKeys', 'NewClient'],
  clientIdBy: 'Provider',
  revocation: 'Immediate',
  registration: 'Anybody',
  introspection: 'ResourceServer',
  revoker: 'ItsClient',
  managementToken: 'Replaced',
  secretOnUpdate: 'Kept',
  otherSecretMethod: 'Refused',
  deregistered: 'Gone',
  deletedClient: 'CredentialRefused',
  tokensOfDeletedClient: 'Dead',
  unregisteredScope: 'Refused',
  unknownScope: 'Refused',
  registersUnknownScope: 'Accepted',
  lifetimeBy: 'Client',
  newManagementToken: false,
  tagIsRead: true,
  audienceBy: { Resource: 'Unseen', Audience: 'Right', Scope: 'Unseen', None: 'Unseen' },
};
export const hydraJwt: Traits = {
  ...hydraOpaque,
  product: 'Hydra, JWTs',
  tokenFormat: 'jwt',
  revocation: 'IntrospectionOnly',
  audienceBy: { Resource: 'AudienceWrong', Audience: 'Right', Scope: 'AudienceWrong', None: 'AudienceWrong' },
};

export const everyProduct: readonly Traits[] = [
  oidcProviderOpaque,
  oidcProviderJwt,
  oidcProviderStock,
  keycloakTraits,
  glewlwydTraits,
  hydraOpaque,
  hydraJwt,
];
