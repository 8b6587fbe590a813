import type { Instant, Milliseconds } from '../clock.ts';
import type { Reason } from '../api/reasons.ts';
import type { Redacted } from '../redacted.ts';
import type { Ask } from './access/access.ts';

/** A token that a session was given. `sha256` is of the token's value and names it in records, audit and logs. */
export interface Token {
  readonly sha256: string;
  /** Absent once the token has an `end` and cannot be revoked at this provider (`ExpiryOnly`). */
  readonly value?: Redacted<string>;
  readonly ask: Ask;
  readonly minted: Instant;
  readonly exp: Instant;
  /** The credential generation that minted it: the same one revokes it. */
  readonly generation: number;
  /** The client id that minted it. */
  readonly clientId: string;
  /** Name of the client record that minted it, where that is not the one of the session record any more. */
  readonly client?: string;
  /** `Superseded`: a successor took over; `Forbidden`: no longer allowed. A token with an end never becomes usable again. */
  readonly end?: 'Superseded' | 'Forbidden';
  /** When it got its end. */
  readonly endedAt?: Instant;
  /** Why it is Forbidden; absent in records from before it was kept, and where another version of the operator has said it in a word of its own. */
  readonly endedFor?: Reason;
}

/** How long the token may be used: until it expires, or with `RevokeEarly` until the lifetime that was asked for is over. */
export function usableLife(token: Pick<Token, 'minted' | 'exp' | 'ask'>): Milliseconds {
  return Math.min(token.exp - token.minted, token.ask.maxLifetime);
}

/** `Confirmed`: nobody can use it any more. `Requested`: some may still accept it. `NotSupported`: the provider does not revoke such tokens. */
export type RevocationOutcome = 'Confirmed' | 'Requested' | 'NotSupported';

/** What a token says of itself, as resource servers will read it; what is not readable is left out (RFC 7519 §4.1). */
export interface JwtFacts {
  readonly exp?: Instant;
  readonly notBefore?: Instant;
  /** `iat`: the provider's clock when it signed, which some products date back. */
  readonly issuedAt?: Instant;
  /** What it carries; absent where it says nothing of it. */
  readonly scopes?: readonly string[];
  /** `iss`, where it is not whom the tokens of this provider name. */
  readonly foreignIssuer?: string;
  /** `cnf` (RFC 7800): only who holds a key may use it, whatever `token_type` says. */
  readonly isBound?: true;
}

/** What a token endpoint answered, parsed but not judged (RFC 6749 §5.1). */
export interface Minted {
  readonly value: Redacted<string>;
  readonly sha256: string;
  readonly tokenType: string;
  /** `expires_in` in seconds, if the answer had one. */
  readonly expiresIn?: number;
  /** All that the answer or the token itself names; absent where neither does: then the scope is as asked. */
  readonly scopes?: readonly string[];
  /** The answer or the token says something of the scope that is neither text nor a list of it: what it gives nobody knows. */
  readonly scopesUnreadable?: true;
  /** From the token itself where it is a JWT, empty if that names none; absent for opaque tokens. */
  readonly audiences?: readonly string[];
  /** Absent for opaque tokens. */
  readonly jwt?: JwtFacts;
  readonly subject?: string;
  /** The provider's clock at the answer, from its `Date` header. */
  readonly providerTime?: Instant;
}
