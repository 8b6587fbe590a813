import type { Reason } from '../../api/reasons.ts';
import type { Instant, Milliseconds } from '../../clock.ts';
import type { Redacted } from '../../redacted.ts';
import type { Credential } from './credential.ts';

/** How a credential is replaced; chosen by what the provider can do (`variants.ts`). */
export type Variant = 'TwoKeys' | 'TwoSecrets' | 'NewClient' | 'InPlace' | 'External' | 'None';

export type GenerationState = 'Planned' | 'Created' | 'Current' | 'Draining' | 'Retiring';

/** One credential in its life `Planned → Created → Current → Draining → Retiring → dropped`. */
export interface Generation {
  /** 1, 2, 3 …; each token knows which generation minted it. */
  readonly n: number;
  readonly state: GenerationState;
  /** When it entered `state`. */
  readonly since: Instant;
  /** Of a Current whose client was no longer wanted: when it became that, so that it is as old as before where the client is wanted again. */
  readonly currentSince?: Instant;
  /** At the provider; known from the plan where we choose it. */
  readonly clientId?: string;
  /** What the provider made of our tag, where the answer to the registration of this client showed another one. */
  readonly tag?: string;
  readonly credential: Credential;
  /** What it was answered with while it minted: see `offered.ts`. */
  readonly offered?: Offered;
  readonly retireAfter?: Instant;
  /** Of its own client with variant `NewClient`, once another client's answer has taken the record's place. */
  readonly management?: OwnManagement;
  /** While Planned: a registration of it left whose answer never came, and a proof has not found it. It may still take effect. */
  readonly unheard?: boolean;
  /** When the token endpoint last refused this credential (`invalid_client`); absent as soon as it is accepted, or registered. */
  readonly refusedAt?: Instant;
  /** A proof some seconds after the first refusal was refused, too: one alone may be a mishap on the way, and replaces nothing. */
  readonly refusedAgain?: boolean;
  /** While Created, in a client of its own: what was given to the client before it and not to this one, in the words of the proof. */
  readonly lacks?: string;
  /** Likewise: hash of the ask that showed it; the same one has to show that it is given now. */
  readonly lacksAsk?: string;
  /** What it said then, cleaned, in at most 200 characters; absent where it said nothing. */
  readonly refusedSaying?: string;
  /** With variant `InPlace`: when the call left that replaced the secret before it; the old one may be dead from then on. */
  readonly replacedAt?: Instant;
  /** While Retiring: when the provider said that it no longer lists the credential (or the client); not proven yet. */
  readonly removedAt?: Instant;
  /** With `removedAt`: it only answered that there is no such client, which something that stands before it may have done. */
  readonly saidGone?: boolean;
  /** While Retiring: how often the provider said that it was removed, and it was there or accepted afterwards. */
  readonly stillThere?: number;
  /**
   * Of a client that an administrator registered by hand: digest of the Secret's content that this credential is a copy of. Such a client is
   * never changed and never deleted.
   */
  readonly source?: string;
  /** Somebody else took the client of this credential over; another one has taken its place here, or it is on its way out. */
  readonly foreign?: boolean;
  /** While Retiring: when it was last looked at whose its client is, of one that is not the newest. */
  readonly lookedAt?: Instant;
  /** When an administrator's credential expires, where he says so. */
  readonly expiresAt?: Instant;
}

/** Another secret for the same client, which nobody asked for and nothing has shown to work. */
export interface Offered {
  readonly credential: Credential;
  /** When the call left that was answered with it. */
  readonly at: Instant;
  /** When the token endpoint last refused it; absent: it is to be tried. */
  readonly refusedAt?: Instant;
}

export interface OwnManagement {
  /** Absent: it never arrived. */
  readonly token?: Redacted<string>;
  readonly uri: string;
  /** The provider refuses it, or it never arrived: removing that client waits, and nothing else does. */
  readonly lost?: boolean;
}

/** What one real token request showed. Kept per ask hash, not per identity. */
export interface Proof {
  readonly outcome: 'Accepted' | 'Refused';
  readonly at: Instant;
  readonly generation: number;
  /** Why it was refused: the sentence for status. */
  readonly message?: string;
  /** Why, in a word; absent in records of older versions: `ScopeRefused`. */
  readonly reason?: Reason;
  /** `false`: trying again makes sense. It is tried again all the same when the ask or the client has changed, and every few minutes. */
  readonly lasting?: boolean;
}

/** What the provider says about the client (RFC 7592 §2.1). */
export interface ClientObservation {
  readonly is: 'Present' | 'Gone' | 'Unknowable';
  readonly at: Instant;
  /** Members that differ from what is desired; empty: none. */
  readonly drift: readonly string[];
  /** In one of them the client may do more than is desired; absent: in none. */
  readonly excess?: boolean;
  /** Of these members and what they are there; absent where nothing differs. */
  readonly driftDigest?: string;
  /** `software_id` at the provider. */
  readonly tag?: string;
  /** The generation in `client_name` at the provider. */
  readonly generation?: number;
}

