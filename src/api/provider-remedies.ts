import type { Reason } from './reasons.ts';
import type { Remedy } from './remedy.ts';

/** The part of `troubleshooting.ts` that is about the provider, its clients and its tokens. */
export const providerRemedies = {
  ProviderMetadataInvalid: {
    cause:
      'The provider calls itself by another URL (often a slash at the end, or an internal host name), or points to another host.',
    step: "Write the URL exactly as `issuer` in its metadata has it, or set the provider's public URL.",
    by: 'Provider',
  },
  TlsInvalid: {
    cause: 'A private authority, an expired certificate, or one for another name.',
    step: 'Give the authority in `caBundleRef` of the issuer, or renew the certificate. There is no switch that skips the check.',
    by: 'Platform',
  },
  AddressNotAllowed: {
    cause: "The issuer's name leads to a private, link-local or reserved address, at least at times.",
    step: 'Set `allowPrivateNetwork: true` for this issuer if it really is inside your network; metadata addresses of clouds are never called.',
    by: 'Platform',
  },
  ProviderUnavailable: {
    cause: 'It is down, slow, or a NetworkPolicy or proxy stands between.',
    step: 'Live tokens stay good until they expire. Mend the way to it; everything resumes by itself, the oldest pod first.',
    by: 'Provider',
  },
  ProviderMisbehaves: {
    cause:
      'Something else answers in its place: a login page, a firewall, a gateway, a proxy that redirects; or the profile does not fit the product. Or it says that it deleted a client, and has not.',
    step: "Call the metadata URL from the operator's namespace and look at what comes; compare `profile` of the issuer with the product. Delete such a client there by hand.",
    by: 'Platform',
  },
  RateLimited: {
    cause: 'The provider allows fewer calls than are needed now.',
    step: 'Nothing is lost, the work keeps its place. Set `rateLimit` of the issuer to what it allows, or let the provider allow more.',
    by: 'Platform',
  },
  RegistrationCredentialMissing: {
    cause:
      'The Secret or key that `registrationTokenRef` names is not there or empty, or the operator may not read it.',
    step: "Create it in the operator's namespace with an initial access token.",
    by: 'Platform',
  },
  RegistrationCredentialRefused: {
    cause: 'The initial access token has expired or is used up.',
    step: 'Put a new one into the Secret of `registrationTokenRef`. Clients that exist are rotated and deleted meanwhile, unless their rotation registers a new one.',
    by: 'Provider',
  },
  RegistrationRefused: {
    cause: 'Dynamic registration is off, or a policy there forbids the scopes or metadata.',
    step: 'Do what the message names, or register a client by hand and name it in `spec.client.existing`.',
    by: 'Provider',
  },
  RegistrationAccessTokenLost: {
    cause: 'The provider replaces the token with each change, and one answer was lost; or it never gave one.',
    step: 'Tokens are issued all the same. Hand in a new one as the message says, or give the issuer a `managementTokenRef`.',
    by: 'Provider',
  },
  ClientGone: {
    cause:
      'Somebody deleted the client at the provider; or the cluster was restored from a backup from before a rotation.',
    step: 'Set `spec.rotation.allowSubjectChange: true` if a new client, with a new subject, may take its place. After a restore first give the issuer a `managementTokenRef` and annotate the pool with `ci-identity.dev/retry`: the client keeps its id.',
    by: 'Platform',
  },
  ClientForeign: {
    cause:
      "The client's `software_id` (at Keycloak attribute `ci-identity.owner`) names another installation or owner.",
    step: 'Find out whose it is. Set the tag back if it is ours; otherwise create another pool.',
    by: 'Provider',
  },
  ClientIdTaken: {
    cause:
      'A pool of the same name was deleted with `deletionPolicy: Retain`, or the answer to its registration was lost.',
    step: 'Create the pool under another name. Delete the client that the message names at the provider only where nothing uses it, which may be another pool.',
    by: 'Provider',
  },
  OrphanPossible: {
    cause:
      'The provider chooses client ids and did not answer a registration within 30 s, or with nothing usable, so nobody knows whether it made a client.',
    step: 'Look there for the `software_id` or name in the message and delete the client that is not in use; then run the command in the message, which says that this is dealt with. After three such registrations, or one with nothing usable, the next one waits, five minutes at first and a day at most.',
    by: 'Provider',
  },
  CredentialRefused: {
    cause: 'The client is disabled, or its keys or secret were changed at the provider.',
    step: 'Enable it or set it back; it is tried again every five minutes. Where the client is there and refuses its credential twice within seconds, it is replaced by itself.',
    by: 'Provider',
  },
  ScopeRefused: {
    cause: 'The scope or audience does not exist there, or is not allowed for this client.',
    step: 'Allow it for the client at the provider, or take it out of pool and rule; it is asked again every five minutes.',
    by: 'Provider',
  },
  TokenRequestRefused: {
    cause: 'Client credentials are not allowed for the client, or the profile does not fit.',
    step: 'Allow the grant `client_credentials` for it at the provider.',
    by: 'Provider',
  },
  ScopeWider: {
    cause: 'The provider adds default scopes to every token.',
    step: "Take them out of the client's default scopes. The tokens were revoked and given to nobody.",
    by: 'Provider',
  },
  ScopeNarrower: {
    cause: 'The client may not have all of what the rules grant.',
    step: 'Allow it at the provider, or narrow the rule.',
    by: 'Provider',
  },
  AudienceWrong: {
    cause: "The provider's way of naming an audience is another one.",
    step: 'Correct the audience mapping there, or `spec.provider.audience` of the pool.',
    by: 'Platform',
  },
  LifetimeTooLong: {
    cause: "The provider's tokens live longer than `maxTokenLifetime` of the ceiling (15m if left out) or of a rule.",
    step: 'Shorten them there, write the value that the message names, or set `onExceed: RevokeEarly`.',
    by: 'Platform',
  },
  LifetimeUnknown: {
    cause: 'The answer has no `expires_in`, or none that makes sense.',
    step: 'Make the provider say how long its tokens live.',
    by: 'Provider',
  },
  TokenLifetimeTooShort: {
    cause: 'A changed Secret takes up to `deliveryLag` to reach the files of a pod, and the tokens live hardly longer.',
    step: 'Let them live at least twice as long plus a minute.',
    by: 'Provider',
  },
  TokenUnusable: {
    cause:
      'The token is bound to a key (DPoP, mTLS), no bearer token, or is handed out twice; or the clock of the provider differs from ours by more than ten minutes.',
    step: 'Switch that off for the client; set the clocks that the message shows by NTP.',
    by: 'Provider',
  },
} as const satisfies Partial<Record<Reason, Remedy>>;
