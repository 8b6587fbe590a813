/** What a pool's conditions about its clients share; whether clients can be registered; when time alone changes what is said. */
import { day, earliest, type Instant, plus, toRfc3339 } from '../../clock.ts';
import { annotations } from '../../api/names.ts';
import { asClause, registrationTokenMissing } from '../access/explain.ts';
import { isExternal, remindAt } from '../client/existing.ts';
import { currentOf } from '../client/generations.ts';
import { nextTryAt } from '../failure.ts';
import type { ClientFailure, ClientView, PoolFacts } from './pool-facts.ts';
import { about, draft, type Draft } from './conditions.ts';

/** A rotation by schedule counts as overdue when it is this late: windows, spreading and an outage may delay it. */
export const overdueAfter = day;

export function isReady(client: ClientView): boolean {
  return currentOf(client.record) !== undefined && !isRefused(client);
}

/** The provider refuses the credential that shall mint. */
export function isRefused(client: ClientView): boolean {
  return currentOf(client.record)?.refusedAt !== undefined;
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
        say(facts, registrationTokenMissing(`registrationTokenRef of ${issuerOf(facts)}`)),
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
    return draft(type, 'True', 'RegistrationCredentialValid', say(facts, `${fine}${oneUseMore(facts)}`));
  }
  const when = at <= now ? 'expired' : 'expires';
  const why = `the credential for registering clients ${when} at ${toRfc3339(at)}. Make a new one at ${issuerOf(facts)} and put it into the Secret that registrationTokenRef names; clients that exist go on without it.`;
  return draft(type, at <= now ? 'False' : 'True', 'RegistrationCredentialExpiring', say(facts, why));
}

/** Only the provider knows how often the credential may still be used, and nobody can ask it. So a person is told in time who needs it next. */
function oneUseMore({ clients }: PoolFacts): string {
  const next = earliest(...clients.map((one) => (one.wanted && one.registersAnew ? one.nextRotation : undefined)));
  if (next === undefined) return '';
  return ` The rotation that is due at ${toRfc3339(next)} registers a client with it: see at the provider that it may be used once more.`;
}

/** Whether a client that is gone may be replaced without anybody's doing. */
export function mayReplace({ pool }: PoolFacts): boolean {
  return pool.spec.rotation?.allowSubjectChange === true;
}

/** When time alone changes what is said: a credential becomes overdue, an old one has had its overlap. */
export function nextTextChangeAt(facts: PoolFacts, now: Instant): Instant | undefined {
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
  const current = currentOf(client.record);
  if (current === undefined || !isExternal(current) || rotateEvery === undefined) {
    return nextRotation === undefined ? [] : [plus(nextRotation, overdueAfter)];
  }
  const { since, expiresAt } = current;
  return [remindAt(current, rotateEvery), plus(since, rotateEvery), ...(expiresAt === undefined ? [] : [expiresAt])];
}

function ofOverlap({ record }: ClientView): readonly Instant[] {
  return (record?.generations ?? []).flatMap(({ retireAfter }) => retireAfter ?? []);
}

/** What a client's last step failed with, as a condition. */
export function failed(type: Draft['type'], facts: PoolFacts, client: ClientView, failure: ClientFailure): Draft {
  const message = withNextTry(facts, failure);
  return draft(
    type,
    'False',
    failure.reason,
    say(facts, client.owner === undefined ? message : `client of ${client.owner}: ${message}`),
  );
}

/** What is wrong and what to do, and when that is noticed: who has just done it wants to know. */
export function withNextTry(facts: PoolFacts, failure: ClientFailure): string {
  const { message, changeHelps } = failure;
  if (changeHelps !== true) return `${message}${nextTryAt(failure)}`;
  return `${asClause(message)}. It is tried again within 10 min, and at once after ${retryCommand(facts)}.`;
}

export function retryCommand({ pool }: PoolFacts): string {
  return `kubectl annotate --overwrite identitypool ${pool.metadata.name} ${annotations.retry}="$(date +%s)"`;
}

/** ` of CiIdentity ci-payments/publisher`, where a pool has more than one client. */
export function ownerOf({ owner }: ClientView): string {
  return owner === undefined ? '' : ` of ${owner}`;
}

export function issuerOf({ pool }: PoolFacts): string {
  return pool.spec.provider.issuer;
}

export function say({ pool }: PoolFacts, message: string): string {
  return about(`IdentityPool ${pool.metadata.name}`, message);
}
