import type { IdentityPool } from '../api/v1alpha1/identity-pool.ts';
import { type Instant, second } from '../clock.ts';
import type { Ask } from '../domain/access/access.ts';
import type { Credential } from '../domain/client/credential.ts';
import type { ProofOutcome } from '../domain/client/proofs.ts';
import { maxTokenLifetime } from '../domain/client/target.ts';
import { checkMinted } from '../domain/token.ts';
import { OperatorError } from '../errors.ts';
import type { IdentityProvider, TokenSource } from '../providers/port.ts';
import type { Effects } from '../runtime/effect.ts';

const tokenDeadline = 20 * second;

/**
 * One real token request with this credential alone, judged, and its token revoked at once. What is no outcome (an outage, a rate limit) is
 * thrown. A probe token that could not be revoked lives until it expires; nobody holds it.
 */
export async function prove(o: {
  readonly effects: Effects;
  readonly provider: IdentityProvider;
  readonly tokens: TokenSource;
  readonly ask: Ask;
  readonly clientId: string;
  readonly credential: Credential;
  readonly pool?: IdentityPool;
  readonly now: () => Instant;
  readonly signal: AbortSignal;
}): Promise<ProofOutcome> {
  const { effects, provider, tokens, ask, clientId, credential, pool, signal } = o;
  const started = o.now();
  let answer;
  try {
    answer = await effects.run('client.Prove.call', { deadline: tokenDeadline, signal, whose: 'Issuer' }, (bounded) =>
      tokens.mint(ask, clientId, credential, bounded),
    );
  } catch (error) {
    if (!(error instanceof OperatorError)) throw error;
    if (error.reason === 'CredentialRefused') return { is: 'CredentialRefused', message: error.message };
    if (error.reason === 'ScopeRefused') return { is: 'AskRefused', message: error.message, lasting: true };
    throw error;
  }
  const { ignoredScopes, carrierScopes } = provider.capabilities;
  const verdict = checkMinted(
    ask,
    answer,
    {
      ignoredScopes,
      carrierScopes,
      maxLifetime: pool === undefined ? ask.maxLifetime : maxTokenLifetime(pool),
      onExceed: pool?.spec.ceiling.onExceed ?? 'Refuse',
    },
    started,
  );
  await effects
    .run('client.Prove.revoke', { deadline: tokenDeadline, signal }, (bounded) =>
      tokens.revoke(answer.value, clientId, credential, bounded),
    )
    .catch((error: unknown) => {
      if (!(error instanceof OperatorError)) throw error;
    });
  return verdict.is === 'Usable' ? { is: 'Accepted' } : { is: 'AskRefused', message: verdict.message, lasting: true };
}
