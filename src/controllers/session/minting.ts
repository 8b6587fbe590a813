import type { Reason } from '../../api/reasons.ts';
import { toRfc3339 } from '../../clock.ts';
import type { Credential } from '../../domain/client/credential.ts';
import { usableToken } from '../../domain/session/facts.ts';
import type { ClientFacts, SessionAction, SessionSnapshot } from '../../domain/session/machine.ts';
import type { SessionFacts } from '../../domain/session/transitions.ts';
import type { RevocationOutcome, Token } from '../../domain/token.ts';
import { OperatorError } from '../../errors.ts';
import type { IdentityProvider, TokenSource } from '../../providers/port.ts';
import type { AuditFacts } from '../../telemetry/audit.ts';

/** What the provider answered about a token that nobody gets; `Failed`: nothing. */
export type Fate = RevocationOutcome | 'Failed';

const fates: Readonly<Record<Fate, string>> = {
  Confirmed: 'the token was revoked',
  Requested: 'the token was revoked, and some may accept it until it expires',
  NotSupported: 'the provider does not revoke such tokens: it lives until it expires, and nobody has it',
  Failed: 'the token could not be revoked: it lives until it expires, and nobody has it',
};

/** Everything that one Mint works with; gathered before the first call leaves. */
export interface Minting {
  readonly key: string;
  readonly s: SessionSnapshot;
  readonly action: Extract<SessionAction, { readonly type: 'Mint' }>;
  readonly client: ClientFacts & { readonly current: NonNullable<ClientFacts['current']> };
  readonly credential: Credential;
  readonly provider: IdentityProvider;
  readonly tokens: TokenSource;
  readonly facts: SessionFacts;
}

/** What every audit line about a token says of what was asked for, of whom, and by which rules. */
export function subjectMatter({ action, client, facts, s }: Minting): Partial<AuditFacts> {
  const granted = s.access.is === 'Seen' && s.access.value.is === 'Granted' ? s.access.value.by : [];
  // A rule that gives 64 scopes at 64 audiences is named once.
  const by = [...new Map(granted.map((one) => [`${one.by.policy} ${one.by.rule}`, one.by])).values()];
  return {
    scopes: action.ask.scopes,
    audiences: action.ask.audiences,
    generation: client.current.generation,
    client: client.name,
    client_id: client.current.clientId,
    pool: facts.pool.name,
    issuer: facts.issuer,
    by,
  };
}

/** The line about a token that came as it was asked for. */
export function issued(minting: Minting, { exp, sha256 }: Token, reason: Reason): AuditFacts {
  const what = { outcome: 'Success', reason, expires_at: toRfc3339(exp), token_sha256: sha256 } as const;
  return { event: eventOf(minting), ...what, ...subjectMatter(minting) };
}

/** The line about a token that did not come. */
export function failed(minting: Minting, error: unknown): AuditFacts {
  return { event: 'Failed', outcome: 'Failure', ...causeOf(error), ...subjectMatter(minting) };
}

/** The line about a token that nobody gets. `fate`: what became of it; absent where there was nothing to revoke. */
export function discarded(minting: Minting, error: unknown, sha256: string, fate?: Fate): AuditFacts {
  const { reason, message } = causeOf(error);
  const told = fate === undefined ? message : `${message}; ${fates[fate]}`;
  return {
    event: 'Discarded',
    outcome: 'Failure',
    reason,
    message: told,
    token_sha256: sha256,
    ...subjectMatter(minting),
  };
}

function causeOf(error: unknown): { readonly reason: Reason; readonly message: string } {
  if (!(error instanceof OperatorError)) return { reason: 'InternalError', message: 'a bug; the log has the details' };
  const { reason, message } = error;
  return { reason, message };
}

/** What the new token is to its session. */
function eventOf({ s, action }: Minting): 'Minted' | 'Renewed' | 'Narrowed' {
  if (usableToken(s) === undefined) return 'Minted';
  return action.predecessor === 'Forbidden' ? 'Narrowed' : 'Renewed';
}

/** Refused for what was asked, not for who asked: the next pod will hear the same. */
export function concernsTheAsk(error: unknown): boolean {
  const isRefusal = error instanceof OperatorError && error.class === 'Terminal' && error.whose === 'Object';
  return isRefusal && error.reason !== 'CredentialRefused';
}
