/** The condition Registered: every client that the pool needs exists at the provider. The first case that applies speaks. */
import { annotations, managementTokensSecret } from '../../api/names.ts';
import type { Reason } from '../../api/reasons.ts';
import {
  highestGeneration,
  isAsAnswered,
  isForeign,
  isGone,
  isManagementLost,
  isRestored,
  newestSent,
  tagText,
} from '../client/generations.ts';
import { isUnmanaged, unmanagedOne } from '../client/management.ts';
import { openOrphans, orphansId } from '../client/orphans.ts';
import type { ClientRecord, Generation } from '../client/record.ts';
import { toRfc3339 } from '../../clock.ts';
import { planAgainAt } from '../client/schedule.ts';
import { cut, secretMissing } from '../access/explain.ts';
import { failed, issuerOf, mayReplace, ownerOf, retryCommand, say } from './clients.ts';
import { type Draft, draft } from './conditions.ts';
import type { ClientView, PoolFacts } from './pool-facts.ts';
import { whenItOpens } from './rotation.ts';

/** These failures say that the client itself is wrong at the provider; all others may be about the next step only. */
const clientBroken: readonly Reason[] = ['RegistrationRefused', 'ClientGone', 'ClientForeign'];

export function registered(facts: PoolFacts): Draft {
  const wanted = facts.clients.filter((client) => client.wanted);
  return (
    broken(facts, wanted) ??
    missing(facts, wanted) ??
    foreign(facts, wanted) ??
    restored(facts, wanted) ??
    registeredOnly(facts) ??
    lacking(facts, wanted) ??
    unmanaged(facts, wanted) ??
    stillThere(facts) ??
    held(facts) ??
    changeWaiting(facts, wanted) ??
    drifted(facts, wanted) ??
    orphaned(facts) ??
    complete(facts, wanted)
  );
}

function broken(facts: PoolFacts, wanted: readonly ClientView[]): Draft | undefined {
  const client = wanted.find(({ failure }) => failure !== undefined && clientBroken.includes(failure.reason));
  return client?.failure && failed('Registered', facts, client, client.failure);
}

/** Not there yet, or not there any more. */
function missing(facts: PoolFacts, wanted: readonly ClientView[]): Draft | undefined {
  const absent = wanted.filter((client) => !isRegistered(client));
  if (absent.length === 0) return undefined;
  const stuck = absent.find(({ failure }) => failure !== undefined);
  if (stuck?.failure !== undefined) return failed('Registered', facts, stuck, stuck.failure);
  const unheard = absent.find(({ record }) => record !== undefined && isGivenUp(record));
  if (unheard?.record !== undefined)
    return draft('Registered', 'False', 'OrphanPossible', notHeard(facts, unheard, unheard.record));
  const gone = absent.find(({ record }) => record !== undefined && isGone(record));
  if (gone === undefined) {
    const why = `${clients(absent)} being registered at ${issuerOf(facts)}.`;
    return draft('Registered', 'False', 'Registering', say(facts, why));
  }
  const remedy = mayReplace(facts)
    ? 'a new one with a new subject takes its place'
    : 'a new one would have a new subject, which nobody trusts yet: set spec.rotation.allowSubjectChange if it shall be made';
  const message = `the client${ownerOf(gone)} ${whyGone(facts, gone.record)}; ${remedy}.`;
  return draft('Registered', 'False', 'ClientGone', say(facts, message));
}

function isRegistered({ record }: ClientView): boolean {
  return record !== undefined && !isGone(record) && record.generations.some(({ state }) => state !== 'Planned');
}

/** It was registered again and again, and nobody heard what became of that. */
function isGivenUp({ generations, rollbacks, possibleOrphans = 0 }: ClientRecord): boolean {
  return generations.length === 0 && rollbacks !== undefined && possibleOrphans > 0;
}

function notHeard(facts: PoolFacts, client: ClientView, record: ClientRecord): string {
  const count = openOrphans(record);
  const marks = `software_id ${tagText(record.tag)} or the name ci-identity ${facts.pool.metadata.name}`;
  const clientsLeft =
    count === 1
      ? `A client that nobody uses may be left there: delete the one with ${marks}.`
      : `Up to ${count} clients that nobody uses are left there: delete those with ${marks}.`;
  const left = count === 0 ? '' : ` ${clientsLeft}`;
  const again = planAgainAt(record);
  const at = again === undefined ? '' : ` not before ${toRfc3339(again)}, and`;
  const what =
    record.rollbacks?.unusable === undefined
      ? `several registrations of the client${ownerOf(client)} were not answered within 30 s, or with nothing usable: the log of the operator says with what (message failed, machine client). See at ${issuerOf(facts)} why.`
      : `the registration of the client${ownerOf(client)} was answered with nothing usable: ${record.rollbacks.unusable}. See at ${issuerOf(facts)} why, and whether something else answers in its place.`;
  const why = `${what}${left} The next one is sent${at} at once after ${retryCommand(facts)}.`;
  return say(facts, why);
}

function clients(missing: readonly ClientView[]): string {
  return missing.length === 1 && missing[0] !== undefined ? `the client${ownerOf(missing[0])} is` : 'some clients are';
}

