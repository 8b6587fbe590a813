import type { Instant, Milliseconds } from '../../clock.ts';
import type { Reason } from '../../api/reasons.ts';

/** Scopes, audiences and lifetime that are requested together. Scopes and audiences are sorted and without duplicates. */
export interface Ask {
  readonly scopes: readonly string[];
  readonly audiences: readonly string[];
  readonly maxLifetime: Milliseconds;
}

/** Which rule granted something. */
export interface RuleRef {
  readonly policy: string;
  /** Index in `spec.rules`. */
  readonly rule: number;
  readonly generation: number;
}

/** One scope at one audience that is granted, with the rule that a reviewer should look at. */
export interface GrantedScope {
  readonly audience: string;
  readonly scope: string;
  readonly by: RuleRef;
}

/** One scope (or, without `scope`, the whole audience or identity) that is not granted, and the whole sentence why. */
export interface Denial {
  readonly audience?: string;
  readonly scope?: string;
  readonly reason: Reason;
  readonly message: string;
  /** The rule that comes nearest: it gives this above the ceiling, or without saying at which audience. */
  readonly by?: RuleRef;
}

/** A ScopePolicy that was consulted. */
export interface PolicyRef {
  readonly policy: string;
  readonly generation: number;
}

/** What an identity may have now. `hash` identifies the ask (see `askHash`). */
export type Access =
  | {
      readonly is: 'Granted';
      readonly ask: Ask;
      readonly hash: string;
      readonly by: readonly GrantedScope[];
      /** Parts of what was asked that are not granted (status shows them); with `enforcement: Audit`, what would be denied. */
      readonly denials: readonly Denial[];
      readonly wouldDeny: readonly Denial[];
      /** Of all that would be denied, also of what `wouldDeny` has no room for; absent: nothing would. */
      readonly audited?: {
        readonly scopes: readonly string[];
        readonly audiences: readonly string[];
        readonly pairs: number;
      };
      readonly policies?: readonly PolicyRef[];
    }
  | {
      readonly is: 'Denied';
      /**
       * `true`: somebody decided so, and only an edit of an object changes it. `false`: nobody did (a namespace is gone, a line is missing in
       * the configuration of the operator), so nothing new is given, and what was given is not taken away for it.
       */
      readonly lasting: boolean;
      /** What the rules give all the same, where nobody decided against it: what was given is cut to that, and nothing new is given. */
      readonly ask?: Ask;
      readonly denials: readonly Denial[];
      /** Those with a rule for the pool and a role of the identity, in a stable order; absent where no rule was asked. */
      readonly policies?: readonly PolicyRef[];
    };

/** One thing that stops. */
export interface StopSource {
  readonly kind: 'ConfigMap' | 'IdentityPool' | 'Namespace' | 'CiIdentity';
  readonly namespace?: string;
  readonly name: string;
  /** What of the object stops; a ConfigMap does by being there. */
  readonly by: 'suspend' | 'annotation' | 'presence';
  /** Somebody else's words. */
  readonly reason?: string;
}

/** Somebody stopped it on purpose, in at least one way. */
export interface Stop {
  readonly sources: readonly StopSource[];
}

/** Whether the admission policies are what this version ships. */
export type Guard =
  | { readonly is: 'Intact'; readonly since: Instant }
  | { readonly is: 'Missing'; readonly objects: readonly string[] }
  | { readonly is: 'Unknown' };
