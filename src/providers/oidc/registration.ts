/** Dynamic client registration (RFC 7591) and its management (RFC 7592), tolerant of what real servers answer. */
import { type Clock, second } from '../../clock.ts';
import type { ClientObservation } from '../../domain/client/record.ts';
import { Redacted } from '../../redacted.ts';
import { misbehaves, type Operation, refused, type Where } from '../classify.ts';
import { secretExpiry } from '../expiry.ts';
import { epochSeconds, parseJsonObject, withoutUndefined } from '../fields.ts';
import { refusalBy } from '../refusal-origin.ts';
import { isNotOffered } from '../refusals.ts';
import { jwtClaims } from './token-answer.ts';
import { type Http, type HttpAnswer, type HttpRequest, largeAnswer } from '../http.ts';
import type { ClientAnswer, ClientRef, ClientRegistry, DesiredClient } from '../port.ts';
import type { Offer } from './offer.ts';
import type { Discovery } from './discovery.ts';
import { driftOf } from './drift.ts';
import { readProviderError } from '../provider-error.ts';
import type { ClientMetadata, Profile } from './profile.ts';
import { knownToken, type RegistrationToken } from './registration-token.ts';
import { lostToken, missingToken, noToken, terminal } from './registration-failures.ts';

export interface RegistrationOptions {
  readonly issuer: string;
  readonly http: Http;
  readonly clock: Clock;
  readonly discovery: Discovery;
  readonly profile: Profile;
  readonly changes: Offer;
  readonly registrationToken: () => RegistrationToken;
  /** A credential that manages every client and does not rotate; heals a lost registration access token. */
  readonly managementToken: () => Redacted<string> | undefined;
  /** Scopes that carry these audiences at this provider. */
  readonly carriers: (audiences: readonly string[]) => readonly string[];
}

/** A registration that is not waited for may leave a client that nobody knows; other calls can be made again. */
const registrationDeadline = 30 * second;

export class Registration implements ClientRegistry {
  readonly #o: RegistrationOptions;

  constructor(options: RegistrationOptions) {
    this.#o = options;
  }

