/** What is decided before a call, and what is known of the provider's clock; over a connection: test/faults/http.test.ts. */
import test from 'ava';
import { type Milliseconds, minute, plus, second } from '#src/clock.ts';
import { OperatorError } from '#src/errors.ts';
import { Http, type HttpOptions } from '#src/providers/http.ts';
import { surelyWithoutEffect } from '#src/providers/no-effect.ts';
import { noon } from '#test/support/builders.ts';
import { VirtualClock } from '#test/support/virtual-clock.ts';

const issuer = 'https://idp.example.com';

function httpWith(options: Partial<HttpOptions> = {}): Http {
  const clock = new VirtualClock(noon);
  return new Http({ issuer, clock, caBundle: () => undefined, allowPrivateNetwork: () => true, ...options });
}

const rows: readonly (readonly [Milliseconds, Milliseconds])[] = [
  [0, 0],
  [4 * second, 0],
  [4_499, 0],
  [4_500, 5 * second],
  [-5_499, 0],
  [-5_500, -5 * second],
  [10 * minute, 10 * minute + 500],
  [-10 * minute, -10 * minute + 500],
];
for (const [said, ahead] of rows)
  test(`a provider whose whole seconds are ${said} ms ahead of ours: assertions are ${ahead} ms ahead`, (t) => {
    const http = httpWith();
    t.deepEqual([http.clockOffset, http.providerNow()], [undefined, noon]);
    http.sawTime(plus(noon, said));
    t.deepEqual([http.clockOffset, http.providerNow()], [said + 500, plus(noon, ahead)]);
    http.forgetTime();
    t.deepEqual([http.clockOffset, http.providerNow()], [undefined, noon]);
  });

const call = (http: Http, url: string): Promise<unknown> =>
  // Nobody listens there: whoever is called is told of a refused connection.
  http.send({ method: 'GET', url, maxBytes: 1 }, new AbortController().signal);

for (const [bundle, reason] of [
  [undefined, 'ProviderUnavailable'],
  ['', 'TlsInvalid'],
  ['-----BEGIN PRIVATE KEY-----', 'TlsInvalid'],
  ['-----BEGIN CERTIFICATE-----', 'ProviderUnavailable'],
  ['-----BEGIN X509 CERTIFICATE-----', 'ProviderUnavailable'],
  ['# ours\n-----BEGIN TRUSTED CERTIFICATE-----', 'ProviderUnavailable'],
] as const)
  test(`a CA bundle of ${JSON.stringify(bundle ?? 'the system')}: ${reason === 'TlsInvalid' ? 'nothing is called' : 'called'}`, async (t) => {
    const http = httpWith({ caBundle: () => bundle });
    t.teardown(() => http.close());
    const error = await t.throwsAsync(call(http, 'https://127.0.0.1:9/'), { instanceOf: OperatorError });
    t.deepEqual([error?.class, error?.reason, error?.whose], ['Transient', reason, 'Issuer']);
    if (reason === 'TlsInvalid')
      t.regex(
        error?.message ?? '',
        /^issuer https:\/\/idp\.example\.com: not called, because what caBundleRef .* or correct the name\.$/,
      );
  });

for (const [url, allowed, sentence] of [
  ['http://127.0.0.1:9/', true, /only https is called/],
  ['https://127.0.0.1:9/', false, /127\.0\.0\.1 is private.*allowPrivateNetwork/],
] as const)
  test(`${url} is not called`, async (t) => {
    const http = httpWith({ allowPrivateNetwork: () => allowed });
    const error = await t.throwsAsync(call(http, url), { instanceOf: OperatorError, message: sentence });
    t.is(error?.reason, 'AddressNotAllowed');
    t.true(error !== undefined && surelyWithoutEffect(error));
  });
