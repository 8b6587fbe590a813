import type { Reason } from './reasons.ts';

/** Who can mend it: the people who run cluster and operator, the provider, the policies, or the builds. */
export type Mender = 'Platform' | 'Provider' | 'Security' | 'Team';

export interface Remedy {
  /** What usually lies behind it, beyond what the reason says by itself. */
  readonly cause: string;
  readonly step: string;
  readonly by: Mender;
}

/**
 * What to do about a reason, for the page that people search by the word that they read. The message beside a reason is always more exact:
 * it names the object, the provider\'s own words and the value to write.
 */
export const remedies = {
  IssuerNotConfigured: {
    cause: "The pool names a URL that is not, to the letter, in the operator's configuration.",
    step: 'Add it under `issuers`; the change takes force within seconds, without a restart. Builds that hold a token keep it until it expires.',
    by: 'Platform',
  },
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
      'Something else answers in its place: a login page, a firewall, a proxy that redirects; or the profile does not fit the product.',
    step: "Call the metadata URL from the operator's namespace and look at what comes; compare `profile` of the issuer with the product.",
    by: 'Platform',
  },
  RateLimited: {
    cause: 'The provider allows fewer calls than are needed now.',
    step: 'Nothing is lost, the work keeps its place. Set `rateLimit` of the issuer to what it allows, or let the provider allow more.',
    by: 'Platform',
  },
  RegistrationCredentialMissing: {
    cause: 'The Secret or key that `registrationTokenRef` names is not there.',
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
    step: 'Do what the message names, or register a client by hand and name it in `spec.client.existing`. It is tried again every few minutes, and at once after `kubectl annotate --overwrite identitypool NAME ci-identity.dev/retry=1`, with another value each time.',
    by: 'Provider',
  },
  RegistrationAccessTokenLost: {
    cause: 'The provider replaces the token with each change, and one answer was lost; or it never gave one.',
    step: 'Tokens are issued all the same. Hand in a new one as the message says, or give the issuer a `managementTokenRef`.',
    by: 'Provider',
  },
  ClientGone: {
    cause: 'Somebody deleted the client at the provider.',
    step: 'Set `spec.rotation.allowSubjectChange: true` if a new client, with a new subject, may take its place.',
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
    step: 'Delete the client that the message names at the provider, or create the pool under another name. It is tried again every ten minutes, and at once after a change of the pool.',
    by: 'Provider',
  },
  CredentialRefused: {
    cause: 'The client is disabled, or its keys or secret were changed at the provider.',
    step: 'Enable it or set it back; it is tried again every five minutes.',
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
    cause: 'The token is bound to a key (DPoP, mTLS), no bearer token, or is handed out twice.',
    step: 'Switch that off for the client.',
    by: 'Provider',
  },
  PoolMissing: {
    cause: 'A slip in the name, or the pool is applied later.',
    step: 'Correct `spec.pool` or create the pool; it heals by itself.',
    by: 'Team',
  },
  NoRule: {
    cause: 'Default deny: no rule names this pool, role, namespace and audience together.',
    step: 'Ask for a rule; `kubectl ci-identity explain` shows what there is.',
    by: 'Security',
  },
  OutsideCeiling: {
    cause: "The pool's ceiling is narrower than the rule.",
    step: 'Add it to the ceiling, or take it out of the rule.',
    by: 'Platform',
  },
  AudienceUnclear: {
    cause: 'The ceiling has several audiences.',
    step: 'Name the audience in the rule.',
    by: 'Security',
  },
  AudiencesDiffer: {
    cause: 'One token would carry scopes to an audience that was not granted them.',
    step: 'Split it into two identities.',
    by: 'Team',
  },
  CreatorMayNotUse: {
    cause: 'The account that created the pod does not hold `use` here.',
    step: 'Apply the component `agent-namespace`, with the service account of your Jenkins.',
    by: 'Platform',
  },
  PodOlderThanGuard: {
    cause: 'The admission policies were not whole when the pod was made.',
    step: 'Run the build again.',
    by: 'Team',
  },
  GuardMissing: {
    cause: 'A policy of `manifests/admission` is missing, edited, or of another version.',
    step: 'Restore it with `kubectl replace -f`; `kubectl apply` leaves added fields in place.',
    by: 'Platform',
  },
  Suspended: {
    cause: 'Somebody stopped it; `status.stoppedBy` says who or what.',
    step: 'Lift what it names; tokens come back by themselves.',
    by: 'Platform',
  },
  ApiForbidden: {
    cause: 'A namespace was labelled before its RoleBinding was there, or RBAC was changed.',
    step: 'Apply the Role and RoleBinding that the message names, in the namespace that it names.',
    by: 'Platform',
  },
  QuotaExceeded: {
    cause: 'Each pod and identity needs one Secret.',
    step: 'Raise the ResourceQuota that the message names.',
    by: 'Platform',
  },
  DeliveryRefused: {
    cause: 'A Secret with the name of a delivery is there and is none of ours.',
    step: 'Delete it.',
    by: 'Team',
  },
  ConfigurationInvalid: {
    cause: 'Configuration file, kubeconfig or installed definitions do not fit this version.',
    step: 'The start says every problem at once; a running program keeps the configuration before and says so on `/readyz`.',
    by: 'Platform',
  },
  NotSynced: {
    cause: 'A watch is refused or has not been read completely.',
    step: '`/readyz` names the watch and the reason.',
    by: 'Platform',
  },
  RecordInvalid: {
    cause:
      'Somebody edited the record Secret of a client in the namespace of the operator, or it came with the backup of another cluster.',
    step: 'Bring it back from a backup; without one, delete the Secret and the client at the provider: a new one is registered. Of another cluster, delete the Secret only: the client is still used there.',
    by: 'Platform',
  },
  NewerFormat: {
    cause: 'The operator was set back to an older version.',
    step: 'Install the newer version again.',
    by: 'Platform',
  },
  RestoredState: {
    cause: 'The cluster was restored from a backup, so that the provider knows more than our records.',
    step: 'Nothing is deleted at the provider, and tokens are issued while the old credential works. Restore a newer backup if there is one; otherwise rotate with --emergency, which replaces what is there. A pool that is deleted goes with deletionPolicy Retain.',
    by: 'Platform',
  },
  BrakeHolds: {
    cause: 'A kind, many objects or a whole namespace vanished, by a pruning GitOps tool or by hand.',
    step: 'If that was meant, run the command in the message, which annotates the namespace of the operator. If not, bring the objects back.',
    by: 'Platform',
  },
  CredentialMissing: {
    cause: 'The Secret that `client.existing` names is not in the namespace of the operator, or has another key.',
    step: 'Create it there with the key that the pool names.',
    by: 'Platform',
  },
  CredentialMalformed: {
    cause:
      'A secret where a private key is expected or the reverse, a file with a password, or a key of another algorithm.',
    step: 'Put in what `authentication` of the pool asks for.',
    by: 'Platform',
  },
  ClientClaimed: {
    cause: 'Two pools name the same client of the same issuer.',
    step: 'Register a client of its own for the younger pool.',
    by: 'Platform',
  },
  LimitReached: {
    cause: 'More builds at once, or in an hour, than `spec.limits` of the CiIdentity allows.',
    step: 'Wait for a build to end, which is noticed by itself, or raise the limit.',
    by: 'Team',
  },
  InjectionMissed: {
    cause: 'The pod was created before the identity, in the same second, or without the label that selects it.',
    step: 'Start the build again. Annotate the pods with `ci-identity.dev/identities` to have them refused instead.',
    by: 'Team',
  },
  SharedCreator: {
    cause: 'One Jenkins cloud with one service account creates the pods of several teams.',
    step: 'Give each team a cloud and a service account of its own, or accept that these teams share their identities.',
    by: 'Security',
  },
  AuditBlocked: {
    cause: 'The disk is full, or nobody reads the pipe into which the audit stream goes.',
    step: 'Make room, or let the reader go on. Nothing is lost meanwhile, and tokens are revoked all the same.',
    by: 'Platform',
  },
  ClockSkew: {
    cause: 'The clock of the provider, of the API server or of a node is wrong.',
    step: 'Set the clocks by NTP; `kubectl ci-identity doctor` says which one differs.',
    by: 'Platform',
  },
  SecretExpired: {
    cause: 'The provider gave the secret an end, and nobody replaced it in time.',
    step: 'Of an existing client, put a new one into its Secret. One of ours is replaced by itself as soon as the provider allows.',
    by: 'Provider',
  },
  RotationUnsupported: {
    cause: 'The provider takes no second key and the pool allows neither a new client nor a window for a gap.',
    step: 'Set `rotation.allowSubjectChange` or `rotation.window`; the message says what this provider can do.',
    by: 'Security',
  },
  RuleInvalid: {
    cause: 'A pool, audience or scope in the rule is misspelt, or the ceiling of the pool is lower.',
    step: '`status.problems` of the ScopePolicy names rule and word. The other rules hold meanwhile.',
    by: 'Security',
  },
  MatchesNothing: {
    cause: 'A namespace or label in the rule is misspelt, or not there yet.',
    step: '`status.problems` of the ScopePolicy names it and what is nearest.',
    by: 'Security',
  },
  PurposeMismatch: {
    cause: 'The pool is for people (`purpose: Interactive`).',
    step: 'Name a pool for automation in the CiIdentity.',
    by: 'Team',
  },
} as const satisfies Partial<Record<Reason, Remedy>>;
