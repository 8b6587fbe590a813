import type { IdentityPool } from '../../api/v1alpha1/identity-pool.ts';
import type { Instant } from '../../clock.ts';
import type { Ask } from '../../domain/access/access.ts';
import type { Credential } from '../../domain/client/credential.ts';
import type { ProofUse } from '../../domain/client/machine.ts';
import type { ProofOutcome } from '../../domain/client/proofs.ts';
import type { Minted, RevocationOutcome } from '../../domain/token.ts';
import { checkMinted } from '../../domain/token-check.ts';
import { OperatorError } from '../../errors.ts';
import type { Redacted } from '../../redacted.ts';
import type { IdentityProvider, TokenSource } from '../../providers/port.ts';
import type { Effects } from '../../runtime/effect.ts';
import { deadlines } from '../deadlines.ts';
import { tokenRules } from '../token-rules.ts';
import type { EffectName } from '../effect-names.ts';

export interface Probe {
  readonly effects: Effects<EffectName>;
  readonly provider: IdentityProvider;
  readonly tokens: TokenSource;
  readonly ask: Ask;
  readonly clientId: string;
  readonly credential: Credential;
  readonly pool?: IdentityPool;
  readonly settles: ProofUse;
  /** That the client cannot be used shows that it is gone (`isRemovalBelieved`). */
  readonly isRemovalBelieved: boolean;
  /** Of no identity, or given before: a refusal of it says something about more than the ask. */
  readonly isKnownGood: boolean;
  /** A provider may hand out a token again that a session holds: such a one must not be revoked. */
  readonly inUse: (sha256: string) => boolean;
  /** Takes it upon itself to revoke this token, which is as it was asked for; `false`: it does not. */
  readonly defer: (token: Minted, exp: Instant) => boolean;
  /** The provider revoked a token of a proof. */
  readonly revoked: () => void;
  readonly now: () => Instant;
  readonly signal: AbortSignal;
}

/**
 * One real token request with this credential alone, judged, and its token revoked at once unless `defer` does it later. What is no outcome (an
 * outage, a rate limit) is thrown. A probe token that could not be revoked lives until it expires; nobody holds it.
 */
export async function prove(o: Probe): Promise<ProofOutcome> {
  const { effects, provider, tokens, ask, clientId, credential, pool, signal } = o;
  const started = o.now();
  let answer;
  try {
    answer = await effects.run(
      'client.Prove.call',
      { deadline: deadlines.tokenCall, signal, whose: 'Issuer' },
      (bounded) => tokens.mint(ask, clientId, credential, bounded),
    );
  } catch (error) {
    if (!(error instanceof OperatorError)) throw error;
    if (error.reason === 'CredentialRefused')
      return {
        is: 'CredentialRefused',
        message: error.message,
        ...(error.said === undefined ? {} : { said: error.said }),
      };
    if (error.reason === 'ClientUnusable' && o.settles === 'Retired' && o.isRemovalBelieved)
      return { is: 'CredentialRefused', message: error.message };
    const { reason, message } = error;
    if (isAboutTheAsk(error, o.settles)) return { is: 'AskRefused', reason, message, lasting: true };
    // Thrown, it would be asked for again and again, and the credential never be proven with what others ask for.
    if (reason === 'TokenRequestRefused' && !o.isKnownGood && o.settles !== 'Retired')
      return { is: 'Unclear', reason, message, lasting: true };
    throw error;
  }
  const verdict = checkMinted(ask, answer, tokenRules(ask, provider.capabilities, pool), started);
  const isLater = verdict.is === 'Usable' && o.defer(answer, verdict.exp);
  if (!isLater) await revokeAtOnce(o, answer);
  if (verdict.is === 'Usable') return { is: 'Accepted' };
  return { is: 'AskRefused', reason: verdict.reason, message: verdict.message, lasting: true };
}

/** The credential authenticates, and yet nothing usable comes. An unknown refusal says so only of a credential that worked before. */
function isAboutTheAsk({ reason }: OperatorError, settles: ProofUse): boolean {
  return (
    reason === 'ScopeRefused' || reason === 'TokenUnusable' || (reason === 'TokenRequestRefused' && settles === 'Ask')
  );
}

async function revokeAtOnce(o: Probe, { value, sha256 }: Minted): Promise<void> {
  const { clientId, credential } = o;
  try {
    const outcome = await revokeProof(o, { value, sha256, clientId, credential }, o.signal);
    if (outcome !== undefined && outcome !== 'NotSupported') o.revoked();
  } catch (error) {
    if (!(error instanceof OperatorError)) throw error;
  }
}

/** What it takes to revoke the token of a proof. */
export interface Revocable {
  readonly value: Redacted<string>;
  readonly sha256: string;
  readonly clientId: string;
  readonly credential: Credential;
}

/** Yields what the provider made of it; `undefined`: a session holds the same token, so it is left alone. */
export async function revokeProof(
  { effects, tokens, inUse }: Pick<Probe, 'effects' | 'tokens' | 'inUse'>,
  { value, sha256, clientId, credential }: Revocable,
  signal: AbortSignal,
): Promise<RevocationOutcome | undefined> {
  if (inUse(sha256)) return undefined;
  const options = { deadline: deadlines.tokenCall, signal, whose: 'Issuer' } as const;
  return effects.run('client.Prove.revoke', options, (bounded) => tokens.revoke(value, clientId, credential, bounded));
}
