import { second } from '../../../clock.ts';
import { strings, text } from '../../fields.ts';
import type { ProviderError } from '../../provider-error.ts';
import type { Profile } from '../profile.ts';
import { generic } from './generic.ts';

const lifespan = 'client_credentials_grant_access_token_lifespan';
const algorithm = 'token_endpoint_auth_signing_alg';

/** `1h30m0s` as Go writes it → seconds; `undefined` for anything else. */
function secondsIn(duration: unknown): number | undefined {
  const [whole = '', hours = '0', minutes = '0', seconds = '0'] =
    /^(?:(\d{1,6})h)?(?:(\d{1,8})m)?(?:(\d{1,9})s)?$/.exec(text(duration) ?? '') ?? [];
  return whole === '' ? undefined : Number(hours) * 3_600 + Number(minutes) * 60 + Number(seconds);
}

/** Each only where the answer tells it: a `null` is told, and means that nothing is set. */
function settingsIn(body: Readonly<Record<string, unknown>>): Readonly<Record<string, string>> {
  const audiences = body['audience'] === null ? [] : strings(body['audience']);
  return {
    ...(body['audience'] === undefined || audiences === undefined
      ? {}
      : { audience: [...new Set(audiences)].toSorted().join(' ') }),
    ...(body[lifespan] === undefined ? {} : { [lifespan]: String(secondsIn(body[lifespan]) ?? '') }),
    // Not told: not set.
    [algorithm]: text(body[algorithm]) ?? '',
  };
}

/** The beginnings of what its library says beside `invalid_request`, after a sentence that is always the same. */
const unknownKey = /\b(JSON Web Token uses signing key|Unable to find \w+ public key|does not contain any key)/;
const refusedAudience = /\bRequested audience /;

function refusalOf({ status, code, text: said = '' }: ProviderError): 'Credential' | 'Ask' | undefined {
  if (status !== 400 || code !== 'invalid_request') return undefined;
  if (unknownKey.test(said)) return 'Credential';
  return refusedAudience.test(said) ? 'Ask' : undefined;
}

/**
 * Ory Hydra 2.3 by RFC 7591, which anybody may register at where it is switched on. It keeps `owner` and no `software_id`, gives tokens only for
 * the audiences that a client registered, and takes assertions of one algorithm only.
 */
export const hydra: Profile = {
  ...generic,
  name: 'Hydra',
  // Its metadata names one only where webfinger.oidc_discovery.client_registration_url is set.
  registrationEndpoint: ({ issuer, registrationEndpoint }) =>
    registrationEndpoint ?? `${issuer.replace(/\/$/, '')}/oauth2/register`,
  toBody(desired, scopes) {
    const { software_id: owner, ...body } = generic.toBody(desired, scopes);
    const [oldest] = desired.keys;
    return {
      ...body,
      owner,
      audience: desired.audiences,
      [lifespan]: `${Math.floor(desired.maxTokenLifetime / second)}s`,
      // Without a name it is RS256, which shuts out both keys where they differ; so the one that mints now keeps working.
      ...(oldest?.['alg'] === undefined ? {} : { [algorithm]: oldest['alg'] }),
    };
  },
  fromBody: (body) => {
    const { tag: _, ...said } = generic.fromBody(body);
    const owner = text(body['owner']);
    return { ...said, ...(owner === undefined ? {} : { tag: owner }), settings: settingsIn(body) };
  },
  assertionAudience: 'TokenEndpoint',
  audienceBy: 'Audience',
  introspection: 'Elsewhere',
  refusalOf,
  // To whoever manages a client that is gone it says 401.
  isSwitchedOff: ({ status }) => status === 404,
  registrationHint(error) {
    if (error.status !== 404) return undefined;
    return 'In Hydra switch oidc.dynamic_client_registration.enabled on.';
  },
};
