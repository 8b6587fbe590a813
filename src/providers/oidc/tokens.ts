/** Client credentials (RFC 6749 §4.4), revocation (RFC 7009) and introspection (RFC 7662). */
import type { Clock } from '../../clock.ts';
import type { Ask } from '../../domain/access/access.ts';
import type { Credential } from '../../domain/client/credential.ts';
import type { Minted, RevocationOutcome } from '../../domain/token.ts';
import type { Redacted } from '../../redacted.ts';
import { misbehaves, type Operation, refused, type Where } from '../classify.ts';
import { parseJsonObject, strings, withoutUndefined, words } from '../fields.ts';
import { type Http, type HttpAnswer, smallAnswer } from '../http.ts';
import type { TokenSource } from '../port.ts';
import { readProviderError } from '../provider-error.ts';
import { isRefusedIn } from '../refusal-origin.ts';
import { askParameters } from './audiences.ts';
import { authenticate } from './authentication.ts';
import type { Discovery, Metadata } from './discovery.ts';
import type { AssertionAudience, AudienceMapping, Profile } from './profile.ts';
import type { Reach } from './reach.ts';
import { isSelfContained, parseTokenAnswer } from './token-answer.ts';

export interface TokensOptions {
  readonly issuer: string;
  readonly http: Http;
  readonly clock: Clock;
  readonly discovery: Discovery;
  readonly profile: Profile;
  readonly audience: AudienceMapping;
  readonly reach: Reach;
  readonly tokenIssuer: () => string | undefined;
  readonly assertionAudience: () => AssertionAudience | undefined;
}

/** What the provider says about a token. `active: false` proves nothing where the asking client is not in the token's audience (Keycloak). */
export interface Introspection {
  readonly active: boolean;
  readonly clientId?: string;
  readonly scopes?: readonly string[];
  readonly audiences?: readonly string[];
}

/** A request that the client authenticates, with its own parameters only. */
interface Authenticated {
  readonly metadata: Metadata;
  readonly endpoint: string;
  readonly form: URLSearchParams;
  readonly clientId: string;
  readonly by: Credential;
}

export class Tokens implements TokenSource {
  readonly #o: TokensOptions;

  constructor(options: TokensOptions) {
    this.#o = options;
  }

