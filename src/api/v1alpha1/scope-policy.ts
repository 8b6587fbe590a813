/** Made from crds/scopepolicies.yaml by `npm run generate`: edit that file instead. */
import type { Condition, ObjectMeta } from '../meta.ts';

/** ScopePolicy says which role gives which scopes at which audience in which namespaces. The security team owns it. What no rule grants is denied; rules only add; the ceiling of the IdentityPool limits them all. */
export interface ScopePolicy {
  /** ci-identity.dev/v1alpha1 */
  readonly apiVersion: string;
  /** ScopePolicy */
  readonly kind: string;
  readonly metadata: ObjectMeta;
  readonly spec: ScopePolicySpec;
  readonly status?: ScopePolicyStatus;
}
/** What the security team grants. */
export interface ScopePolicySpec {
  /** The grants; the order has no meaning. An edit acts on live tokens: what is no longer granted is revoked. */
  readonly rules: readonly ScopePolicyRule[];
}
/** One grant that a reviewer can read in a diff: this role of this pool gives these scopes in these namespaces. */
export interface ScopePolicyRule {
  /** The role that a CiIdentity names in roles, e.g. publisher. It proves nothing by itself. */
  readonly role: string;
  /** Name of the IdentityPool whose clients get the token. */
  readonly pool: string;
  /**
   * The namespaces that get the grant, by name.
   *
   * Items: Name of a namespace.
   */
  readonly namespaces?: readonly string[];
  readonly namespaceSelector?: ScopePolicyRuleNamespaceSelector;
  /**
   * The scopes that the role gives, written out, e.g. [artifacts:publish].
   *
   * Items: One scope, without wildcard.
   */
  readonly scopes: readonly string[];
  /**
   * The resource servers at which the scopes hold, e.g. [https://registry.example.com]. Default: the ceiling's audience when it has exactly one; with several the rule has to name them.
   *
   * Items: One audience: a URI or any other name that the resource server accepts in aud, without wildcard.
   */
  readonly audiences?: readonly string[];
  /** The longest that a token with one of these scopes may live, from 1m to 24h; default: what the ceiling says. The shortest one of all limits holds. A provider whose tokens live longer gives none, unless the pool says onExceed: RevokeEarly. */
  readonly maxTokenLifetime?: string;
}
/** The namespaces that get the grant, by their labels; matchLabels and matchExpressions all have to hold. Whoever may label namespaces decides then who gets the grant. */
export interface ScopePolicyRuleNamespaceSelector {
  /** Labels that the namespace must have. */
  readonly matchLabels?: {
    /** Value of the label. */
    readonly [k: string]: string;
  };
  /** Further conditions on labels, all of which have to hold. */
  readonly matchExpressions?: readonly ScopePolicyRuleNamespaceSelectorMatchExpression[];
}
/** One condition. */
export interface ScopePolicyRuleNamespaceSelectorMatchExpression {
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
/** What the operator found. Written by the operator only, never read by it. */
export interface ScopePolicyStatus {
  /** True is good: Ready (the summary), Valid; Reconciling and Stalled are there only while they are true. */
  readonly conditions?: readonly Condition[];
  /** metadata.generation that the status is about. */
  readonly observedGeneration?: number;
  /** How many rules the policy has. */
  readonly rules?: number;
  /** How many CiIdentities get at least one scope from it; updated at once where that leaves or reaches 0, otherwise at most once a minute. */
  readonly identities?: number;
  /** Rules that cannot grant what they say, and why. */
  readonly problems?: readonly ScopePolicyStatusProblem[];
}
/** One problem. */
export interface ScopePolicyStatusProblem {
  /** Index in spec.rules, from 0. */
  readonly rule: number;
  /** Why, in one word out of a finite table. */
  readonly reason: string;
  /** Why, as a sentence: subject, what, why, what to do. */
  readonly message: string;
}
