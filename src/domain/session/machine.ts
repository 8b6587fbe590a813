import type { Reason } from '../../api/reasons.ts';
import type { Instant, Milliseconds } from '../../clock.ts';
import type { Known } from '../../decision.ts';
import type { Access, Ask, Guard, Stop } from '../access/access.ts';
import type { Failure } from '../failure.ts';
import type { RevocationOutcome } from '../token.ts';
import type { SessionRecord } from './record.ts';

/** The trimmed pod: what is kept in memory of an agent pod. Never its environment: JENKINS_SECRET is in there. */
export interface PodFacts {
  readonly namespace: string;
  readonly name: string;
  readonly uid: string;
  readonly resourceVersion: string;
  readonly created: Instant;
  readonly deleting: boolean;
  readonly phase: string;
  readonly node?: string;
  /** `ci-identity.dev/requester`, written by admission. */
  readonly requester?: string;
  /** Identity name → claimed uid of the CiIdentity. */
  readonly claims: Readonly<Record<string, string>>;
  /** Identities whose delivery volume the pod has, under the right name and Secret. */
  readonly volumes: readonly string[];
  readonly labels: Readonly<Record<string, string>>;
  /** Its regular containers; none for a mirror pod, which no identity is given to. */
  readonly containers: readonly string[];
  /** It is on a node that could not mount its volumes yet: since when. */
  readonly unmountedSince?: Instant;
  /** The annotation `runUrl` of the Jenkins plugin: claimed, not proven, grants nothing. */
  readonly claimedRunUrl?: string;
  /** W3C trace context from the annotation `ci-identity.dev/traceparent`: claimed as well. */
  readonly claimedTraceparent?: string;
}

/** What a session needs to know of the client that mints for it. */
export interface ClientFacts {
  /** Name of the client record. */
  readonly name: string;
  readonly issuer: string;
  /** The generation that mints now; absent: none works yet. */
  readonly current?: { readonly generation: number; readonly clientId: string };
  /** Why there is none, as a sentence. */
  readonly message?: string;
  /** `true`: waiting will not help, somebody must act. */
  readonly lasting?: boolean;
  readonly revocation: 'Immediate' | 'IntrospectionOnly' | 'ExpiryOnly';
  readonly revokeBefore?: Instant;
  /** The provider refuses this very ask for good, or gives something else: what the proof says. */
  readonly refusal?: { readonly reason: Reason; readonly message: string };
  /** What keeps everybody from this issuer's tokens. */
  readonly outage?: { readonly reason: Reason; readonly message: string };
  /** Nothing can be revoked at this issuer, and could not for a while. */
  readonly revocationsPaused?: boolean;
}

export interface Delivered {
  /** Digest of the Secret data that was written last by this process. */
  readonly digest: string;
  readonly content: 'Token' | 'Error' | 'Empty';
  readonly at: Instant;
  /** How often the very same was written again, because the pod seems to miss it. */
  readonly again?: number;
  /** With content `Error`: what it says, so that a changed reason is written and an equal one is not. */
  readonly error?: DeliveredError;
}

