/** Questions about a client record. */
import type { Instant } from '../../clock.ts';
import { sha256 } from '../../digest.ts';
import type { Token } from '../token.ts';
import type { Desired } from './machine.ts';
import type { ClientRecord, Generation, OwnManagement } from './record.ts';

/** Newest last, as in the record. */
export function inState(record: ClientRecord, ...states: readonly Generation['state'][]): readonly Generation[] {
  return record.generations.filter((generation) => states.includes(generation.state));
}

/** The one that mints. */
export function currentOf(record: Pick<ClientRecord, 'generations'> | undefined): Generation | undefined {
  return record?.generations.find((generation) => generation.state === 'Current');
}

/** The credential that is on its way to become Current. */
export function inWork(record: ClientRecord | undefined): Generation | undefined {
  return record?.generations.findLast(({ state }) => state === 'Planned' || state === 'Created');
}

export function generation(record: ClientRecord, n: number): Generation | undefined {
  return record.generations.find((one) => one.n === n);
}

/**
 * Whose credential revokes this token: the newest proven one of the same client (RFC 7009 asks for the client, not for the credential),
 * because an older one may be refused or gone by now.
 */
export function revokerOf(
  record: ClientRecord | undefined,
  { generation: n, clientId }: Pick<Token, 'generation' | 'clientId'>,
): Generation | undefined {
  if (record === undefined) return undefined;
  return inState(record, 'Current', 'Draining').findLast((one) => one.clientId === clientId) ?? generation(record, n);
}

/** The highest generation that this record ever had; 0 before the first. */
export function highestGeneration(record: ClientRecord | undefined): number {
  return Math.max(record?.highest ?? 0, ...(record?.generations ?? []).map(({ n }) => n));
}

/**
 * Why a record that was found is not the one to go by. A cluster that was made from the backup of another one holds that one's records, whose
 * clients work there; and a copy from before knows neither the credential nor the management token of today.
 */
export function objectionTo(
  record: ClientRecord,
  known: ClientRecord | undefined,
  installation: string | undefined,
): string | undefined {
  if (installation !== undefined && record.tag.installation !== installation)
    return `it belongs to installation ${record.tag.installation}, and this is ${installation}`;
  const isOlder =
    known !== undefined && (record.epoch < known.epoch || highestGeneration(record) < highestGeneration(known));
  return isOlder ? 'it is older than what was stored last' : undefined;
}

/** The provider knows this credential, or may. */
export function isLive({ state, n }: Generation, record: ClientRecord): boolean {
  return state !== 'Planned' || record.intent?.generation === n;
}

/**
 * Which generations shall authenticate once this call has taken effect: every live one, the one that is being created, and not the one that
 * is taken out. Oldest first, as an Update sends them.
 */
export function liveAfter(
  record: ClientRecord,
  call: { readonly generation: number; readonly without?: number },
): readonly Generation[] {
  const subject = generation(record, call.generation);
  return record.generations.filter(
    (one) =>
      one.n !== call.without &&
      one.removedAt === undefined &&
      (one.n === call.generation || one.state !== 'Planned') &&
      // A client that is being registered has no id yet, and the keys of the one before it are not its own.
      (one.n === call.generation || (subject?.clientId !== undefined && one.clientId === subject.clientId)),
  );
}

/** A secret that came with an answer that was lost is not there to be used. */
export function canAuthenticate({ credential }: Generation): boolean {
  return credential.type === 'PrivateKeyJwt' || credential.secret !== undefined;
}

/** The provider knows a credential in it, or may, that is not on its way out: without the record nobody could use or remove it. */
export function holdsCredential({ generations, intent }: ClientRecord): boolean {
  return intent !== undefined || generations.some(({ state }) => state !== 'Planned' && state !== 'Retiring');
}

/**
 * Nothing is left of the client: the provider says so, or it accepts neither the credential nor the token that manages the client, which is
 * how RFC 7592 §2.1 wants a deleted one to be answered for. One that was switched off may look the same.
 */
export function isGone(record: ClientRecord): boolean {
  const current = currentOf(record);
  const refusesBoth = current?.refusedAgain === true && isManagementLost(record, current);
  return record.observed?.is === 'Gone' || refusesBoth;
}

/** Registration access token for the client of this generation; absent: it cannot be managed without another credential. */
export function managementOf(record: ClientRecord, of: Generation): ClientRecord['management'] {
  const own = ownManagementOf(record, of);
  if (own === undefined) return record.management;
  return own.token === undefined ? undefined : { token: own.token, uri: own.uri };
}

