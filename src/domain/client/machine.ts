import type { Instant, Milliseconds } from '../../clock.ts';
import type { Known } from '../../decision.ts';
import type { Ask, Stop } from '../access/access.ts';
import type { Failure } from '../failure.ts';
import type { Redacted } from '../../redacted.ts';
import type { AuthenticationMethod, Credential } from './credential.ts';
import type { ClientRecord, Variant } from './record.ts';
import type { ClientRequest } from './requests.ts';
import type { WindowState } from './window.ts';

/** What the pool (and, with `client.per`, the namespace or identity) wants of one client. */
export interface Desired {
  readonly issuer: string;
  readonly pool: { readonly name: string; readonly uid: string };
  readonly namespace?: string;
  readonly identity?: { readonly name: string; readonly uid: string };
  /** UID of the object that owns the client: pool, or identity with `per: Identity`. */
  readonly owner: string;
  readonly installation: string;
  /** The deterministic id for providers that let us choose. */
  readonly clientId: string;
  /** The client that an administrator registered by hand, instead of one of our own. */
  readonly existing?: { readonly clientId: string };
  /** The client's name at the provider without the generation. */
  readonly name: string;
  readonly authentication: AuthenticationMethod;
  readonly scopes: readonly string[];
  readonly audiences: readonly string[];
  /** Scopes of the provider that carry these audiences, sorted: `audience.by: Scope`. A client is allowed them besides `scopes`. */
  readonly carriers: readonly string[];
  readonly maxTokenLifetime: Milliseconds;
  readonly rotateEvery: Milliseconds;
  readonly overlap: Milliseconds;
  readonly allowSubjectChange: boolean;
  readonly deletionPolicy: 'Delete' | 'Retain';
  /** Every request that is on the objects now, done or not: as long as it stands there its being done is remembered. */
  readonly asked?: readonly ClientRequest[];
  /** The next of them that is to be carried out, if any is. */
  readonly rotateRequest?: string;
  readonly revokeRequest?: string;
}

/** What the Secret with the credential of an existing client holds now. `Unknown`: not read yet; `message`: why it cannot be. */
export type ExistingCredential =
  | {
      readonly is: 'Usable';
      readonly credential: Credential;
      /** Digest of the content, for telling another one. */
      readonly source: string;
      readonly expiresAt?: Instant;
    }
  | {
      readonly is: 'Unusable';
      readonly reason: 'CredentialMissing' | 'CredentialMalformed' | 'ClientClaimed';
      readonly message: string;
    }
  | { readonly is: 'Unknown'; readonly message?: string };

/** What decisions need of a provider's capabilities. */
export interface ClientCapabilities {
  readonly variants: readonly Variant[];
  readonly clientIdBy: 'Us' | 'Provider';
  /** Clients are neither changed nor deleted there once they are registered. */
  readonly registersOnly?: true;
  readonly credentialPropagation: Milliseconds;
}