/** Everything that the session table may see. */
export interface SessionSnapshot {
  readonly pod: Known<PodFacts>;
  /** The identity's name: second half of the key, known even when the object is gone. */
  readonly identityName: string;
  readonly identity: Known<{ readonly uid: string; readonly generation: number }>;
  /** The pool that the identity names; without an identity the one of the record. */
  readonly pool?: { readonly name: string; readonly generation: number };
  /** That pool goes with its whole kind, while the session holds a token. */
  readonly poolVanishes?: boolean;
  /** `Leaving`: terminating or without the label. */
  readonly namespace: Known<'Active' | 'Leaving'>;
  readonly guard: Guard;
  /** The creator holds `use` (SubjectAccessReview, cached for a minute). `Unknown`: not asked yet, which does not stop a Mint. */
  readonly mayUse: Known<boolean>;
  readonly access: Known<Access>;
  readonly stop?: Stop;
  /** Without a usable token: the limit of the identity that this session would break with one, as a sentence. */
  readonly limit?: string;
  readonly record?: SessionRecord;
  /** By SHA-256: what the provider answered when it was asked to revoke. The record may not say so yet. */
  readonly answered?: ReadonlyMap<string, RevocationOutcome>;
  readonly newerFormat?: boolean;
  /** There is a record Secret, and nobody knows what it said. */
  readonly invalid?: boolean;
  /** Somebody deleted or overwrote the Secret of this record. */
  readonly damaged?: boolean;
  readonly synced: boolean;
  /** `leaseTransitions` of our lease; a record with a higher one belongs to another leader. */
  readonly epoch?: number;
  /** When this process saw the pod first: after a take-over a Mint is tried before an old pod is told that it waits too long. */
  readonly seenSince?: Instant;
  /** Our clock is not that of the API server or the provider, so that what has expired by it may be alive. */
  readonly clocksDisagree?: boolean;
  /** The brake holds back ends that come only from a vanished kind or namespace. */
  readonly brake?: boolean;
  /** What this process wrote last into the delivery Secret; absent after a take-over. */
  readonly delivered?: Delivered;
  /** Digest of `render(record)` for content Token, so that rows compare without opening a secret. */
  readonly wantedDigest?: string;
  readonly client: Known<ClientFacts>;
  /** By client that minted a token of this session: what it minted before this moment shall be revoked. */
  readonly revokedBefore?: ReadonlyMap<string, Instant>;
  /** Likewise: the first generation whose tokens may stay. */
  readonly firstHonoured?: ReadonlyMap<string, number>;
  /** Clients that minted a token of this session for another pool than the identity names by now, and that pool is stopped. */
  readonly stoppedClients?: ReadonlySet<string>;
  /** The usable token must go: until when it may wait for its successor. */
  readonly successorUntil?: Instant;
  /** The Mint of that successor has failed before. */
  readonly successorFailed?: boolean;
  readonly nodeLost: boolean;
  readonly failure?: Failure<SessionRowName>;
  readonly deliveryLag: Milliseconds;
  readonly maxSessionAge: Milliseconds;
  /** In [-1, 1], fixed per session: spreads renewals. */
  readonly jitter: number;
}

/** The rows of the session table. A failure is told by the row that failed, and other rows look for it. */
export type SessionRowName =
  | 'lost-lease'
  | 'damaged'
  | 'unreadable'
  | 'expired'
  | 'unknown'
  | 'recalled'
  | 'clean'
  | 'over'
  | 'revoke'
  | 'revoked'
  | 'stopped'
  | 'guard'
  | 'untrusted'
  | 'waiting'
  | 'undelivered'
  | 'limited'
  | 'full'
  | 'first'
  | 'withdrawn'
  | 'narrowed'
  | 'due'
  | 'settled';

/** One effect each. `tokens` are SHA-256 names. */
export type SessionAction =
  | {
      readonly type: 'Mint';
      readonly ask: Ask;
      readonly hash: string;
      readonly predecessor: 'Superseded' | 'Forbidden';
    }
  /** `again`: the delivery of that moment seems to have got lost. */
  | { readonly type: 'Deliver'; readonly content: 'Token'; readonly again?: Instant }
  | { readonly type: 'Deliver'; readonly content: 'Error'; readonly error: DeliveredError; readonly again?: Instant }
  | { readonly type: 'Deliver'; readonly content: 'Empty' }
  /** Record-only: these tokens are no longer allowed. */
  | { readonly type: 'Forbid'; readonly tokens: readonly string[] }
  /** RFC 7009 call for one token. */
  | { readonly type: 'Revoke'; readonly token: string }
  /** Record-only: what was answered about these tokens. The record goes with its last token. */
  | { readonly type: 'Conclude'; readonly tokens: readonly string[] }
  /** Record-only: somebody damaged its Secret, and it is written again as it is. */
  | { readonly type: 'Restore' }
  /** Record-only: expired tokens leave; the record goes with its last token. */
  | { readonly type: 'Drop'; readonly tokens: readonly string[] };

/** What `error.json` says. */
export interface DeliveredError {
  readonly reason: Reason;
  readonly message: string;
  readonly fix: string;
}
