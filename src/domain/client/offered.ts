/**
 * A secret that came with the answer to a change which asked for none (RFC 7592 §2.2 lets a provider replace it). It may be the one that works
 * from now on, or what the provider stores of the old one, a hash. Which of the two it is only a token request shows, so both are kept.
 */
import type { Instant } from '../../clock.ts';
import type { Redacted } from '../../redacted.ts';
import type { AnswerFacts } from './answers.ts';
import type { Credential } from './credential.ts';
import { generation } from './generations.ts';
import type { ProofUse } from './machine.ts';
import type { ClientRecord, Generation } from './record.ts';
import { checked, replaced, unrefused } from './transitions.ts';

type SecretCredential = Exclude<Credential, { readonly type: 'PrivateKeyJwt' }>;

/**
 * With the secret that the answer holds. `at`: when the call left that was answered. A credential that mints keeps its own; any other has
 * nothing to lose.
 */
export function withSecretOf(one: Generation, answer: AnswerFacts, at: Instant): Generation {
  const { credential } = one;
  if (credential.type === 'PrivateKeyJwt') return one;
  const secret = secretIn(answer, credential.secret);
  if (secret === undefined) return one;
  const isKnown = credential.secret?.reveal() === secret.reveal();
  const next = withExpiry(credential, answer, secret, isKnown);
  const hasToLose = one.state === 'Current' && credential.secret !== undefined && !isKnown;
  return hasToLose ? { ...one, offered: { credential: next, at } } : { ...one, credential: next };
}

/** Where an answer repeats the secret that we have, the expiry that we know stays: the port leaves out one that is past or about to come. */
function withExpiry(
  credential: SecretCredential,
  answer: AnswerFacts,
  secret: Redacted<string>,
  isKnown: boolean,
): SecretCredential {
  const expiresAt = answer.secretExpiresAt ?? (isKnown ? credential.expiresAt : undefined);
  const expiryIgnored = isKnown ? credential.expiryIgnored : answer.secretExpiryIgnored;
  return {
    type: credential.type,
    secret,
    ...(expiresAt === undefined ? {} : { expiresAt }),
    ...(expiryIgnored === undefined ? {} : { expiryIgnored }),
  };
}

/** Some repeat a secret that was given before with stars in its place, which no token request needs to show. */
function secretIn({ secret }: AnswerFacts, known: Redacted<string> | undefined): Redacted<string> | undefined {
  const isMasked = secret !== undefined && /^[*•x]+$|[*•]{3}/i.test(secret.reveal());
  return isMasked && known !== undefined ? undefined : secret;
}

/** What a proof of this generation authenticates with. */
export function provenWith({ credential, offered }: Generation, use: ProofUse): Credential {
  return use === 'Offered' && offered !== undefined ? offered.credential : credential;
}

/** It works, so it is the credential; nothing could be minted since the call left that it came with. */
export function takenOver(record: ClientRecord, n: number, now: Instant): ClientRecord {
  const offered = generation(record, n)?.offered;
  if (offered === undefined) return record;
  const next = replaced(record, n, (one) => {
    const { offered: _, ...rest } = unrefused(one);
    return { ...rest, credential: offered.credential };
  });
  return checked({ ...next, gap: now - offered.at });
}

/** It does not work, or not yet. */
export function offeredRefused(record: ClientRecord, n: number, now: Instant): ClientRecord {
  return replaced(record, n, (one) =>
    one.offered === undefined ? one : { ...one, offered: { ...one.offered, refusedAt: now } },
  );
}

/** What mints is refused now, so that the other one may be the one that works after all. */
export function toTryAgain({ offered }: Generation): Pick<Generation, 'offered'> {
  if (offered === undefined) return {};
  const { refusedAt: _, ...untried } = offered;
  return { offered: untried };
}
