/** The condition CredentialCurrent: a working credential mints, and its rotation is not overdue. The first case that applies speaks. */
import { type Instant, plus } from '../../clock.ts';
import { isExternal } from '../client/existing.ts';
import type { IgnoredExpiry } from '../client/credential.ts';
import { currentOf } from '../client/generations.ts';
import { authenticationOf } from '../pool-defaults.ts';
import { diagnosisOf } from './authentication.ts';
import { failed, isRefused, issuerOf, mayReplace, overdueAfter, ownerOf, say } from './clients.ts';
import { type Draft, draft } from './conditions.ts';
import type { ClientView, PoolFacts } from './pool-facts.ts';
import { mayBeInGap, rotationInWords, unsupportedInWords } from './rotation.ts';

export function credentialCurrent(facts: PoolFacts, now: Instant): Draft {
  const wanted = facts.clients.filter((client) => client.wanted);
  return (
    refused(facts, wanted, now) ??
    unverified(facts, wanted) ??
    overdue(facts, wanted, now) ??
    methodChangeNeedsNewClient(facts, wanted) ??
    windowInvalid(facts, wanted) ??
    underWay(facts, wanted, now) ??
    unsupported(facts, wanted) ??
    expiryIgnored(facts, wanted) ??
    draft('CredentialCurrent', 'True', 'CredentialCurrent', say(facts, 'a proven credential mints.'))
  );
}

function refused(facts: PoolFacts, wanted: readonly ClientView[], now: Instant): Draft | undefined {
  const client = wanted.find(isRefused);
  const found = client && diagnosisOf(facts, client, now);
  if (client === undefined || found === undefined) return undefined;
  const why = `no token can be had for the client${ownerOf(client)} at ${issuerOf(facts)}: ${found.why}. ${found.todo}.`;
  return draft('CredentialCurrent', 'False', 'CredentialRefused', say(facts, why));
}

function unverified(facts: PoolFacts, wanted: readonly ClientView[]): Draft | undefined {
  const client = wanted.find((one) => currentOf(one.record) === undefined);
  if (client === undefined) return undefined;
  if (client.failure !== undefined) return failed('CredentialCurrent', facts, client, client.failure);
  const why = `no credential of the client${ownerOf(client)} is proven yet; tokens wait for it.`;
  return draft('CredentialCurrent', 'False', 'CredentialUnverified', say(facts, why));
}

function overdue(facts: PoolFacts, wanted: readonly ClientView[], now: Instant): Draft | undefined {
  const late = wanted.find(({ nextRotation }) => nextRotation !== undefined && now >= plus(nextRotation, overdueAfter));
  if (late === undefined) return undefined;
  const why =
    late.failure?.message ??
    unsupportedInWords(late) ??
    rotationInWords(late, facts.stop !== undefined, now) ??
    'the rotation did not come about; the events of the pool say what holds it up.';
  const message = `the credential of the client${ownerOf(late)} still mints but is overdue for rotation: ${why}`;
  return draft('CredentialCurrent', 'False', 'RotationDue', say(facts, message));
}

/** The spec asks for another way of authentication than the credential that mints. */
function methodChangeNeedsNewClient(facts: PoolFacts, wanted: readonly ClientView[]): Draft | undefined {
  const authentication = authenticationOf(facts.pool);
  const client = wanted.find((one) => {
    const current = currentOf(one.record);
    return current !== undefined && !isExternal(current) && current.credential.type !== authentication;
  });
  if (client === undefined || facts.existing !== undefined || mayReplace(facts)) return undefined;
  const uses = currentOf(client.record)?.credential.type ?? '';
  const why = `authentication ${authentication} takes a new client with a new subject (sub), because the one that is there${ownerOf(client)} authenticates with ${uses} and cannot do both. Set spec.rotation.allowSubjectChange, or set spec.client.authentication back; until then ${uses} mints on`;
  return draft('CredentialCurrent', 'False', 'RotationUnsupported', say(facts, `${why}.`));
}

function windowInvalid(facts: PoolFacts, wanted: readonly ClientView[]): Draft | undefined {
  const zone = wanted.find(({ unknownTimeZone }) => unknownTimeZone !== undefined)?.unknownTimeZone;
  if (zone === undefined) return undefined;
  const why = `the credential mints, but the time zone ${zone} of spec.rotation.window is not known to the operator, so nothing rotates by schedule (requests and emergencies do). Take another name of the IANA time zone database, e.g. Europe/Berlin.`;
  return draft('CredentialCurrent', 'False', 'RotationWindowInvalid', say(facts, why));
}

function underWay(facts: PoolFacts, wanted: readonly ClientView[], now: Instant): Draft | undefined {
  const [told, ...others] = wanted.flatMap((client) => {
    const words = rotationInWords(client, facts.stop !== undefined, now);
    return words === undefined ? [] : [{ client, words }];
  });
  if (told === undefined) return undefined;
  const more = others.length === 0 ? '' : ` The same goes on for ${others.length} other clients.`;
  const mints = mayBeInGap(told.client) ? '' : 'a proven credential mints; ';
  const message = `${mints}rotation of the client${ownerOf(told.client)}: ${told.words}.${more}`;
  return draft('CredentialCurrent', 'True', 'CredentialCurrent', say(facts, message));
}

function unsupported(facts: PoolFacts, wanted: readonly ClientView[]): Draft | undefined {
  const client = wanted.find((one) => one.unsupported !== undefined);
  const why = client && unsupportedInWords(client);
  return why === undefined ? undefined : draft('CredentialCurrent', 'True', 'RotationUnsupported', say(facts, why));
}

/** A secret that expires unannounced is found when it is refused, so that a person should know. */
function expiryIgnored(facts: PoolFacts, wanted: readonly ClientView[]): Draft | undefined {
  const client = wanted.find((one) => ignoredOf(one) !== undefined);
  const ignored = client && ignoredOf(client);
  if (client === undefined || ignored === undefined) return undefined;
  const why = `a proven credential mints, but when the secret of the client${ownerOf(client)} expires is not known: the provider gave client_secret_expires_at ${saidAs[ignored]}, where RFC 7591 §3.2.1 has seconds since 1970. Set spec.rotation.every below the life of its secrets, or correct that at the provider; the next rotation reads it anew.`;
  return draft('CredentialCurrent', 'True', 'CredentialCurrent', say(facts, why));
}

const saidAs: Readonly<Record<IgnoredExpiry, string>> = {
  Text: 'as text',
  Past: 'as a moment that had passed when the secret came (a duration, perhaps)',
  TooLarge: 'as a moment thousands of years ahead (in milliseconds, perhaps)',
};

function ignoredOf(client: ClientView): IgnoredExpiry | undefined {
  const credential = currentOf(client.record)?.credential;
  return credential?.type === 'PrivateKeyJwt' ? undefined : credential?.expiryIgnored;
}
