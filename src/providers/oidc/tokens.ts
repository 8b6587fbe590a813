/** Client credentials (RFC 6749 §4.4), revocation (RFC 7009) and introspection (RFC 7662). */
import { clientCredentialsGrant, Configuration, customFetch, tokenIntrospection, tokenRevocation } from 'openid-client';
import type { Clock } from '../../clock.ts';
import type { Ask } from '../../domain/access/access.ts';
import type { Credential } from '../../domain/client/credential.ts';
import type { Minted } from '../../domain/token.ts';
import type { Redacted } from '../../redacted.ts';
import { misbehaves, type Operation, refused, type Where } from '../classify.ts';
import { parseJsonObject, strings, withoutUndefined, words } from '../fields.ts';
import { type Http, type HttpAnswer, smallAnswer } from '../http.ts';
import type { RevocationOutcome, TokenSource } from '../port.ts';
import { readProviderError } from '../provider-error.ts';
import { askParameters } from './audiences.ts';
import { authenticate } from './authentication.ts';
import type { Discovery, Metadata } from './discovery.ts';
import type { AudienceMapping, Profile } from './profile.ts';
import type { Reach } from './reach.ts';
import { jwtClaims, parseTokenAnswer } from './token-answer.ts';

export interface TokensOptions {
  readonly issuer: string;
  readonly http: Http;
  readonly clock: Clock;
  readonly discovery: Discovery;
  readonly profile: Profile;
  readonly audience: AudienceMapping;
  readonly reach: Reach;
}

/** What the provider says about a token. `active: false` proves nothing where the asking client is not in the token's audience (Keycloak). */
export interface Introspection {
  readonly active: boolean;
  readonly clientId?: string;
  readonly scopes?: readonly string[];
  readonly audiences?: readonly string[];
}

export class Tokens implements TokenSource {
  readonly #o: TokensOptions;

  constructor(options: TokensOptions) {
    this.#o = options;
  }

  async mint(ask: Ask, clientId: string, by: Credential, signal: AbortSignal): Promise<Minted> {
    const metadata = await this.#o.discovery.get(signal);
    const parameters = askParameters(ask, this.#o.audience, this.#o.profile, this.#o.issuer);
    const answer = await this.#exchange(metadata, metadata.tokenEndpoint, clientId, by, signal, (config) =>
      clientCredentialsGrant(config, parameters),
    );
    const where = this.#where(by);
    if (answer.status !== 200) throw this.#refused(answer, 'Token', where);
    const minted = parseTokenAnswer(answer, where);
    // A token for nothing in particular is given to nobody, and may be of another kind.
    if (ask.scopes.length > 0) this.#o.reach.sawToken(jwtClaims(minted.value.reveal()) !== undefined);
    if (answer.providerTime === undefined && minted.providerTime !== undefined)
      this.#o.http.sawTime(minted.providerTime);
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
    const answer = await this.#exchange(metadata, metadata.revocationEndpoint, clientId, by, signal, (config) =>
      tokenRevocation(config, token.reveal(), { token_type_hint: 'access_token' }),
    );
    const isJwt = jwtClaims(token.reveal()) !== undefined;
    const code = answer.status === 400 ? readProviderError(answer, []).code : undefined;
    if (code === 'unsupported_token_type') {
      if (isJwt) this.#o.reach.sawRefusal();
      return 'NotSupported';
    }
    const done = (answer.status >= 200 && answer.status < 300) || code === 'invalid_token';
    if (!done) throw this.#refused(answer, 'Revoke', this.#where(by, token));
    return isJwt ? 'Requested' : 'Confirmed';
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
    const answer = await this.#exchange(metadata, metadata.introspectionEndpoint, clientId, by, signal, (config) =>
      tokenIntrospection(config, token.reveal(), { token_type_hint: 'access_token' }),
    );
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
        audiences: body['aud'] === undefined ? undefined : strings(body['aud']),
      }),
    };
  }

  /**
   * Lets openid-client authenticate and send exactly one request, and gives back what came: its own errors lose the status, `Retry-After`
   * and `Date`, and quote tokens, so its verdict on the answer is not asked.
   */
  async #exchange(
    metadata: Metadata,
    endpoint: string,
    clientId: string,
    by: Credential,
    signal: AbortSignal,
    call: (config: Configuration) => Promise<unknown>,
  ): Promise<HttpAnswer> {
    const { http, profile, issuer } = this.#o;
    const clientAuth = await authenticate(by, profile, metadata, endpoint, http.providerNow());
    const config = new Configuration(
      withoutUndefined({
        issuer,
        token_endpoint: metadata.tokenEndpoint,
        revocation_endpoint: metadata.revocationEndpoint,
        introspection_endpoint: metadata.introspectionEndpoint,
      }) as { issuer: string },
      clientId,
      {},
      clientAuth,
    );
    config.timeout = undefined;
    let outcome: { readonly answer: HttpAnswer } | { readonly failure: Error } | undefined;
    config[customFetch] = async (url, { method, headers, body }) => {
      try {
        const text = body instanceof URLSearchParams ? body.toString() : '';
        const answer = await http.send(
          { method: method as 'POST', url, headers, body: text, maxBytes: smallAnswer },
          signal,
        );
        outcome = { answer };
        return new Response([204, 205, 304].includes(answer.status) ? null : answer.body, {
          status: answer.status,
          headers: { 'content-type': answer.headers['content-type'] ?? '' },
        });
      } catch (failure) {
        outcome = { failure: failure as Error };
        throw failure;
      }
    };
    try {
      await call(config);
    } catch (error) {
      if (outcome === undefined) throw error;
    }
    if (outcome === undefined) throw new Error('openid-client sent nothing');
    if ('failure' in outcome) throw outcome.failure;
    return outcome.answer;
  }

  #refused(answer: HttpAnswer, operation: Operation, where: Where): Error {
    if (answer.status === 404 || answer.status === 405) this.#o.discovery.forget();
    return refused(answer, operation, where);
  }

  #where(by: Credential, token?: Redacted<string>): Where {
    const secret = by.type === 'PrivateKeyJwt' ? undefined : by.secret?.reveal();
    const secrets = [secret, token?.reveal()].filter((value) => value !== undefined);
    const { issuer, clock, profile } = this.#o;
    return {
      issuer,
      now: clock.now(),
      secrets,
      mayConcernClient: (error) => profile.failsOnUnusableClient?.(error) === true,
    };
  }
}
