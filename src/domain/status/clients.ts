import { managementTokensSecret } from '../../api/names.ts';
import type { Reason } from '../../api/reasons.ts';
import { day, type Instant, plus, toRfc3339 } from '../../clock.ts';
import { isExternal, remindAt } from '../client/existing.ts';
import { isForeign, isGone, tagText } from '../client/generations.ts';
import { isUnmanaged } from '../client/management.ts';
import type { ClientRecord, Generation } from '../client/record.ts';
import type { ClientFailure, ClientView, PoolFacts } from './pool-facts.ts';
import { about, draft, type Draft } from './conditions.ts';
import { rotationInWords, unsupportedInWords } from './rotation.ts';

/** A rotation by schedule counts as overdue when it is this late: windows, spreading and an outage may delay it. */
const overdueAfter = day;

/** These failures say that the client itself is wrong at the provider; all others may be about the next step only. */
const clientBroken: readonly Reason[] = ['RegistrationRefused', 'ClientGone', 'ClientForeign', 'RestoredState'];

export function currentOf({ record }: ClientView): Generation | undefined {
  return record?.generations.find(({ state }) => state === 'Current');
}

export function isReady(client: ClientView): boolean {
  return currentOf(client) !== undefined && client.failure?.reason !== 'CredentialRefused';
}

function isRegistered({ record }: ClientView): boolean {
  return record !== undefined && !isGone(record) && record.generations.some(({ state }) => state !== 'Planned');
}

function whyUnmanaged({ managementLost, handedIn }: ClientRecord): string {
  if (handedIn !== undefined) return 'is not known, and the one that was handed in last is refused';
  return managementLost === true ? 'was lost together with an answer' : 'was not in the answer of the provider';
}

export function registered(facts: PoolFacts): Draft {
  const wanted = facts.clients.filter((client) => client.wanted);
  const broken = wanted.find(({ failure }) => failure !== undefined && clientBroken.includes(failure.reason));
  if (broken?.failure !== undefined) return failed('Registered', facts, broken, broken.failure);
  const missing = wanted.filter((client) => !isRegistered(client));
  const stuck = missing.find(({ failure }) => failure !== undefined);
  if (stuck?.failure !== undefined) return failed('Registered', facts, stuck, stuck.failure);
  const gone = missing.find(({ record }) => record !== undefined && isGone(record));
  if (gone !== undefined) {
    const remedy = mayReplace(facts)
      ? 'a new one with a new subject takes its place'
      : 'a new one would have a new subject, which nobody trusts yet: set spec.rotation.allowSubjectChange if it shall be made';
    const message = `the client${ownerOf(gone)} ${whyGone(gone.record)}; ${remedy}.`;
    return draft('Registered', 'False', 'ClientGone', say(facts, message));
  }
  if (missing.length > 0) {
    return draft(
      'Registered',
      'False',
      'Registering',
      say(facts, `${clients(missing)} being registered at ${issuerOf(facts)}.`),
    );
  }
  const foreign = wanted.find(({ record }) => record !== undefined && isForeign(record));
  if (foreign !== undefined) {
    const tag = foreign.record?.observed?.tag ?? '';
    const why = `the client${ownerOf(foreign)} carries the tag ${tag} (software_id) of another owner at the provider, so it is neither changed nor deleted; tokens are issued while its credential works. Set the tag back to ${foreign.record === undefined ? '' : tagText(foreign.record.tag)} if it is ours, or create another IdentityPool`;
    return draft('Registered', 'False', 'ClientForeign', say(facts, `${why}.`));
  }
  const lost = wanted.find(({ record }) => record !== undefined && isUnmanaged(record));
  if (lost !== undefined && facts.managementFallback !== true) {
    const what = lost.record === undefined ? '' : whyUnmanaged(lost.record);
    const why = `the registration access token of the client${ownerOf(lost)} ${what}: tokens are issued, rotation and deletion wait. Make a new one at the provider and put it under key ${lost.name ?? ''} of Secret ${managementTokensSecret} in the operator's namespace`;
    return draft('Registered', 'True', 'RegistrationAccessTokenLost', say(facts, `${why}.`));
  }
  if (facts.brake !== undefined) return draft('Registered', 'True', 'BrakeHolds', say(facts, facts.brake));
  const drifted = wanted.find(({ record }) => (record?.observed?.drift.length ?? 0) > 0);
  if (drifted !== undefined) {
    const members = drifted.record?.observed?.drift.join(', ') ?? '';
    return draft(
      'Registered',
      'True',
      'ClientDrifted',
      say(facts, `somebody changed the client${ownerOf(drifted)} at the provider (${members}); it is set back.`),
    );
  }
  const what =
    wanted.length === 0
      ? 'no CiIdentity names the pool yet, so no client is needed'
      : `every client exists at ${issuerOf(facts)}`;
  return draft('Registered', 'True', 'Registered', say(facts, `${what}.`));
}

