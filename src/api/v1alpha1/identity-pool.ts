/** Made from crds/identitypools.yaml by `npm run generate`: edit that file instead. */
import type { Condition, ObjectMeta } from '../meta.ts';

/** IdentityPool connects one identity provider: which OAuth clients exist there, the most that any token of them may ever carry, and how often their credentials are replaced. The platform team owns it. Nobody gets a token from a pool alone: a ScopePolicy has to grant scopes and a CiIdentity has to ask for them. */
export interface IdentityPool {
  /** ci-identity.dev/v1alpha1 */
  readonly apiVersion: string;
  /** IdentityPool */
  readonly kind: string;
  readonly metadata: ObjectMeta;
  readonly spec: IdentityPoolSpec;
  readonly status?: IdentityPoolStatus;
}
/** What the platform team wants: provider and ceiling are required, everything else has a default. */
export interface IdentityPoolSpec {
  /** Automation (default): for builds; the operator is the only holder of the credentials. Interactive: the client that people use to log in to Jenkins; it never serves builds. Cannot change. */
  readonly purpose?: 'Automation' | 'Interactive';
  readonly provider: IdentityPoolProvider;
  readonly client?: IdentityPoolClient;
  readonly ceiling: IdentityPoolCeiling;
  readonly rotation?: IdentityPoolRotation;
  /** Enforce (default): only what a ScopePolicy grants. Audit: what no policy grants but the ceiling contains is granted too and recorded as would-deny, to try policies out. The ceiling holds in both. */
  readonly enforcement?: 'Enforce' | 'Audit';
  /** What happens to the clients at the provider when the pool (with client.per: the identity, or the last one of the namespace) is deleted. Delete (default): they are deleted. Retain: they stay. */
  readonly deletionPolicy?: 'Delete' | 'Retain';
  /** A new value revokes every live token of the pool now, once, e.g. INC-4711; builds that go on get new ones. status.requests tells the outcome. The annotation ci-identity.dev/revoke does the same where a GitOps tool would revert this field. */
  readonly revokeRequest?: string;
  /** true: no new tokens, live ones are revoked. Default false. The annotation ci-identity.dev/emergency-stop does the same where a GitOps tool would revert this field. */
  readonly suspend?: boolean;
}
/** The identity provider. */
export interface IdentityPoolProvider {
  /** The protocol that the provider speaks. OIDC (default): OAuth 2.0 and OpenID Connect, with dynamic client registration. */
  readonly type?: 'OIDC';
  /** The issuer URL, byte by byte as the provider's metadata has it, e.g. https://idp.example.com/realms/ci. It must be listed under issuers in the operator's configuration, so that no resource makes the operator call a new host. Cannot change: create another IdentityPool and move the CiIdentities. */
  readonly issuer: string;
  readonly audience?: IdentityPoolProviderAudience;
}
/** How the provider is told which audience a token is for. */
export interface IdentityPoolProviderAudience {
  /** Profile (default): as the provider's profile in the operator's configuration knows it. Resource: parameter resource (RFC 8707). Audience: parameter audience. Scope: a client scope of the provider carries it, see scopes. None: the provider decides; the token is checked all the same. */
  readonly by?: 'Profile' | 'Resource' | 'Audience' | 'Scope' | 'None';
  /** With by: Scope: for each audience of the ceiling the client scope that carries it, e.g. https://registry.example.com: aud-registry. */
  readonly scopes?: {
    /** Client scope at the provider. */
    readonly [k: string]: string;
  };
}
/** The OAuth clients that the operator keeps at the provider. */
export interface IdentityPoolClient {
  /** Whose subject (sub) a resource server sees. Pool (default): one client serves the whole pool. Namespace: one client for each namespace. Identity: one client for each CiIdentity. A change needs rotation.allowSubjectChange. */
  readonly per?: 'Pool' | 'Namespace' | 'Identity';
  /** How a client authenticates. PrivateKeyJwt (default): a key that never leaves the operator. ClientSecretBasic and ClientSecretPost: a secret, in the header or in the body. A change on a live pool takes a new client with a new subject, made and proven before the old one goes; without rotation.allowSubjectChange nothing changes and the status says so. */
  readonly authentication?: 'PrivateKeyJwt' | 'ClientSecretBasic' | 'ClientSecretPost';
  readonly existing?: IdentityPoolClientExisting;
}
/** A client that an administrator has registered by hand; the operator uses it and never changes or deletes it. Left out: the operator registers clients itself. */
export interface IdentityPoolClientExisting {
  /** Its client id at the provider. */
  readonly clientId: string;
  readonly credentialRef: IdentityPoolClientExistingCredentialRef;
}
/** Where its credential is: a key of a Secret in the operator's namespace that holds a client secret or a private JWK, as authentication says. A new content is verified before it is used. */
export interface IdentityPoolClientExistingCredentialRef {
  /** Name of the Secret. */
  readonly name: string;
  /** Key in the Secret's data. */
  readonly key: string;
}
/** The most that any token of this pool may carry, whatever a ScopePolicy grants. */
export interface IdentityPoolCeiling {
  /**
   * Every scope that may ever be granted from this pool, written out, e.g. [artifacts:read, artifacts:publish].
   *
   * Items: One scope, without wildcard.
   */
  readonly scopes: readonly string[];
  /**
   * Every resource server that a token of this pool may be for, as it calls itself, e.g. [https://registry.example.com].
   *
   * Items: One audience: a URI or any other name that the resource server accepts in aud, without wildcard.
   */
  readonly audiences: readonly string[];
  /** The longest that one token may live, from 1m to 24h; default 15m. Tokens are renewed under the running build, so short is free. A provider whose tokens live longer is dealt with as onExceed says. */
  readonly maxTokenLifetime?: string;
  /** How long tokens are renewed for one pod, up to 30d; default 24h. After that the tokens that it holds are revoked, and its build reads why. Not shorter than maxTokenLifetime. */
  readonly maxSessionAge?: string;
  /** What happens to a token that lives longer than maxTokenLifetime. Refuse (default): it is revoked and the build gets a sentence instead. RevokeEarly: it is delivered, replaced in time and revoked when maxTokenLifetime is over. */
  readonly onExceed?: 'Refuse' | 'RevokeEarly';
}
/** When and how the credentials of the clients are replaced. Nobody notices: the new one is proven before the old one goes. */
export interface IdentityPoolRotation {
  /** How often, from 1h to 730d; default 90d. Pools that were created together are spread out. */
  readonly every?: string;
  /** How long the old credential stays at the provider after minting has switched to the new one, up to 30d; default 1h. It stays until its last token has expired in any case. Shorter than every, not shorter than ceiling.maxTokenLifetime. */
  readonly overlap?: string;
  readonly window?: IdentityPoolRotationWindow;
  /** true: where the provider can do it in no other way, rotation may create a new client, whose subject (sub) is new and unknown to trust policies that name the old one. Also permits a change of client.per and of client.existing.clientId. Default false. */
  readonly allowSubjectChange?: boolean;
  /** A new value rotates now, once, e.g. 2026-11-24 or INC-4711; status.requests tells the outcome. The annotation ci-identity.dev/rotate does the same where a GitOps tool would revert this field. The same new value here and in revokeRequest is an emergency rotation. */
  readonly request?: string;
}
/** Scheduled rotations begin only inside this window; requests do not wait for it. Where the provider can replace a secret only with a gap (status.capabilities.variants InPlace) nothing but an emergency rotates outside of it, and other changes of a client with a secret wait for it too, unless they take rights away. Default: any time, and no rotation that leaves a gap. */
export interface IdentityPoolRotationWindow {
  /**
   * Days of the week on which the window opens; default: every day.
   *
   * Items: Day of the week.
   */
  readonly days?: readonly ('Mon' | 'Tue' | 'Wed' | 'Thu' | 'Fri' | 'Sat' | 'Sun')[];
  /** When it opens, HH:MM on a 24 hour clock, e.g. "22:00". */
  readonly from: string;
  /** When it closes, HH:MM on a 24 hour clock; earlier than from: on the next day. */
  readonly to: string;
  /** Name from the IANA time zone database, e.g. Europe/Berlin; default UTC. */
  readonly timeZone?: string;
}
/** What the operator found and did. Written by the operator only, never read by it. */
export interface IdentityPoolStatus {
  /** True is good: Ready (the summary), Registered, CredentialCurrent, RegistrationCredentialValid, Authenticating; Reconciling and Stalled are there only while they are true. */
  readonly conditions?: readonly Condition[];
  /** metadata.generation that the status is about. */
  readonly observedGeneration?: number;
  /** Client id at the provider; only with client.per: Pool. */
  readonly clientId?: string;
  readonly clients?: IdentityPoolStatusClients;
  readonly credential?: IdentityPoolStatusCredential;
  /** Whether the subject (sub) of the tokens survives a rotation. */
  readonly stableSubject?: boolean;
  readonly capabilities?: IdentityPoolStatusCapabilities;
  /**
   * Who or what stops the pool on purpose, e.g. IdentityPool ci-bots (spec.suspend).
   *
   * Items: One source.
   */
  readonly stoppedBy?: readonly string[];
  /** The last requests to rotate or revoke, newest first. */
  readonly requests?: readonly IdentityPoolStatusRequest[];
}
/** How many OAuth clients the pool has; updated at once where a number leaves or reaches 0, otherwise at most once a minute. */
export interface IdentityPoolStatusClients {
  /** Clients that the pool needs. */
  readonly total: number;
  /** Clients that are registered and have a proven credential. */
  readonly ready: number;
  /** Registrations whose answer was lost where the provider chooses the id; look for clients that nobody uses. */
  readonly possibleOrphans?: number;
}
/** The credential that mints now; with client.per: Namespace or Identity the one that is replaced next. */
export interface IdentityPoolStatusCredential {
  /** 1, 2, 3 and so on: which one it is. */
  readonly generation: number;
  /** Since when it mints. */
  readonly since: string;
  /** When it is replaced, rotation.window counted in. */
  readonly nextRotation?: string;
  /** How long nothing could be minted when the provider last replaced the secret, where it does that with a gap only. */
  readonly gap?: string;
}
/** What the provider can do, as far as it was seen. */
export interface IdentityPoolStatusCapabilities {
  /**
   * Ways in which the provider can replace a credential, best first. TwoKeys, TwoSecrets: old and new work beside each other. NewClient: a second client with a new subject (sub), only with rotation.allowSubjectChange. InPlace: the old secret is dead before the new one is known, so with a gap, and only inside rotation.window or in an emergency.
   *
   * Items: One way to rotate.
   */
  readonly variants: readonly ('TwoKeys' | 'TwoSecrets' | 'NewClient' | 'InPlace' | 'External' | 'None')[];
  /** Who chooses the client id. */
  readonly clientIdBy: 'Us' | 'Provider';
  /** Whether a client can be found again by its tag when an answer was lost. */
  readonly findByTag: boolean;
  /** What revoking a token reaches: every resource server at once, those that introspect, or nothing before it expires. */
  readonly revocation: 'Immediate' | 'IntrospectionOnly' | 'ExpiryOnly';
  /** Whether a token can carry fewer scopes than its client has. */
  readonly narrowsScopes: boolean;
}
/** One request. */
export interface IdentityPoolStatusRequest {
  /** What was asked for. */
  readonly kind: 'Rotate' | 'Revoke';
  /** The value of the field or annotation. */
  readonly id: string;
  /** When the operator saw it. */
  readonly at: string;
  /** What became of it. */
  readonly outcome: 'InProgress' | 'Done' | 'Failed';
  /** When it was done. */
  readonly doneAt?: string;
  /** What was done, or why not. */
  readonly message?: string;
}
