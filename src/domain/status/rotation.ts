/** The state of a rotation in words, for the condition CredentialCurrent. Follows from the record alone, so it changes when that does. */
import { formatDuration, toRfc3339, type Instant } from '../../clock.ts';
import { asClause, cut } from '../access/explain.ts';
import { isExternal } from '../client/existing.ts';
import { currentOf, lacksManagement } from '../client/generations.ts';
import { planAgainAt } from '../client/schedule.ts';
import { took } from '../client/story.ts';
import type { ClientRecord, Generation } from '../client/record.ts';
import type { ClientView } from './pool-facts.ts';

/** `undefined`: no rotation is under way and none failed. Without a full stop. `isStopped`: the pool is. */
export function rotationInWords(client: ClientView, isStopped: boolean, now: Instant): string | undefined {
  const { record, failure } = client;
  if (record === undefined) return undefined;
  const steps = record.generations.flatMap((one) => inWords(client, record, one, isStopped, now));
  const urgent = record.revoking === undefined ? [] : [revoking(record.revoking.id, record.emergency !== undefined)];
  const all = [...urgent, ...steps.toReversed(), ...rollback(record)];
  if (all.length === 0) return undefined;
  const held =
    failure === undefined || steps.length === 0 ? [] : [`the next step is held up: ${asClause(failure.message)}`];
  return [...all, ...held].join('; ');
}

function revoking(id: string, rotates: boolean): string {
  return rotates
    ? `request ${id} is being carried out: a new credential first, then every token from before is revoked`
    : `request ${id} is being carried out: every token from before it is revoked`;
}

function inWords(
  client: ClientView,
  record: ClientRecord,
  one: Generation,
  isStopped: boolean,
  now: Instant,
): readonly string[] {
  const { n, state } = one;
  const first = record.generations.length === 1;
  const next = isStopped && record.emergency !== n ? 'when the pool is stopped no longer' : undefined;
  switch (state) {
    case 'Planned':
      if (isExternal(one)) return [`the administrator's Secret is taken over as credential generation ${n}`];
      if (record.intent?.generation === n) return [told(one, record.intent)];
      return [
        `credential generation ${n} is made and stored, the provider is told ${next ?? whenTold(client, record, n)}`,
      ];
    case 'Created':
      return [created(record, one, next)];
    case 'Current':
      return first ? [] : [`generation ${n} mints since ${toRfc3339(one.since)}`];
    case 'Draining':
      return [draining(one, client.clockUnsure === true, now)];
    case 'Retiring':
      if (isExternal(one)) return [`generation ${n} is used no longer`];
      return [retiring(record, one, client.registersOnly === true)];
  }
}

function whenTold(client: ClientView, { variant, emergency }: ClientRecord, n: number): string {
  return variant === 'InPlace' && emergency !== n && client.gapWaits !== undefined ? whenItOpens(client) : 'next';
}

/** Of what leaves a gap and so waits for the window. */
export function whenItOpens({ gapWaits }: ClientView): string {
  const until = gapWaits?.until;
  return until === undefined
    ? 'once the time zone of spec.rotation.window is one that the operator knows'
    : `at ${toRfc3339(until)}, when spec.rotation.window opens`;
}

/** Only a credential that was still accepted has to wait for the next step, be it after its removal or because nothing can remove it. */
function retiring(record: ClientRecord, one: Generation, registersOnly: boolean): string {
  const { n, clientId, removedAt, retireAfter } = one;
  if (registersOnly)
    return `generation ${n} mints no more and still works at the provider, which deletes no clients: delete client ${cut(clientId ?? '', 64)} there by hand. That it is refused is seen within the hour; with two of them only an emergency rotates`;
  if (removedAt !== undefined)
    return `generation ${n} was taken out at the provider and is asked once more, which has to be refused`;
  if (retireAfter === undefined) return `generation ${n} is being taken out at the provider`;
  return lacksManagement(record, one)
    ? `generation ${n} still works at the provider and cannot be taken out there without a registration access token of its client; whether it is gone is asked again at ${toRfc3339(retireAfter)}. Remove it there by hand`
    : `the provider said that generation ${n} is taken out and still accepts it; that is asked for again at ${toRfc3339(retireAfter)}. If it stays so, remove it there by hand`;
}

