import { providerRemedies } from './provider-remedies.ts';
import type { Reason } from './reasons.ts';
import type { Remedy } from './remedy.ts';

/**
 * What to do about a reason, for the page that people search by the word that they read. The message beside a reason is always more exact:
 * it names the object, the provider's own words and the value to write.
 */
export const remedies = {
  IssuerNotConfigured: {
    cause: "The pool names a URL that is not, to the letter, in the operator's configuration.",
    step: 'Add it under `issuers`; the change takes force within seconds, without a restart. Builds that hold a token keep it until it expires.',
    by: 'Platform',
  },
  Pending: {
    cause: 'No operator runs, none leads yet, or it is not permitted to write here.',
    step: '`kubectl -n ci-identity-system get deployments,pods,leases`, then its log; `kubectl ci-identity doctor` looks at the rest.',
    by: 'Platform',
  },
  ...providerRemedies,
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
  NotOptedIn: {
    cause:
      'The namespace of the CiIdentity lacks the label `ci-identity.dev/inject=enabled`, so pods start without it.',
    step: 'Apply the component `agent-namespace` there, then label the namespace; it heals by itself. Pods that run already stay without it.',
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
    step: 'Restore a missing one with `kubectl apply -k manifests/admission`, an edited one with `kubectl replace -f`: `apply` leaves added fields in place.',
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
      "Somebody edited the record Secret of a client or session in the operator's namespace, or it came with a backup of another one.",
    step: 'Bring it back from a backup; without one, delete the Secret and the client at the provider: a new one is registered. Of another cluster, delete the Secret only: the client is used there. Of a session too: its pod gets a new token.',
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
  TooManyTokens: {
    cause:
      'Policies, stops or requests took several tokens from a running pod, and the provider revokes none or does not answer.',
    step: 'Wait for the time that `error.json` names, or start the build again: a new pod gets a token at once.',
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
    cause:
      'The disk is full, nobody reads the pipe into which the audit stream goes, or its file was rotated and the new one cannot be opened.',
    step: 'Make room, let the reader go on, or let the operator’s user write the new file. Nothing is lost meanwhile, and tokens are revoked all the same.',
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
    step: '`status.problems` of the ScopePolicy names it, and the namespace that is nearest.',
    by: 'Security',
  },
  PurposeMismatch: {
    cause: 'The pool is for people (`purpose: Interactive`).',
    step: 'Name a pool for automation in the CiIdentity.',
    by: 'Team',
  },
} as const satisfies Partial<Record<Reason, Remedy>>;