  async mint(ask: Ask, clientId: string, by: Credential, signal: AbortSignal): Promise<Minted> {
    const metadata = await this.#o.discovery.get(signal);
    const form = askParameters(ask, this.#o.audience, this.#o.profile, this.#o.issuer);
    form.set('grant_type', 'client_credentials');
    const answer = await this.#post({ metadata, endpoint: metadata.tokenEndpoint, form, clientId, by }, signal);
    const where = this.#where(by);
    if (answer.status !== 200 || isRefusedIn(answer)) {
      const scopes = (form.get('scope') ?? '').split(' ').filter((scope) => scope !== '');
      throw this.#refused(answer, 'Token', { ...where, asked: { scopes, audiences: ask.audiences } });
    }
    const minted = parseTokenAnswer(answer, where, this.#o.tokenIssuer());
    // A token for nothing in particular is given to nobody, and may be of another kind.
    if (ask.scopes.length > 0) this.#o.reach.sawToken(isSelfContained(minted.value.reveal()));
    if (answer.providerTime === undefined && minted.jwt?.issuedAt !== undefined)
      this.#o.http.sawTime(minted.jwt.issuedAt);
    return minted;
  }

  /** `Confirmed`: the provider forgot it and nobody can use it without asking the provider. `Requested`: some may still accept it. */
  async revoke(
    token: Redacted<string>,
    clientId: string,
    by: Credential,
    signal: AbortSignal,
  ): Promise<RevocationOutcome> {
    const metadata = await this.#o.discovery.get(signal);
    if (metadata.revocationEndpoint === undefined) return 'NotSupported';
    const form = new URLSearchParams({ token: token.reveal(), token_type_hint: 'access_token' });
    const answer = await this.#post({ metadata, endpoint: metadata.revocationEndpoint, form, clientId, by }, signal);
    const selfContained = isSelfContained(token.reveal());
    const isRefused = isRefusedIn(answer);
    const code = answer.status === 400 || isRefused ? readProviderError(answer, []).code : undefined;
    if (code === 'unsupported_token_type') {
      this.#o.reach.sawRefusal(selfContained, this.#o.clock.now());
      return 'NotSupported';
    }
    const done = (answer.status >= 200 && answer.status < 300 && !isRefused) || code === 'invalid_token';
    if (!done) throw this.#refused(answer, 'Revoke', this.#where(by, token));
    this.#o.reach.sawRevoked(selfContained);
    return selfContained ? 'Requested' : 'Confirmed';
  }

  /** `undefined`: the provider offers no introspection or not for this kind of token. */
  async introspect(
    token: Redacted<string>,
    clientId: string,
    by: Credential,
    signal: AbortSignal,
  ): Promise<Introspection | undefined> {
    const metadata = await this.#o.discovery.get(signal);
    if (metadata.introspectionEndpoint === undefined) return undefined;
    const form = new URLSearchParams({ token: token.reveal(), token_type_hint: 'access_token' });
    const answer = await this.#post({ metadata, endpoint: metadata.introspectionEndpoint, form, clientId, by }, signal);
    if (answer.status === 400 && readProviderError(answer, []).code === 'unsupported_token_type') return undefined;
    const where = this.#where(by, token);
    if (answer.status !== 200) throw this.#refused(answer, 'Introspect', where);
    const body = parseJsonObject(answer.body);
    if (typeof body?.['active'] !== 'boolean') throw misbehaves('Introspect', where, '200 without `active`');
    return {
      active: body['active'],
      ...withoutUndefined({
        clientId: typeof body['client_id'] === 'string' ? body['client_id'] : undefined,
        scopes: words(body['scope']),
        audiences: strings(body['aud']),
      }),
    };
  }

  /**
   * One authenticated request. Only the authentication is openid-client's: its calls lose the status, `Retry-After` and `Date` of what came,
   * and their errors quote tokens.
   */
  async #post(request: Authenticated, signal: AbortSignal): Promise<HttpAnswer> {
    const { http } = this.#o;
    const answer = await this.#send(request, signal);
    const isDated = request.by.type === 'PrivateKeyJwt' && http.clockOffset !== undefined;
    if (!isDated || answer.providerTime !== undefined || readProviderError(answer, []).code !== 'invalid_client')
      return answer;
    // Its clock, or ours, may have been set since it last told the time, and only an assertion of another time can show that.
    http.forgetTime();
    return this.#send(request, signal);
  }

  async #send({ metadata, endpoint, form, clientId, by }: Authenticated, signal: AbortSignal): Promise<HttpAnswer> {
    const { http, profile, issuer } = this.#o;
    const audience = this.#o.assertionAudience() ?? profile.assertionAudience;
    const authenticated = await authenticate(by, audience, metadata, endpoint, http.providerNow());
    const headers = new Headers({ 'content-type': 'application/x-www-form-urlencoded;charset=UTF-8' });
    const body = new URLSearchParams(form);
    await authenticated({ issuer }, { client_id: clientId }, body, headers);
    const request = { url: endpoint, headers: Object.fromEntries(headers), body: body.toString() };
    return http.send({ method: 'POST', ...request, maxBytes: smallAnswer }, signal);
  }

  #refused(answer: HttpAnswer, operation: Operation, where: Where): Error {
    if (answer.status === 404 || answer.status === 405) this.#o.discovery.forget();
    return refused(answer, operation, where);
  }

  #where(by: Credential, token?: Redacted<string>): Where {
    // The id of a key is none, but it would make another sentence of each rotation.
    const secret = by.type === 'PrivateKeyJwt' ? by.kid : by.secret?.reveal();
    const secrets = [secret, token?.reveal()].filter((value) => value !== undefined);
    const { issuer, clock, profile } = this.#o;
    return {
      issuer,
      now: clock.now(),
      secrets,
      ...withoutUndefined({ silentRefusals: profile.silentRefusals }),
      refusalOf: (error) => profile.refusalOf?.(error),
      mayConcernClient: (error) => profile.failsOnUnusableClient?.(error) === true,
    };
  }
}