function created({ variant }: ClientRecord, { n, refusedAt }: Generation, next?: string): string {
  const own = 'proven by a token request of its own';
  const proof = next === undefined ? `is now ${own}` : `is ${own} ${next}`;
  if (refusedAt !== undefined)
    return `the provider refuses credential generation ${n} so far; it is asked again while it may still be taking it over`;
  return variant === 'InPlace'
    ? `the provider replaced the secret by credential generation ${n}, and nothing can be minted before that ${proof}`
    : `the provider knows credential generation ${n}, which ${proof}`;
}

/** Between the call that replaces the one secret and the proof of the new one; and where that was taken back nobody knows what works. */
export function mayBeInGap({ record }: ClientView): boolean {
  const isReplaced = record?.generations.some(({ state }) => state === 'Created') === true;
  return record?.variant === 'InPlace' && (isReplaced || record.rollbacks !== undefined || record.intent !== undefined);
}

/** A secret is in the answer and nowhere else; a key is ours, whatever becomes of the answer. */
function told({ n, credential }: Generation, { call }: NonNullable<ClientRecord['intent']>): string {
  const awaited = `the provider was told of credential generation ${n} and its answer is awaited`;
  if (call !== 'Register' || credential.type === 'PrivateKeyJwt') return awaited;
  return `${awaited}. If it stays so, it was lost with the only copy of the secret: make a new request (spec.rotation.request or the annotation ci-identity.dev/rotate), which gives this attempt up, and delete the client whose name ends in " ${n}" at the provider`;
}

function draining({ n, retireAfter }: Generation, clockUnsure: boolean, now: Instant): string {
  if (retireAfter !== undefined && now < retireAfter) {
    return `generation ${n} stays until ${toRfc3339(retireAfter)} at least, and until its last token has ended`;
  }
  return clockUnsure
    ? `generation ${n} is not taken out while the clocks of controller, API server and provider differ by more than a minute: synchronise them (NTP)`
    : `generation ${n} stays until its last token has ended`;
}

function rollback({ rollbacks, generations, variant }: ClientRecord): readonly string[] {
  if (rollbacks === undefined || generations.some(({ state }) => state === 'Planned' || state === 'Created')) return [];
  const again = planAgainAt({ rollbacks, generations });
  const times = rollbacks.count === 1 ? 'the last new credential' : `${rollbacks.count} new credentials in a row`;
  const next = again === undefined ? '' : `, not before ${toRfc3339(again)}`;
  const taken = rollbacks.count === 1 ? 'was' : 'were';
  const unusable =
    rollbacks.unusable === undefined
      ? ''
      : ` (its registration was answered with nothing usable: ${rollbacks.unusable})`;
  const why =
    rollbacks.lacked === undefined
      ? `never came to work at the provider${unusable}`
      : `${taken} not given what the one before is given (${asClause(rollbacks.lacked)})`;
  const before =
    variant === 'InPlace'
      ? 'whether the one before still works is seen when it mints next'
      : 'the one before goes on minting';
  return [`${times} ${why} and ${taken} taken back, ${before}; the next try comes by itself${next}`];
}

/** Why nothing rotates although it is asked or due, and what to do. `undefined`: nothing speaks against a rotation. */
export function unsupportedInWords({ unsupported, record, noKeys }: ClientView): string | undefined {
  if (unsupported === undefined) return undefined;
  const keyHelps = currentOf(record)?.credential.type !== 'PrivateKeyJwt' && noKeys !== true;
  switch (unsupported) {
    case 'NeedsWindow':
      return 'a proven credential mints, but this provider replaces a client secret with a short gap only, and nothing says when that may be. Declare spec.rotation.window, allow a new client with spec.rotation.allowSubjectChange, or use spec.client.authentication PrivateKeyJwt.';
    case 'NeedsNewSubject':
      return `a proven credential mints, but this provider can replace it by a new client only, whose subject (sub) is new and which no trust policy knows. Set spec.rotation.allowSubjectChange if that is all right${keyHelps ? ', or use spec.client.authentication PrivateKeyJwt' : ''}.`;
  }
}

/** `took 4.2 s`: of a request that is done. */
export function tookInWords(at: Instant, done: Instant): string {
  return done - at < 1_000 ? 'It took less than a second.' : `It took ${took(done - at)}.`;
}

export function gapInWords({ gap }: ClientRecord): string | undefined {
  return gap === undefined ? undefined : formatDuration(Math.max(1_000, gap));
}
