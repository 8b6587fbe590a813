/** Made from crds/ciidentities.yaml by `npm run generate`: edit that file instead. */
import type { Condition, ObjectMeta } from '../meta.ts';

/** CiIdentity says: agent pods here get these roles of that pool. The team that owns the namespace owns it. Every pod that it selects finds its own short-lived token in /var/run/secrets/ci-identity/<name>/token, renewed while the build runs. The creator of the pod needs the RBAC verb use on the CiIdentity. */
export interface CiIdentity {
  /** ci-identity.dev/v1alpha1 */
  readonly apiVersion: string;
  /** CiIdentity */
  readonly kind: string;
  readonly metadata: ObjectMeta;
  readonly spec: CiIdentitySpec;
  readonly status?: CiIdentityStatus;
}
/** What the team asks for: pool and roles are required, everything else has a default. */
export interface CiIdentitySpec {
  /** Name of the IdentityPool that the tokens come from. A change ends the live sessions and begins new ones. */
  readonly pool: string;
  /**
   * The roles, e.g. [publisher]. A role gives what ScopePolicies grant to it in this namespace, and nothing by itself.
   *
   * Items: One role.
   */
  readonly roles: readonly string[];
  /**
   * Only these of the scopes that the roles give; never more. Default: all that the roles give.
   *
   * Items: One scope, without wildcard.
   */
  readonly scopes?: readonly string[];
  /**
   * Only these of the audiences that the roles give; never more. Default: all of them. Several audiences share one token only if each grants the same scopes; otherwise split the identity in two.
   *
   * Items: One audience: a URI or any other name that the resource server accepts in aud, without wildcard.
   */
  readonly audiences?: readonly string[];
  readonly agents?: CiIdentityAgents;
  readonly delivery?: CiIdentityDelivery;
  readonly actor?: CiIdentityActor;
  readonly limits?: CiIdentityLimits;
  /** true: no new tokens, live ones are revoked. Default false. The annotation ci-identity.dev/emergency-stop does the same where a GitOps tool would revert this field. */
  readonly suspend?: boolean;
}
/** Which pods of the namespace get the token. */
export interface CiIdentityAgents {
  readonly podSelector?: CiIdentityAgentsPodSelector;
}
/** Pods with these labels; matchLabels and matchExpressions all have to hold. Default: every pod with the label jenkins/label, which the Jenkins Kubernetes plugin sets. Labels are chosen by pipeline authors: they select, they do not protect. */
export interface CiIdentityAgentsPodSelector {
  /** Labels that the pod must have. */
  readonly matchLabels?: {
    /** Value of the label. */
    readonly [k: string]: string;
  };
  /** Further conditions on labels, all of which have to hold. */
  readonly matchExpressions?: readonly CiIdentityAgentsPodSelectorMatchExpression[];
}
/** One condition. */
export interface CiIdentityAgentsPodSelectorMatchExpression {
  /** Key of the label. */
  readonly key: string;
  /** In, NotIn: the label's value is (not) one of values. Exists, DoesNotExist: the label is (not) there. */
  readonly operator: 'In' | 'NotIn' | 'Exists' | 'DoesNotExist';
  /**
   * Values for In and NotIn.
   *
   * Items: One value.
   */
  readonly values?: readonly string[];
}
/** Where in the pod the token is. */
export interface CiIdentityDelivery {
  /**
   * Names of the containers that get it; a pod without any of them is not selected. Default: all regular containers.
   *
   * Items: Name of a container.
   */
  readonly containers?: readonly string[];
  /** true: the variable CI_IDENTITY_TOKEN_FILE names this token too, for tools that know one token only. Default false. At most one identity of a pod can be the default. */
  readonly default?: boolean;
}
/** Who acts through these tokens where it is not plain automation, such as an AI agent: every audit line of its sessions names it. It is a statement of the team, it changes no token. */
export interface CiIdentityActor {
  /** AIAgent: a program that decides by itself what it does. Automation: one that does what a script says. */
  readonly type: 'AIAgent' | 'Automation';
  /** Name of the actor in the team's own words, such as release-bot. */
  readonly id: string;
  /** The person or team that answers for it, such as payments@example.com. */
  readonly owner: string;
}
/** How much this identity may do. A session beyond a limit gets error.json instead of a token. */
export interface CiIdentityLimits {
  /** Pods that hold a token of this identity at the same time; one that has ended counts until its token is revoked or has expired. Default: no limit. */
  readonly concurrentSessions?: number;
  /** Pods that get their first token within any 60 minutes. Default: no limit. */
  readonly sessionsPerHour?: number;
}
/** What the operator found and did. Written by the operator only, never read by it. */
export interface CiIdentityStatus {
  /** True is good: Ready (the summary), Authorized, Probed, Issuing, Exclusive; Reconciling and Stalled are there only while they are true. */
  readonly conditions?: readonly Condition[];
  /** metadata.generation that the status is about. */
  readonly observedGeneration?: number;
  /** Client id at the provider of the client that mints. */
  readonly clientId?: string;
  /** What a token carries, and which rule granted it. */
  readonly grants?: readonly CiIdentityStatusGrant[];
  /** What is not granted, and why: the first eight at most, of which the last says how many more there are. */
  readonly denials?: readonly CiIdentityStatusDenial[];
  /** With enforcement: Audit in the pool: what is granted now and would be denied by Enforce; likewise. */
  readonly wouldDeny?: readonly CiIdentityStatusWouldDeny[];
  /** Pods that hold a token; updated at most once a minute. */
  readonly sessions?: number;
  readonly nextAction?: CiIdentityStatusNextAction;
  /**
   * Who or what stops the identity on purpose, e.g. Namespace ci-payments (annotation ci-identity.dev/emergency-stop).
   *
   * Items: One source.
   */
  readonly stoppedBy?: readonly string[];
}
/** What is granted at one audience. */
export interface CiIdentityStatusGrant {
  /** The resource server. */
  readonly audience: string;
  /** The scopes. */
  readonly scopes: readonly CiIdentityStatusGrantScope[];
}
/** One scope and the rule that a reviewer should look at. */
export interface CiIdentityStatusGrantScope {
  /** The scope. */
  readonly name: string;
  /** Name of the ScopePolicy. */
  readonly policy: string;
  /** Index in its spec.rules, from 0. */
  readonly rule: number;
}
/** One denial; without scope: the whole audience, without audience: everything. */
export interface CiIdentityStatusDenial {
  /** The scope. */
  readonly scope?: string;
  /** The resource server. */
  readonly audience?: string;
  /** Why, in one word out of a finite table. */
  readonly reason: string;
  /** Why, as a sentence: subject, what, why, what to do. */
  readonly message: string;
}
/** One denial; without scope: the whole audience, without audience: everything. */
export interface CiIdentityStatusWouldDeny {
  /** The scope. */
  readonly scope?: string;
  /** The resource server. */
  readonly audience?: string;
  /** Why, in one word out of a finite table. */
  readonly reason: string;
  /** Why, as a sentence: subject, what, why, what to do. */
  readonly message: string;
}
/** What the operator does next for this identity. */
export interface CiIdentityStatusNextAction {
  /** In words. */
  readonly what: string;
  /** When. */
  readonly at?: string;
}
