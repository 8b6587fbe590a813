import test from 'ava';
import type { Reason } from '#src/api/reasons.ts';
import { type Instant, day, instant, minute, plus, second } from '#src/clock.ts';
import { type RefusedCredential, diagnose } from '#src/domain/client/authentication.ts';
import type { Generation } from '#src/domain/client/record.ts';
import { Redacted } from '#src/redacted.ts';

const now: Instant = instant(Date.UTC(2026, 10, 24, 12));
const key: Generation = {
  n: 2,
  state: 'Current',
  since: plus(now, -day),
  credential: { type: 'PrivateKeyJwt', kid: 'k', alg: 'ES256', publicJwk: {}, privateJwk: new Redacted('{}') },
};
const secret = (expiresAt?: Instant): Generation => ({
  ...key,
  credential: { type: 'ClientSecretBasic', ...(expiresAt === undefined ? {} : { expiresAt }) },
});
const seen = { is: 'Present', at: now, drift: [] } as const;
const base: RefusedCredential = { call: 'Token', said: '401 invalid_client', generation: key, observed: seen };

const table: readonly (readonly [what: string, facts: Partial<RefusedCredential>, reason: Reason, says: RegExp])[] = [
  ['nothing else speaks', {}, 'CredentialRefused', /worked before/],
  [
    'a provider that changes no clients',
    { registersOnly: true, generation: secret() },
    'CredentialRefused',
    /worked before\. See whether the client is still there; a rotation .* with spec\.rotation\.allowSubjectChange registers a new one/,
  ],
  ['registration', { call: 'Register', said: '401' }, 'RegistrationCredentialRefused', /registrationTokenRef/],
  ['management', { call: 'Manage', said: '401' }, 'RegistrationAccessTokenLost', /managementTokenRef/],
  ['a secret past its end', { generation: secret(plus(now, -minute)) }, 'SecretExpired', /2026-11-24T11:59:00Z/],
  ['a secret that ends tomorrow', { generation: secret(plus(now, day)) }, 'CredentialRefused', /worked before/],
  ['a secret without an end', { generation: secret() }, 'CredentialRefused', /worked before/],
  ['a clock that is ahead', { clockOffset: 5 * minute }, 'ClockSkew', /about 5m ahead of ours.*look expired/],
  ['a clock that is behind', { clockOffset: -70 * second }, 'ClockSkew', /about 1m behind ours.*not yet valid/],
  ['clocks that agree well enough', { clockOffset: 20 * second }, 'CredentialRefused', /worked before/],
  [
    'a clock that is ahead, but a secret',
    { clockOffset: day, generation: secret() },
    'CredentialRefused',
    /worked before/,
  ],
  [
    'a client that is gone',
    { gone: true },
    'ClientGone',
    /no longer exists there, or was disabled.*allowSubjectChange/,
  ],
  ['a changed client', { observed: { ...seen, drift: ['jwks', 'scope'] } }, 'ClientDrifted', /\(jwks, scope\)/],
  [
    'a client without its service account, also while the rest of the change is set back',
    {
      said: 'The associated service account for the client does not exist',
      observed: { ...seen, drift: ['grantTypes'] },
    },
    'CredentialRefused',
    /no change of ours brings it back\. Save the client there/,
  ],
  ['a credential that is new', { generation: { ...key, state: 'Created' } }, 'CredentialUnverified', /new/],
  ['the audience of the assertion', { said: 'unexpected "aud" claim' }, 'AssertionAudienceWrong', /issuer URL/],
  [
    'the audience of the assertion, as Okta says it',
    { said: 'The audience claim for client_assertion must be the endpoint invoked for the request.' },
    'AssertionAudienceWrong',
    /\(Okta\) CalledEndpoint\.$/,
  ],
  [
    'the audience of the assertion of a new credential',
    { said: 'unexpected "aud" claim', generation: { ...key, state: 'Created' } },
    'AssertionAudienceWrong',
    /issuer URL/,
  ],
  [
    'a copy of a credential',
    { generation: { ...key, source: 's' } },
    'CredentialRefused',
    /Secret that spec\.client\.existing names\.$/,
  ],
  [
    'a secret in a header that is new',
    { generation: { ...secret(), state: 'Created' } },
    'CredentialUnverified',
    /by itself\. A product that does not decode .* ClientSecretPost\.$/,
  ],
  [
    'a copy of a secret in a header',
    { generation: { ...secret(), source: 's' } },
    'CredentialRefused',
    /Secret that spec\.client.* ClientSecretPost\.$/,
  ],
  [
    'a copy of a secret past its end',
    { generation: { ...secret(plus(now, -minute)), source: 's' } },
    'SecretExpired',
    /Secret that spec\.client/,
  ],
  ['a word that only looks like it', { said: 'client authentication failed' }, 'CredentialRefused', /worked before/],
  ['skew explains more than an audience', { said: 'bad aud', clockOffset: day }, 'ClockSkew', /about 1d ahead of ours/],
];

for (const [what, facts, reason, says] of table) {
  test(`${what}: ${reason}`, (t) => {
    const diagnosis = diagnose({ ...base, ...facts }, now);
    t.is(diagnosis.reason, reason);
    t.regex(`${diagnosis.why}. ${diagnosis.todo}.`, says);
  });
}