/** Everything that the client table may see. Frozen, from memory, without a secret value in the open. */
export interface ClientSnapshot {
  /** `Gone`: pool (or identity) deleted, or `deletionTimestamp` set. */
  readonly wanted: Known<Desired>;
  readonly stop?: Stop;
  readonly record?: ClientRecord;
  /** The stored record has a newer `formatVersion` than this program knows. */
  readonly newerFormat?: boolean;
  /** The stored record cannot be read: what is in it exists nowhere else, so it is not overwritten. */
  readonly invalid?: boolean;
  /** Somebody deleted the stored record or made it unreadable: `record` is as it was before. */
  readonly damaged?: boolean;
  /** The store of records is complete. */
  readonly synced: boolean;
  readonly issuerConfigured: boolean;
  /** Distinct asks of the identities that use this client and that are granted now, by hash. */
  readonly asks: readonly { readonly hash: string; readonly ask: Ask }[];
  /** A client of a namespace or identity to which no policy gives anything: none is made for it. */
  readonly unasked?: boolean;
  /** The latest `exp` per generation of tokens that are unexpired and unrevoked. */
  readonly lastExp: ReadonlyMap<number, Instant>;
  /** How many unexpired tokens are still recorded for this client. */
  readonly liveTokens: number;
  /** How many of them were minted before the record's `revokeBefore`. */
  readonly revokedTokens?: number;
  /** When the youngest of them was minted, by the clock of whoever led then. */
  readonly youngest?: Instant;
  readonly capabilities?: ClientCapabilities;
  /** Algorithm of a key that is made now (RFC 7518 §3.1); absent: the provider's metadata is not known yet, or names none. */
  readonly keyAlgorithm?: string;
  /** Controller, API server and provider agree on the time. */
  readonly clockAgrees: boolean;
  readonly failure?: Failure<ClientRowName>;
  /** Nobody has got a token from its issuer for a while. */
  readonly outage?: boolean;
  /** It gets none, and has not for a while, whatever others get. */
  readonly failing?: boolean;
  /** The brake holds back deregistration. */
  readonly brake?: boolean;
  /** So many clients of its namespace are held back by the brake that no more are made for it. */
  readonly piledUp?: boolean;
  /** `leaseTransitions` of our lease; a record with a higher one belongs to another leader. */
  readonly epoch?: number;
  /** `deletionPolicy: Retain` of the pool, as long as it is there. */
  readonly retain?: boolean;
  /** The annotation `ci-identity.dev/retry` of the pool, also while it goes: what was refused before somebody wrote this value is tried again at once. */
  readonly retryRequest?: string;
  /** A management credential that does not rotate is configured, so a lost registration access token stops nothing. */
  readonly managementFallback?: boolean;
  /** With `client.existing` only. */
  readonly existing?: ExistingCredential;
  /** A registration access token that a person put where the message of the pool says. */
  readonly handedIn?: { readonly token: Redacted<string>; readonly digest: string };
  /** `rotation.window` as it stands now; absent: there is none, and any time will do. */
  readonly window?: WindowState;
  /** It mints only until the client works that the pool asks for instead (`client.per`), so nothing new is begun for it. */
  readonly leaving?: boolean;
  /** Somebody said that what registrations without an answer may have left at the provider is dealt with. */
  readonly orphansAcknowledged?: boolean;
  /** In [-1, 1], fixed per client: spreads rotations and drift checks. */
  readonly jitter?: number;
}

/** The rows of the client table. A failure is told by the row that failed, and other rows look for it. */
export type ClientRowName =
  | 'lost-lease'
  | 'unknown'
  | 'damaged'
  | 'clock-set-back'
  | 'revocation'
  | 'restored'
  | 'handed-in'
  | 'retry'
  | 'open-intent'
  | 'answer-too-late'
  | 'unwanted'
  | 'emergency'
  | 'stopped'
  | 'first'
  | 'wanted-again'
  | 'replaced'
  | 'asked'
  | 'expiring-soon'
  | 'due'
  | 'expiring'
  | 'method-changed'
  | 'again'
  | 'refused'
  | 'abandoned'
  | 'offered'
  | 'create'
  | 'verify'
  | 'not-accepted'
  | 'drained'
  | 'retire'
  | 'noted'
  | 'acknowledged'
  | 'nothing-given'
  | 'stale'
  | 'proof'
  | 'outage'
  | 'settled';

/** One effect each. */
export type ClientAction =
  /** Makes the credential of generation `generation` and stores it `Planned`: one compare-and-set, no outside call. */
  | {
      readonly type: 'Plan';
      readonly generation: number;
      readonly variant: Variant;
      readonly handles: readonly string[];
    }
  /** `plan`: the credential is made first, and stored by the write that notes the call. */
  | {
      readonly type: 'Register';
      readonly generation: number;
      readonly orphanPossible?: boolean;
      readonly plan?: { readonly variant: Variant; readonly handles: readonly string[] };
    }
  | { readonly type: 'Update'; readonly generation: number; readonly without?: number }
  | { readonly type: 'Deregister'; readonly generation: number }
  /** A real token request with this generation's credential alone; the outcome goes to the record by `settles`. `hash` is empty for an ask of nobody. */
  | {
      readonly type: 'Prove';
      readonly generation: number;
      readonly hash: string;
      readonly ask: Ask;
      readonly settles: ProofUse;
    }
  /** `generation`: looks at its client only to see whose it is, before that is deleted. Otherwise at the newest client, and at all of it. */
  | { readonly type: 'Observe'; readonly generation?: number }
  /** Record-only change: what to write; `undefined` deletes the record. */
  | { readonly type: 'Record'; readonly next: ClientRecord | undefined };

/**
 * What a proof decides: `OpenIntent` – whether a lost register answer took effect; `Verify` – whether a created credential works;
 * `Ask` – whether the provider really gives an ask (the outcome goes into `proofs`); `WantedAgain` – whether a credential whose removal had begun still
 * works; `Retired` – whether an old credential is refused; `Offered` – whether the secret works that came unasked.
 */
export type ProofUse = 'OpenIntent' | 'Verify' | 'Ask' | 'WantedAgain' | 'Retired' | 'Offered';
