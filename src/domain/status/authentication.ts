import type { Instant } from '../../clock.ts';
import { type Diagnosis, diagnose } from '../client/authentication.ts';
import { currentOf, isAsAnswered, isGone } from '../client/generations.ts';
import type { Generation } from '../client/record.ts';
import { about, draft, type Draft } from './conditions.ts';
import type { ClientView, PoolFacts } from './pool-facts.ts';

const calls = {
  CredentialRefused: 'Token',
  RegistrationCredentialRefused: 'Register',
  RegistrationAccessTokenLost: 'Manage',
} as const;

/** Whether the provider accepts the credentials of the pool's clients; if not, the likely cause and the next step. */
export function authenticating(facts: PoolFacts, now: Instant): Draft {
  const subject = `IdentityPool ${facts.pool.metadata.name}`;
  for (const client of facts.clients) {
    const found = diagnosisOf(facts, client, now);
    if (found === undefined) continue;
    const owner = client.owner === undefined ? '' : ` for the client of ${client.owner}`;
    const message = `issuer ${facts.pool.spec.provider.issuer} does not let us in${owner}, and the likely cause is: ${found.why}. ${found.todo}.`;
    return draft('Authenticating', 'False', found.reason, about(subject, message));
  }
  return draft('Authenticating', 'True', 'Authenticated', about(subject, 'no credential of ours is refused.'));
}

/** `undefined`: nobody refuses a credential of this client. */
export function diagnosisOf(
  facts: PoolFacts,
  { record, failure, registersOnly }: ClientView,
  now: Instant,
): Diagnosis | undefined {
  const refused = record?.generations.find(isRefused);
  const call =
    (failure === undefined ? undefined : calls[failure.reason as keyof typeof calls]) ??
    (record?.managementLost === true ? 'Manage' : refused === undefined ? undefined : 'Token');
  if (call === undefined) return undefined;
  const generation = refused ?? currentOf(record);
  // Another failure may speak of an audience as well: of the one that a token was asked for.
  const failed = failure?.reason === 'CredentialRefused' ? failure.message : '';
  const observed = record === undefined || isAsAnswered(record) ? undefined : record.observed;
  return diagnose(
    {
      call: refused === undefined ? call : 'Token',
      said: refused?.refusedSaying ?? failed,
      ...(generation === undefined ? {} : { generation }),
      ...(observed === undefined ? {} : { observed }),
      ...(record !== undefined && isGone(record) ? { gone: true } : {}),
      ...(registersOnly === true ? { registersOnly } : {}),
      ...(facts.clockOffset === undefined ? {} : { clockOffset: facts.clockOffset }),
    },
    now,
  );
}

/** A credential that is being taken out is meant to be refused, and one that is given less is let in. */
function isRefused({ state, refusedAt, lacks }: Generation): boolean {
  return refusedAt !== undefined && lacks === undefined && (state === 'Current' || state === 'Created');
}
