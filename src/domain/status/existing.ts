/** What the pool says of a client that an administrator registered by hand. */
import { formatDuration, type Instant, toRfc3339 } from '../../clock.ts';
import { isExternal, remindAt, wasRefused } from '../client/existing.ts';
import { currentOf } from '../client/generations.ts';
import type { Generation } from '../client/record.ts';
import { draft, type Draft } from './conditions.ts';
import { say } from './clients.ts';
import type { PoolFacts } from './pool-facts.ts';

/** Replaces what is said of clients that the operator registers; `undefined`: nothing special. */
export function existingRegistered(facts: PoolFacts): Draft | undefined {
  const { existing, pool } = facts;
  if (existing === undefined) return undefined;
  const { clientId = '' } = pool.spec.client?.existing ?? {};
  if (existing.is === 'Unusable' && existing.reason === 'ClientClaimed') {
    return draft('Registered', 'False', 'ClientClaimed', say(facts, existing.message));
  }
  const why = `client ${clientId} is an administrator's: it is used as it is, never changed and never deleted.`;
  return draft('Registered', 'True', 'Registered', say(facts, why));
}

/** The credential of an existing client; `undefined`: what is said of every client fits. */
export function existingCredential(facts: PoolFacts, now: Instant): Draft | undefined {
  if (facts.existing === undefined) return undefined;
  const [client] = facts.clients.filter(({ wanted }) => wanted);
  const current = currentOf(client?.record);
  const { existing, pool } = facts;
  const clientId = pool.spec.client?.existing?.clientId;
  const refused = existing.is === 'Usable' && wasRefused(client?.record?.rollbacks, existing.source, clientId);
  return current === undefined || !isExternal(current)
    ? waitingFor(facts, current, refused)
    : minting(facts, current, refused, now);
}

/** No credential of the client works yet; until one does, an own client that was there before mints on. */
function waitingFor(facts: PoolFacts, before: Generation | undefined, refused: boolean): Draft | undefined {
  const { existing } = facts;
  const status = before === undefined ? 'False' : 'True';
  if (existing?.is === 'Unusable')
    return draft('CredentialCurrent', status, existing.reason, say(facts, existing.message));
  if (existing?.is === 'Unknown' && existing.message !== undefined && before === undefined)
    return draft('CredentialCurrent', status, 'CredentialUnverified', say(facts, existing.message));
  if (!refused) return undefined;
  const why = `the provider refuses the credential in ${placeOf(facts)}. Store the one that the provider knows for this client`;
  return draft('CredentialCurrent', status, 'CredentialRefused', say(facts, `${why}.`));
}

function minting(facts: PoolFacts, current: Generation, refused: boolean, now: Instant): Draft | undefined {
  const { existing, pool } = facts;
  const place = placeOf(facts);
  if (current.refusedAt !== undefined) {
    const why = `the provider refuses the credential, so nothing is minted. Store a new one in ${place}; it is tried within a minute`;
    return draft('CredentialCurrent', 'False', 'CredentialRefused', say(facts, `${why}.`));
  }
  if (existing?.is === 'Unusable') {
    const why = `${sentence(existing.message)} Until then the credential that was proven last mints on`;
    return draft('CredentialCurrent', 'True', existing.reason, say(facts, `${why}.`));
  }
  if (refused) {
    const why = `the provider refuses the new credential in ${place}, so the one before mints on. Store the one that the provider knows`;
    return draft('CredentialCurrent', 'True', 'CredentialRefused', say(facts, `${why}.`));
  }
  const every = facts.rotateEvery;
  if (every === undefined || now < remindAt(current, every)) return undefined;
  const age = `has minted since ${toRfc3339(current.since)}, and rotation.every is ${pool.spec.rotation?.every ?? formatDuration(every)}`;
  const end = current.expiresAt === undefined ? age : `expires at ${toRfc3339(current.expiresAt)}`;
  const why = `the credential ${end}; only its administrator can replace it. Store a new one in ${place}`;
  const isOver = now >= Math.min(current.since + every, current.expiresAt ?? Number.POSITIVE_INFINITY);
  return draft('CredentialCurrent', isOver ? 'False' : 'True', 'RotationDue', say(facts, `${why}.`));
}

function placeOf({ pool }: PoolFacts): string {
  const { name = '', key = '' } = pool.spec.client?.existing?.credentialRef ?? {};
  return `key ${key} of Secret ${name} in the operator's namespace`;
}

function sentence(text: string): string {
  return text.endsWith('.') ? text : `${text}.`;
}