/** Where two clients overlap, the one that is not the record's has a token of its own, with one of its credentials at least. */
export function ownManagementOf(record: ClientRecord, of: Generation): OwnManagement | undefined {
  return of.management ?? siblings(record, of).find(({ management }) => management !== undefined)?.management;
}

/** The provider refuses the token that manages the client of this generation. */
export function isManagementLost(record: ClientRecord, of: Generation): boolean {
  const own = ownManagementOf(record, of);
  return (own === undefined ? record.managementLost : own.lost) === true;
}

/** No registration access token that works is known for the client of this generation. Another credential of the issuer may manage it all the same. */
export function lacksManagement(record: ClientRecord, of: Generation): boolean {
  return isManagementLost(record, of) || managementOf(record, of) === undefined;
}

/** The one that a look at the provider compares with: the newest that was sent there. What is only planned is not there yet. */
export function newestSent({ generations }: ClientRecord): Generation | undefined {
  const known = generations.filter(({ clientId }) => clientId !== undefined);
  return known.findLast(({ state }) => state !== 'Planned') ?? known.at(-1) ?? generations.at(-1);
}

/** Its client is the newest, which is the one that looks are at. */
export function isNewestClient(record: ClientRecord, { clientId }: Generation): boolean {
  return newestSent(record)?.clientId === clientId;
}

/** Other generations of the same client at the provider. */
export function siblings(record: ClientRecord, of: Generation): readonly Generation[] {
  return record.generations.filter(
    (one) => one.n !== of.n && one.clientId !== undefined && one.clientId === of.clientId,
  );
}

/** What goes into `software_id`: installation and owner, so that nobody deletes another one's client. */
export function tagText(tag: ClientRecord['tag']): string {
  return `${tag.installation}/${tag.owner}`;
}

/** The client at the provider carries somebody else's tag, so it is left alone. `of`: the one of this generation. */
export function isForeign(record: ClientRecord, of?: Generation): boolean {
  const { observed } = record;
  if (of?.foreign === true) return true;
  return observed?.is === 'Present' && isOthersTag(record, newestSent(record), observed.tag);
}

/** A provider may shorten or replace what it is told (RFC 7591 §3.2.1): what it answered to our own registration is ours as well. */
export function isOthersTag(record: ClientRecord, of: Generation | undefined, tag: string | undefined): boolean {
  return tag !== undefined && tag !== tagText(record.tag) && tag !== of?.tag;
}

/**
 * The client differs from what it was asked to be, and nobody changed it: the provider itself answered so to what was sent last, or a look
 * after that showed the same. Sent again, it would be the same again.
 */
export function isAsAnswered({ observed, updatedAt, ownDrift }: ClientRecord): boolean {
  if (observed?.is !== 'Present' || observed.drift.length === 0) return false;
  return observed.at <= (updatedAt ?? 0) || (ownDrift !== undefined && observed.driftDigest === ownDrift);
}

/** The cluster was restored from a backup: the provider knows a later credential of our client than the record does. */
export function isRestored(record: ClientRecord): boolean {
  const there = record.observed?.is === 'Present' && !isForeign(record) ? record.observed.generation : undefined;
  return there !== undefined && there > highestGeneration(record);
}

/** What was sent last is what is wanted. Records of older versions do not say which carrier scopes were sent: those count as the right ones. */
function isSent({ sent, sentCarriers }: ClientRecord, desired: Desired): boolean {
  const sameCarriers = sentCarriers === undefined || sentCarriers.join(' ') === desired.carriers.join(' ');
  return sameCarriers && sent === metadataDigest(desired);
}

/** What is wanted was sent, and nobody has seen that the provider has something else since. */
export function isAsWanted(record: ClientRecord, desired: Desired): boolean {
  const { observed } = record;
  const hasDrift = observed?.is === 'Present' && observed.drift.length > 0 && !isAsAnswered(record);
  return isSent(record, desired) && !hasDrift;
}

/**
 * Digest of everything in the client's metadata that follows from the spec; credentials and how they authenticate are not in it. A digest of
 * more than that would send every client once more after an upgrade.
 */
export function metadataDigest(desired: Desired): string {
  const { name, scopes, audiences, maxTokenLifetime } = desired;
  return sha256(name, JSON.stringify(scopes), JSON.stringify(audiences), String(maxTokenLifetime));
}

export function removedLately(of: Generation, within: number, now: Instant): boolean {
  return of.removedAt !== undefined && now < of.removedAt + within;
}