function whyGone(facts: PoolFacts, record: ClientRecord | undefined): string {
  if (record?.observed?.is === 'Gone') return 'no longer exists at the provider, somebody deleted it there';
  return `was deleted or disabled at the provider, which refuses its credential and its registration access token (bring it back there if that was a mistake), or this cluster was restored from a backup from before a rotation (then give the issuer a managementTokenRef and run ${retryCommand(facts)}, and it keeps its id)`;
}

function foreign(facts: PoolFacts, wanted: readonly ClientView[]): Draft | undefined {
  const client = wanted.find(({ record }) => record !== undefined && isForeign(record));
  if (client?.record === undefined) return undefined;
  const tag = client.record.observed?.tag ?? '';
  const why = `the client${ownerOf(client)} carries the tag ${tag} (software_id; at Keycloak attribute ci-identity.owner) of another owner at the provider, so it is neither changed nor deleted; tokens are issued while its credential works. Set the tag back to ${newestSent(client.record)?.tag ?? tagText(client.record.tag)} if it is ours, or create another IdentityPool`;
  return draft('Registered', 'False', 'ClientForeign', say(facts, `${why}.`));
}

/** The client table touches nothing (row *restored*), so this stays until somebody acts. */
function restored(facts: PoolFacts, wanted: readonly ClientView[]): Draft | undefined {
  const clients = facts.pool.metadata.deletionTimestamp === undefined ? wanted : facts.clients;
  const client = clients.find(({ record }) => record !== undefined && isRestored(record));
  if (client?.record === undefined) return undefined;
  const why = `the provider knows credential generation ${client.record.observed?.generation ?? 0} of the client${ownerOf(client)}, and our record only ${highestGeneration(client.record)}: the cluster was restored from a backup. Nothing is changed or deleted there; tokens are issued while the credential of the record works. Restore a newer backup, or rotate with an emergency (the same new id in spec.rotation.request and spec.revokeRequest), which replaces what is there; a pool that is deleted goes with deletionPolicy Retain`;
  return draft('Registered', 'False', 'RestoredState', say(facts, `${why}.`));
}

/** Told where it holds up a deletion: before that it is as it should be. */
function registeredOnly(facts: PoolFacts): Draft | undefined {
  if (facts.pool.metadata.deletionTimestamp === undefined) return undefined;
  const ids = facts.clients.flatMap(({ registersOnly, record }) =>
    registersOnly === true ? (record?.generations ?? []).flatMap(({ clientId }) => clientId ?? []) : [],
  );
  const [first, ...others] = new Set(ids);
  if (first === undefined) return undefined;
  const more = others.length === 0 ? '' : ` and ${others.length} more`;
  const why = `${issuerOf(facts)} deletes no clients: delete ${cut(first, 64)}${more} there by hand (their names begin with ci-identity ${facts.pool.metadata.name}), and set spec.deletionPolicy: Retain, with which the pool goes.`;
  return draft('Registered', 'True', 'RegistrationRefused', say(facts, why));
}

/** What was taken out of the ceiling since is not asked for any more; what came in is refused. */
function lacking(facts: PoolFacts, wanted: readonly ClientView[]): Draft | undefined {
  const client = wanted.find(({ lacks }) => lacks !== undefined);
  if (client?.lacks === undefined) return undefined;
  const allowed = mayReplace(facts) ? '' : 'spec.rotation.allowSubjectChange and ';
  const why = `the client${ownerOf(client)} was registered before ${cut(client.lacks.join(', '), 200)} came into the ceiling, and ${issuerOf(facts)} changes no clients: tokens with that are refused. Set ${allowed}a new spec.rotation.request, which registers a new client with a new subject (sub).`;
  return draft('Registered', 'True', 'ClientDrifted', say(facts, why));
}

function unmanaged(facts: PoolFacts, wanted: readonly ClientView[]): Draft | undefined {
  const client = wanted.find(
    ({ record, registersOnly }) => record !== undefined && registersOnly !== true && isUnmanaged(record),
  );
  if (client?.record === undefined || facts.managementCredential === 'Present') return undefined;
  const of = unmanagedOne(client.record);
  const isOld = of?.management !== undefined;
  const named = of?.clientId === undefined ? '' : ` ${of.clientId}`;
  // Two that stay and the one that mints are as many as a record holds.
  const isFull = client.record.generations.filter(({ state }) => state === 'Retiring').length > 1;
  const until = isFull ? ', and only an emergency rotates before one of them is gone' : '';
  const left = `what is left of an old client stays at the provider${until}`;
  const waits = isOld ? left : 'rotation and deletion wait';
  const leaving =
    facts.pool.metadata.deletionTimestamp === undefined
      ? ''
      : ', or set deletionPolicy: Retain, which leaves the client';
  const why = `the registration access token of the client${named}${ownerOf(client)} ${whyUnmanaged(client.record, of)}: tokens are issued, ${waits}. Make a new one at the provider and put it under key ${client.name ?? ''} of Secret ${managementTokensSecret} in the operator's namespace; ${withoutOwn(facts)}${leaving}`;
  return draft('Registered', 'True', 'RegistrationAccessTokenLost', say(facts, `${why}.`));
}

