import type { CiIdentity } from '../../api/v1alpha1/ci-identity.ts';
import type { Milliseconds } from '../../clock.ts';
import type { Known } from '../../decision.ts';
import type { Access, Guard, Stop } from '../access/access.ts';
import type { StatusFacts } from './decision.ts';
import type { ClientFailure, ClientView } from './pool-facts.ts';

/** Somebody who may create pods with identities in several namespaces. */
export interface SharedCreator {
  readonly creator: string;
  /** At least two, this identity's among them. */
  readonly namespaces: readonly string[];
}

/** Everything that the status of an identity shows. */
export interface IdentityFacts extends StatusFacts {
  readonly identity: CiIdentity;
  readonly access: Known<Access>;
  readonly stop?: Stop;
  readonly guard: Guard;
  /** Its namespace carries the label because of which pods there are given identities. */
  readonly optedIn: boolean;
  /** The client that mints for it. */
  readonly client: Known<ClientView>;
  /** The provider's tokens live this long, which is hardly longer than their delivery takes. */
  readonly shortLifetime?: Milliseconds;
  /** Pods that hold a token now. */
  readonly sessions: number;
  readonly sharedCreators: readonly SharedCreator[];
  /** What keeps tokens from every pod of this identity; not what is wrong with one pod. */
  readonly failure?: ClientFailure;
}
