import type { IdentityPool, IdentityPoolStatusCapabilities } from '../../api/v1alpha1/identity-pool.ts';
import type { Reason } from '../../api/reasons.ts';
import type { Instant, Milliseconds } from '../../clock.ts';
import type { Guard, Stop } from '../access/access.ts';
import type { ExistingCredential } from '../client/machine.ts';
import type { ClientRecord } from '../client/record.ts';
import type { StatusFacts } from './decision.ts';

/** One OAuth client that the pool needs, or whose record is still there. */
export interface ClientView {
  /** Of its record, also where there is none yet. */
  readonly name?: string;
  /** The spec asks for it now; `false`: what is left of it goes. */
  readonly wanted: boolean;
  /** For people, where a pool has more than one: `namespace ci-payments` or `CiIdentity ci-payments/publisher`. */
  readonly owner?: string;
  readonly record?: ClientRecord;
  /** There is a record, and nobody knows what is in it; `failure` says why. */
  readonly unreadable?: boolean;
  /** What its last step failed with, as long as that step is still to be done. */
  readonly failure?: ClientFailure;
  /** When its credential is replaced by schedule, the window counted in. */
  readonly nextRotation?: Instant;
  /** That rotation registers a new client (variant NewClient), which takes the registration credential. */
  readonly registersAnew?: boolean;
  /** The time zone of the rotation window, where this program does not know it. */
  readonly unknownTimeZone?: string;
  /** Why its credential cannot be replaced as the pool stands, by what the provider can do. */
  readonly unsupported?: 'NeedsNewSubject' | 'NeedsWindow';
  /** Its provider neither changes nor deletes clients once they are registered. */
  readonly registersOnly?: true;
  /** Its provider changes no client, and these scopes of the ceiling came after the client was registered. */
  readonly lacks?: readonly string[];
  /** Its provider rotates no key, so that a key instead of its secret is no way out. */
  readonly noKeys?: true;
  /** Each change costs it its secret, and the window for that is closed; `until` is absent where its time zone is not known. */
  readonly gapWaits?: { readonly until?: Instant };
  /** The client differs from what the pool asks for, and setting it right leaves a gap. */
  readonly changeWaits?: boolean;
  /** The clocks disagree, so nothing is retired. */
  readonly clockUnsure?: boolean;
}

export interface ClientFailure {
  readonly reason: Reason;
  readonly message: string;
  /** Trying again changes nothing until somebody acts. */
  readonly terminal: boolean;
  /** It is tried again rarely, and at once after a change of the pool. */
  readonly changeHelps?: boolean;
  /** The provider asked for a pause of more than a minute, until then. */
  readonly nextTry?: Instant;
}

/** Of an issuer, in a Secret that its configuration names: `Missing`: not there; `NotNeeded`: it is configured without one. */
export type ReferencedCredential = 'Present' | 'Missing' | 'NotNeeded';

/** Everything that the status of a pool shows. */
export interface PoolFacts extends StatusFacts {
  readonly pool: IdentityPool;
  /** Pools, identities and client records have been read completely. */
  readonly synced: boolean;
  readonly issuerConfigured: boolean;
  /** Where it is not: a configured one that differs in one character, such as a slash at the end. */
  readonly nearIssuer?: string;
  /** `NotNeeded` also where the client was registered by hand. */
  readonly registrationCredential: ReferencedCredential;
  /** When it expires, where it says so itself (a JWT); how often it may still be used nobody can see. */
  readonly registrationExpires?: Instant;
  /** With `client.existing`: what its Secret holds. */
  readonly existing?: ExistingCredential;
  /** `rotation.every`. */
  readonly rotateEvery?: Milliseconds;
  /** The one that does not rotate and manages every client of the issuer. */
  readonly managementCredential: ReferencedCredential;
  readonly stop?: Stop;
  readonly guard: Guard;
  /** Clients of this pool are held back by the brake: its message. */
  readonly brake?: string;
  /** Every client that the spec asks for now, and every client record of the pool that is left. */
  readonly clients: readonly ClientView[];
  /** What has kept everybody, or one of its clients (`owner`: of many), from the tokens of its issuer for a while. */
  readonly outage?: {
    readonly reason: Reason;
    readonly message: string;
    readonly since: Instant;
    readonly owner?: string;
    /** The provider asked for a pause of more than a minute, until then. */
    readonly nextTry?: Instant;
  };
  /** As far as they are known. */
  readonly capabilities?: Pick<IdentityPoolStatusCapabilities, 'variants' | 'clientIdBy' | 'revocation'>;
  /** Provider's clock minus ours; absent: not seen yet. */
  readonly clockOffset?: Milliseconds;
}