function whyGone(record: ClientRecord | undefined): string {
  if (record?.observed?.is === 'Gone') return 'no longer exists at the provider, somebody deleted it there';
  return 'was deleted or disabled at the provider, which refuses its credential and its registration access token; bring it back there if that was a mistake';
}

export function credentialCurrent(facts: PoolFacts, now: Instant): Draft {
  const wanted = facts.clients.filter((client) => client.wanted);
  const refused = wanted.find(({ failure }) => failure?.reason === 'CredentialRefused');
  if (refused?.failure !== undefined) return failed('CredentialCurrent', facts, refused, refused.failure);
  const without = wanted.find((client) => currentOf(client) === undefined);
  if (without !== undefined) {
    if (without.failure !== undefined) return failed('CredentialCurrent', facts, without, without.failure);
    return draft(
      'CredentialCurrent',
      'False',
      'CredentialUnverified',
      say(facts, `no credential of the client${ownerOf(without)} is proven yet; tokens wait for it.`),
    );
  }
  const late = wanted.find(({ nextRotation }) => nextRotation !== undefined && now >= plus(nextRotation, overdueAfter));
  if (late !== undefined) {
    const why =
      late.failure?.message ??
      unsupportedInWords(late) ??
      rotationInWords(late, now) ??
      'the rotation did not come about; the events of the pool say what holds it up.';
    return draft(
      'CredentialCurrent',
      'False',
      'RotationDue',
      say(facts, `the credential of the client${ownerOf(late)} still mints but is overdue for rotation: ${why}`),
    );
  }
  const { authentication = 'PrivateKeyJwt' } = facts.pool.spec.client ?? {};
  const unchanged = wanted.find((client) => {
    const current = currentOf(client);
    return current !== undefined && !isExternal(current) && current.credential.type !== authentication;
  });
  if (unchanged !== undefined && facts.existing === undefined && !mayReplace(facts)) {
    const uses = currentOf(unchanged)?.credential.type ?? '';
    const why = `authentication ${authentication} takes a new client with a new subject (sub), because the one that is there${ownerOf(unchanged)} authenticates with ${uses} and cannot do both. Set spec.rotation.allowSubjectChange, or set spec.client.authentication back; until then ${uses} mints on`;
    return draft('CredentialCurrent', 'False', 'RotationUnsupported', say(facts, `${why}.`));
  }
  const lost = wanted.find(({ unknownTimeZone }) => unknownTimeZone !== undefined);
  if (lost?.unknownTimeZone !== undefined) {
    const why = `the credential mints, but the time zone ${lost.unknownTimeZone} of spec.rotation.window is not known to the operator, so nothing rotates by schedule (requests and emergencies do). Take another name of the IANA time zone database, e.g. Europe/Berlin.`;
    return draft('CredentialCurrent', 'False', 'RotationWindowInvalid', say(facts, why));
  }
  const [told] = wanted.flatMap((client) => {
    const words = rotationInWords(client, now);
    return words === undefined ? [] : [{ client, words }];
  });
  if (told !== undefined) {
    const others = wanted.filter(
      (client) => client !== told.client && rotationInWords(client, now) !== undefined,
    ).length;
    const more = others === 0 ? '' : ` The same goes on for ${others} other clients.`;
    const message = `a proven credential mints; rotation of the client${ownerOf(told.client)}: ${told.words}.${more}`;
    return draft('CredentialCurrent', 'True', 'CredentialCurrent', say(facts, message));
  }
  const stuck = wanted.find(({ unsupported }) => unsupported !== undefined);
  const refusal = stuck && unsupportedInWords(stuck);
  if (refusal !== undefined) return draft('CredentialCurrent', 'True', 'RotationUnsupported', say(facts, refusal));
  return draft('CredentialCurrent', 'True', 'CredentialCurrent', say(facts, 'a proven credential mints.'));
}