/** The write-ahead note of a call that changes something at the provider. Open for at most one call. */
export interface Intent {
  readonly call: 'Register' | 'Update' | 'Deregister';
  readonly generation: number;
  readonly at: Instant;
  /** When it was made for the first time, where nobody heard what became of it and it was made again. */
  readonly firstAt?: Instant;
  /** When the provider answered a Register that the id which we chose is taken; whose client that is a proof has to show. */
  readonly takenAt?: Instant;
  /** What the provider answered to it, where that was nothing that can be used. */
  readonly unusable?: string;
}

/** The durable truth about one OAuth client. */
export interface ClientRecord {
  readonly formatVersion: 1;
  readonly epoch: number;
  /** Whose client it is, also written into the client's metadata at the provider. */
  readonly tag: { readonly installation: string; readonly owner: string };
  readonly issuer: string;
  readonly pool: { readonly name: string; readonly uid: string };
  readonly namespace?: string;
  readonly identity?: { readonly name: string; readonly uid: string };
  readonly variant: Variant;
  /** Oldest first. */
  readonly generations: readonly Generation[];
  /** Registration access token and its URI (RFC 7592 §3); one per client, replaced by whatever an answer holds. */
  readonly management?: { readonly token: Redacted<string>; readonly uri: string };
  /** `management` was refused after a lost answer: rotation and deletion wait, minting goes on. */
  readonly managementLost?: boolean;
  readonly intent?: Intent;
  readonly observed?: ClientObservation;
  /** By ask hash; at most 256. */
  readonly proofs: Readonly<Record<string, Proof>>;
  /** Requests (`rotation.request`, `revokeRequest`) that were carried out, each as its `requestMark`; the last few. */
  readonly handled: readonly string[];
  /** Tokens minted before this are no longer allowed. */
  readonly revokeBefore?: Instant;
  /** Registrations whose outcome was never learnt where the provider chooses the client id. */
  readonly possibleOrphans?: number;
  /** How many of them a person has said to have dealt with. */
  readonly acknowledgedOrphans?: number;
  /** When the provider last answered a Register or Update. */
  readonly updatedAt?: Instant;
  /** The last Update was sent to a client that differed. A look has to show whether that helped. */
  readonly repairing?: boolean;
  /** `driftDigest` of that look: what the provider makes of the client by itself, whatever is sent. */
  readonly ownDrift?: string;
  /** When it got nothing of what it was registered for, so that it is sent once more; absent again once it gets something. */
  readonly nothingGiven?: Instant;
  /** Digest of the client metadata that was sent then (see `metadataDigest`). */
  readonly sent?: string;
  /** The scopes of the ceiling that were sent then, of a client with a secret; absent in records of older versions. */
  readonly sentScopes?: readonly string[];
  /** The carrier scopes that were sent then; absent in records of older versions, for which a look tells. */
  readonly sentCarriers?: readonly string[];
  /** The highest generation that was ever planned; numbers are never used twice, also not after a rollback. */
  readonly highest?: number;
  /** New credentials in a row that never came to work, and when the last one was given up. */
  readonly rollbacks?: {
    readonly count: number;
    readonly at: Instant;
    /** Of an administrator's credential: the content that was refused, so that another one is tried at once. */
    readonly source?: string;
    /** The client that it was refused for; absent in records from before it was kept. */
    readonly clientId?: string;
    /** It authenticated: what the old one is given and it was not. */
    readonly lacked?: string;
    /** It could not be registered: what the provider answered to that. */
    readonly unusable?: string;
    /** With `InPlace`: when the first of them took the place of the old one, so that nothing works since then. */
    readonly replacedAt?: Instant;
  };
  /** The generation that an emergency rotation brings: it goes on while stopped, and becoming Current it sets `revokeBefore`. */
  readonly emergency?: number;
  /** The request to revoke (with `emergency`: to rotate first) that is being carried out, until nothing that it is about is left. */
  readonly revoking?: {
    readonly id: string;
    readonly since: Instant;
    /** An old credential was left as it was at the provider since then: whose its client is. */
    readonly left?: 'External' | 'Foreign';
  };
  /**
   * How long nothing could be minted when the provider last replaced the secret in place, asked or not: from the call until the new one was
   * proven.
   */
  readonly gap?: Milliseconds;
  /** `deletionPolicy: Retain` as last seen: it holds also for a pool that vanishes without a goodbye. */
  readonly retain?: boolean;
  /** Digest of the management token that a person handed in last, so that the same one is taken once only. */
  readonly handedIn?: string;
  /** The last `retryRequest`, and when it was seen: no refusal from before that is waited out. */
  readonly retried?: { readonly id: string; readonly at: Instant };
}