  async register(desired: DesiredClient, signal: AbortSignal): Promise<ClientAnswer> {
    const token = this.#o.registrationToken();
    if (token === 'Missing') throw missingToken(this.#o.issuer);
    const endpoint = await this.#endpoint(signal);
    const impossible = this.#o.profile.whyNotRegistered?.(desired);
    if (impossible !== undefined) throw terminal(this.#o.issuer, 'RegistrationRefused', impossible);
    const { clientId, ...unnamed } = desired;
    const named = this.#o.profile.clientIdBy === 'Us' && clientId !== undefined ? desired : unnamed;
    const answer = await this.#send('POST', endpoint, token, this.#body(named), signal);
    if (answer.status === 200 || answer.status === 201) return this.#made(answer, 'Register', named, endpoint);
    if (token === undefined && (answer.status === 401 || answer.status === 403)) {
      throw terminal(
        this.#o.issuer,
        'RegistrationCredentialMissing',
        'registration needs a credential and none is configured. Put an initial access token into a Secret and name it in registrationTokenRef of this issuer.',
        'Issuer',
      );
    }
    const where = this.#where([token], desired);
    if (this.#o.profile.isIdTaken?.(readProviderError(answer, where.secrets ?? [])) === true) {
      throw terminal(
        this.#o.issuer,
        'ClientIdTaken',
        `a client ${clientId ?? ''} is there already: deletionPolicy Retain left it, or a registration whose answer was lost, or it is somebody else's. It is adopted if our credential works for it. Otherwise create the pool under another name; delete it at the provider only where nothing uses it, which may be another pool.`,
      );
    }
    throw refused(answer, 'Register', where);
  }

  async observe(
    ref: ClientRef,
    desired: DesiredClient,
    signal: AbortSignal,
  ): Promise<ClientObservation & Pick<ClientAnswer, 'management'>> {
    const at = this.#o.clock.now();
    const endpoint = await this.#endpoint(signal);
    const answer = await this.#manage('GET', ref, endpoint, undefined, signal);
    if (answer === undefined) return { is: 'Unknowable', at, drift: [] };
    const { silentRefusals } = this.#o.profile;
    if (refusalBy(answer, 'Manage', silentRefusals) === 'Provider') return { is: 'Unknowable', at, drift: [] };
    if (await this.#saysGone(answer, signal)) return { is: 'Gone', at, drift: [] };
    if (answer.status !== 200) throw refused(answer, 'Manage', this.#where(this.#tokensOf(ref)));
    const { observed, management } = this.#read(answer, 'Manage', { ...desired, clientId: ref.clientId }, endpoint);
    const rotated = management !== undefined && management.token.reveal() !== ref.management?.token.reveal();
    return rotated ? { ...observed, management } : observed;
  }

  /** Replaces the whole client by `desired`; nothing of what a GET answered goes back (RFC 7592 §2.2). */
  async update(ref: ClientRef, desired: DesiredClient, signal: AbortSignal): Promise<ClientAnswer> {
    const endpoint = await this.#endpoint(signal);
    const named = { ...desired, clientId: ref.clientId };
    const answer = await this.#manage('PUT', ref, endpoint, this.#body(named), signal);
    if (answer === undefined) throw lostToken(this.#o.issuer);
    const isChanged = answer.status === 200 || answer.status === 201 || answer.status === 204;
    if (isChanged) this.#o.changes.sawSuccess();
    if (answer.status === 204) {
      return { clientId: ref.clientId, observed: { is: 'Present', at: this.#o.clock.now(), drift: [] } };
    }
    if (isChanged) return this.#made(answer, 'Manage', named, endpoint);
    // Some providers let clients be read and not be changed, and say 404 to that.
    if ((await this.#saysGone(answer, signal)) && !(await this.#isThere(ref, endpoint, signal))) {
      throw terminal(this.#o.issuer, 'ClientGone', `client ${ref.clientId} no longer exists at the provider.`);
    }
    const error = refused(answer, 'Manage', this.#where(this.#tokensOf(ref), desired));
    if (error.class === 'Terminal' && isNotOffered(answer) && !this.#isSwitchedOff(answer))
      this.#o.changes.sawRefusal(this.#o.clock.now());
    throw error;
  }

  async #isThere(ref: ClientRef, endpoint: string, signal: AbortSignal): Promise<boolean> {
    const seen = await this.#manage('GET', ref, endpoint, undefined, signal);
    return seen?.status === 200;
  }

  async deregister(ref: ClientRef, signal: AbortSignal): Promise<'Deleted' | 'Gone'> {
    const endpoint = await this.#endpoint(signal);
    const answer = await this.#manage('DELETE', ref, endpoint, undefined, signal);
    if (answer === undefined) throw lostToken(this.#o.issuer);
    if (answer.status >= 200 && answer.status < 300) return 'Deleted';
    if (await this.#saysGone(answer, signal)) return 'Gone';
    throw refused(answer, 'Manage', this.#where(this.#tokensOf(ref)));
  }

  async #endpoint(signal: AbortSignal): Promise<string> {
    const endpoint = this.#o.profile.registrationEndpoint(await this.#o.discovery.get(signal));
    if (endpoint !== undefined) return endpoint;
    throw terminal(
      this.#o.issuer,
      'RegistrationRefused',
      'the provider offers no dynamic client registration. Switch it on there, or name an existing client in the pool.',
      'Issuer',
    );
  }

  #body(desired: DesiredClient): string {
    return JSON.stringify(this.#o.profile.toBody(desired, this.#scopes(desired)));
  }

  #scopes(desired: DesiredClient): readonly string[] {
    return [...new Set([...desired.scopes, ...this.#o.carriers(desired.audiences)])].toSorted();
  }

  /** With the client's own token, then with the issuer's; a call that is refused has changed nothing. `undefined`: there is no token. */
  async #manage(
    method: 'GET' | 'PUT' | 'DELETE',
    ref: ClientRef,
    endpoint: string,
    body: string | undefined,
    signal: AbortSignal,
  ): Promise<HttpAnswer | undefined> {
    const uri = this.#ownUri(ref.management?.uri) ?? uriOf(endpoint, ref.clientId);
    let answer: HttpAnswer | undefined;
    for (const token of this.#tokensOf(ref)) {
      answer = await this.#send(method, uri, token, body, signal);
      if (answer.status !== 401 && answer.status !== 403) break;
    }
    return answer;
  }

  /**
   * What stands before a provider that restarts says 404 too. Text is surely not the provider's; an empty answer or JSON is believed where the
   * metadata come at the same moment. A gateway may have lost the way to the clients alone, so nothing is given up for it before a proof.
   */
  async #saysGone(answer: HttpAnswer, signal: AbortSignal): Promise<boolean> {
    const { status, body } = answer;
    if (status !== 404 && status !== 410) return false;
    if (body.trim() !== '' && parseJsonObject(body) === undefined) {
      this.#o.discovery.forget();
      throw misbehaves('Manage', this.#where(), `${status} without a JSON object`);
    }
    if (this.#isSwitchedOff(answer)) return false;
    if (await this.#o.discovery.comesNow(signal)) return true;
    throw misbehaves('Manage', this.#where(), `${status}, and no metadata either: something else seems to answer`);
  }

  #isSwitchedOff(answer: HttpAnswer): boolean {
    return this.#o.profile.isSwitchedOff?.(readProviderError(answer, [])) === true;
  }

  #tokensOf(ref: ClientRef): readonly Redacted<string>[] {
    return [ref.management?.token, this.#o.managementToken()].filter((token) => token !== undefined);
  }

  #send(
    method: HttpRequest['method'],
    url: string,
    token: Redacted<string> | undefined,
    body: string | undefined,
    signal: AbortSignal,
  ): Promise<HttpAnswer> {
    const bearer = token?.reveal().trim();
    if (bearer !== undefined && !/^[!-~]+$/.test(bearer)) throw noToken(this.#o.issuer, method);
    const deadline = method === 'POST' ? registrationDeadline : undefined;
    const headers = {
      ...(bearer === undefined ? {} : { authorization: `Bearer ${bearer}` }),
      ...(body === undefined ? {} : { 'content-type': 'application/json' }),
    };
    return this.#o.http.send(
      { method, url, headers, maxBytes: largeAnswer, ...withoutUndefined({ body, deadline }) },
      signal,
    );
  }

  /** The management token in it was signed just now, so where nothing else tells the provider's clock it does. */
  #made(answer: HttpAnswer, operation: Operation, desired: DesiredClient, endpoint: string): ClientAnswer {
    const made = this.#read(answer, operation, desired, endpoint);
    const signed = answer.providerTime === undefined ? made.management?.token.reveal() : undefined;
    const issuedAt = signed === undefined ? undefined : epochSeconds(jwtClaims(signed)?.['iat']);
    if (issuedAt !== undefined) this.#o.http.sawTime(issuedAt);
    return made;
  }

  #read(answer: HttpAnswer, operation: Operation, desired: DesiredClient, endpoint: string): ClientAnswer {
    const body = parseJsonObject(answer.body);
    if (body === undefined) throw misbehaves(operation, this.#where(), `${answer.status} without a JSON object`);
    const said = this.#o.profile.fromBody(body);
    const clientId = said.clientId ?? desired.clientId;
    if (clientId === undefined || !/^[\u0020-\u007e]{1,512}$/.test(clientId)) {
      throw misbehaves(operation, this.#where(), `${answer.status} without a usable client id`);
    }
    if (this.#credentialsIn(said).some((secret) => clientId.includes(secret))) {
      throw misbehaves(operation, this.#where(), `${answer.status} with a credential as client id`);
    }
    if (operation === 'Manage' && clientId !== desired.clientId) {
      throw misbehaves(operation, this.#where(), 'the answer is about another client');
    }
    return {
      clientId,
      ...secretExpiry(said.secretExpiresAt, this.#o.clock.now(), this.#o.http.providerNow()),
      ...withoutUndefined({
        secret: said.secret === undefined ? undefined : new Redacted(said.secret),
        management: this.#management(said, clientId, endpoint),
      }),
      observed: {
        is: 'Present',
        at: this.#o.clock.now(),
        ...driftOf(said, desired, this.#o.profile, this.#o.carriers(desired.audiences)),
        ...withoutUndefined({ tag: said.tag, generation: generationIn(said.name, desired.name) }),
      },
    };
  }

  /** A client id stands in status and audit lines. */
  #credentialsIn(said: ClientMetadata): readonly string[] {
    const ours = [knownToken(this.#o.registrationToken()), this.#o.managementToken()].map((token) =>
      token?.reveal().trim(),
    );
    return [...ours, said.secret, said.managementToken].flatMap((secret) =>
      secret === undefined || secret.length < 8 ? [] : [secret],
    );
  }

  /** The token goes nowhere but to the issuer: a URI elsewhere is replaced by the one that RFC 7592 suggests. */
  #management(said: ClientMetadata, clientId: string, endpoint: string): ClientAnswer['management'] {
    if (said.managementToken === undefined || !/^[\u0021-\u007e]{1,16384}$/.test(said.managementToken))
      return undefined;
    const uri = this.#ownUri(said.managementUri) ?? uriOf(endpoint, clientId);
    return { token: new Redacted(said.managementToken), uri };
  }

  #ownUri(uri: string | undefined): string | undefined {
    if (uri === undefined || uri.length > 2_048 || !URL.canParse(uri)) return undefined;
    const url = new URL(uri);
    return url.href === uri && url.origin === new URL(this.#o.issuer).origin ? uri : undefined;
  }

  #where(tokens: readonly (Redacted<string> | undefined)[] = [], desired?: DesiredClient): Where {
    const { issuer, clock, profile } = this.#o;
    const wanted =
      desired === undefined
        ? { scopes: [], carriers: [] }
        : { scopes: this.#scopes(desired), carriers: this.#o.carriers(desired.audiences) };
    return {
      issuer,
      now: clock.now(),
      ...withoutUndefined({ silentRefusals: profile.silentRefusals }),
      secrets: tokens.flatMap((token) => (token === undefined ? [] : [token.reveal().trim()])),
      ...(desired === undefined ? {} : { asked: { scopes: wanted.scopes, audiences: [] } }),
      registrationHint: (error) => profile.registrationHint(error, issuer, wanted),
    };
  }
}

/** Our names end in a space and the generation; a name that somebody else gave says nothing. */
function generationIn(name: string | undefined, ours: string): number | undefined {
  const numbered = /^(.*) (\d{1,9})$/s;
  const said = numbered.exec(name ?? '');
  return said === null || said[1] !== numbered.exec(ours)?.[1] ? undefined : Number(said[2]);
}

function uriOf(endpoint: string, clientId: string): string {
  return `${endpoint.replace(/\/$/, '')}/${encodeURIComponent(clientId)}`;
}