/** So long before it expires somebody hears of it: rotation day must not be the day on which it is found. */
const warnBefore = 28 * day;

export function registrationCredential(facts: PoolFacts, now: Instant): Draft {
  const type = 'RegistrationCredentialValid';
  const refused = facts.clients.find(({ failure }) => failure?.reason === 'RegistrationCredentialRefused');
  if (refused?.failure !== undefined) return failed(type, facts, refused, refused.failure);
  switch (facts.registrationCredential) {
    case 'NotNeeded':
      return draft(type, 'True', 'NotNeeded', say(facts, 'no credential is needed for registering clients.'));
    case 'Missing':
      return draft(
        type,
        'False',
        'RegistrationCredentialMissing',
        say(
          facts,
          `the Secret or key that registrationTokenRef of ${issuerOf(facts)} names does not exist in the operator's namespace. Create it; until then no client is registered.`,
        ),
      );
    case 'Present':
      return present(facts, now);
  }
}

function present(facts: PoolFacts, now: Instant): Draft {
  const { registrationExpires: at } = facts;
  const type = 'RegistrationCredentialValid';
  if (at === undefined || now < plus(at, -warnBefore)) {
    const fine = 'the credential for registering clients is there and was not refused.';
    return draft(type, 'True', 'RegistrationCredentialValid', say(facts, fine));
  }
  const when = at <= now ? 'expired' : 'expires';
  const why = `the credential for registering clients ${when} at ${toRfc3339(at)}. Make a new one at ${issuerOf(facts)} and put it into the Secret that registrationTokenRef names; clients that exist go on without it.`;
  return draft(type, at <= now ? 'False' : 'True', 'RegistrationCredentialExpiring', say(facts, why));
}

/** Whether a client that is gone may be replaced without anybody's doing. */
export function mayReplace({ pool }: PoolFacts): boolean {
  return pool.spec.rotation?.allowSubjectChange === true;
}

/** When time alone changes what is said: a credential becomes overdue, an old one has had its overlap. */
export function overdueAt(facts: PoolFacts, now: Instant): Instant | undefined {
  const wanted = facts.clients.filter((client) => client.wanted);
  const expires = facts.registrationExpires;
  const moments = [
    ...wanted.flatMap((client) => [...ofSchedule(facts, client), ...ofOverlap(client)]),
    ...(expires === undefined ? [] : [plus(expires, -warnBefore), expires]),
  ];
  return moments.filter((moment) => moment > now).toSorted((a, b) => a - b)[0];
}

function ofSchedule({ rotateEvery }: PoolFacts, client: ClientView): readonly Instant[] {
  const { nextRotation } = client;
  const current = currentOf(client);
  if (current === undefined || !isExternal(current) || rotateEvery === undefined) {
    return nextRotation === undefined ? [] : [plus(nextRotation, overdueAfter)];
  }
  const { since, expiresAt } = current;
  return [remindAt(current, rotateEvery), plus(since, rotateEvery), ...(expiresAt === undefined ? [] : [expiresAt])];
}

function ofOverlap({ record }: ClientView): readonly Instant[] {
  return (record?.generations ?? []).flatMap(({ retireAfter }) => retireAfter ?? []);
}

function failed(type: Draft['type'], facts: PoolFacts, client: ClientView, { reason, message }: ClientFailure): Draft {
  return draft(
    type,
    'False',
    reason,
    say(facts, client.owner === undefined ? message : `client of ${client.owner}: ${message}`),
  );
}

function ownerOf({ owner }: ClientView): string {
  return owner === undefined ? '' : ` of ${owner}`;
}

function clients(missing: readonly ClientView[]): string {
  return missing.length === 1 && missing[0] !== undefined ? `the client${ownerOf(missing[0])} is` : 'some clients are';
}

function issuerOf({ pool }: PoolFacts): string {
  return pool.spec.provider.issuer;
}

function say({ pool }: PoolFacts, message: string): string {
  return about(`IdentityPool ${pool.metadata.name}`, message);
}