/** Where the provider makes no registration access tokens anew. */
function withoutOwn(facts: PoolFacts): string {
  if (facts.managementCredential === 'NotNeeded')
    return 'where the provider makes none, give managementTokenRef of the issuer';
  return `or create what managementTokenRef of the issuer names: ${secretMissing('it')}`;
}

function whyUnmanaged(record: ClientRecord, of: Generation | undefined): string {
  const { managementLost, handedIn } = record;
  if (handedIn !== undefined) return 'is not known, and the one that was handed in last is refused';
  return managementLost === true || (of !== undefined && isManagementLost(record, of))
    ? 'was lost together with an answer'
    : 'did not arrive with the answer of the provider';
}

/** Of clients that are not wanted any longer: of others the rotation tells it. */
function stillThere(facts: PoolFacts): Draft | undefined {
  for (const client of facts.clients.filter(({ wanted }) => !wanted)) {
    const one = client.record?.generations.find((each) => each.state === 'Retiring' && each.stillThere !== undefined);
    if (one === undefined) continue;
    const next = one.retireAfter === undefined ? '' : ` It is asked again at ${toRfc3339(one.retireAfter)}.`;
    const why = `${issuerOf(facts)} says that it deleted client ${cut(one.clientId ?? '', 64)}${ownerOf(client)}, and the client is still there. Delete it there by hand, or set deletionPolicy: Retain, which leaves it.${next}`;
    return draft('Registered', 'True', 'ProviderMisbehaves', say(facts, why));
  }
  return undefined;
}

function held(facts: PoolFacts): Draft | undefined {
  return facts.brake === undefined ? undefined : draft('Registered', 'True', 'BrakeHolds', say(facts, facts.brake));
}

/** The provider replaces a secret with each change of the client, so a change that can wait is made inside the window. */
function changeWaiting(facts: PoolFacts, wanted: readonly ClientView[]): Draft | undefined {
  const client = wanted.find(({ changeWaits }) => changeWaits === true);
  if (client === undefined) return undefined;
  const drift = client.record?.observed?.drift ?? [];
  const what = drift.length === 0 ? 'does not know the last edit of the pool' : `has another ${drift.join(', ')}`;
  const why = `the client${ownerOf(client)} at the provider ${what} and is set right ${whenItOpens(client)}: this provider gives a new secret with each change, and for a moment nothing can be minted. To have it now, take spec.rotation.window away or let it begin earlier, or ask for an emergency (the same new id in spec.rotation.request and spec.revokeRequest), which revokes every token too`;
  return draft('Registered', 'True', 'ClientDrifted', say(facts, `${why}.`));
}

function drifted(facts: PoolFacts, wanted: readonly ClientView[]): Draft | undefined {
  const client = wanted.find(({ record }) => (record?.observed?.drift.length ?? 0) > 0);
  if (client === undefined) return undefined;
  const members = client.record?.observed?.drift.join(', ') ?? '';
  const why =
    client.record !== undefined && isAsAnswered(client.record)
      ? `the provider keeps the client${ownerOf(client)} otherwise than it is asked to (${members}), whatever is sent; tokens are issued. See there whether that may stay.`
      : `somebody changed the client${ownerOf(client)} at the provider (${members}); it is set back.`;
  return draft('Registered', 'True', 'ClientDrifted', say(facts, why));
}

/** Also of clients that are not wanted any longer: what they left at the provider is left for the same people. */
function orphaned(facts: PoolFacts): Draft | undefined {
  const records = facts.clients.flatMap(({ name, record }) =>
    record === undefined ? [] : [[name ?? '', record] as const],
  );
  const first = records.find(([, record]) => openOrphans(record) > 0)?.[1];
  if (first === undefined) return undefined;
  const count = records.reduce((sum, [, record]) => sum + openOrphans(record), 0);
  const what =
    count === 1
      ? 'the answer to a registration was lost, so a client that nobody uses may be left'
      : `the answers to ${count} registrations were lost, so as many clients that nobody uses may be left`;
  const ours = [...new Set(first.generations.flatMap(({ clientId }) => clientId ?? []))];
  const used = ours.length === 0 ? '' : ` (in use is ${ours.map((id) => cut(id, 64)).join(', ')})`;
  const { name } = facts.pool.metadata;
  const acknowledge = `kubectl annotate identitypool ${name} --overwrite ${annotations.acknowledge}=${orphansId(records)}`;
  const why = `${what} at ${issuerOf(facts)}. Look there for software_id ${tagText(first.tag)} or the name ci-identity ${name}, delete what is not in use${used}, and then run: ${acknowledge}.`;
  return draft('Registered', 'True', 'OrphanPossible', say(facts, why));
}

function complete(facts: PoolFacts, wanted: readonly ClientView[]): Draft {
  const what =
    wanted.length === 0
      ? 'no CiIdentity names the pool yet, so no client is needed'
      : `every client exists at ${issuerOf(facts)}`;
  return draft('Registered', 'True', 'Registered', say(facts, `${what}.`));
}
