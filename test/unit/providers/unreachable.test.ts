import test from 'ava';
import { parseRfc3339 } from '#src/clock.ts';
import { OperatorError } from '#src/errors.ts';
import { unreachable } from '#src/providers/unreachable.ts';

const where = { issuer: 'https://idp.example.com', now: parseRfc3339('2026-11-24T12:00:00Z')! };
const kind = (error: OperatorError): string => `${error.class} ${error.reason} ${error.whose}`;

const networkRows: readonly (readonly [unknown, string])[] = [
  [Object.assign(new Error('x'), { code: 'ECONNREFUSED' }), 'Transient ProviderUnavailable Issuer'],
  [Object.assign(new Error('x'), { code: 'ENOTFOUND' }), 'Transient ProviderUnavailable Issuer'],
  [
    new AggregateError([Object.assign(new Error('x'), { code: 'ECONNREFUSED' })]),
    'Transient ProviderUnavailable Issuer',
  ],
  [
    Object.assign(new TypeError('fetch failed'), {
      cause: Object.assign(new Error('x'), { code: 'CERT_HAS_EXPIRED' }),
    }),
    'Transient TlsInvalid Issuer',
  ],
  [Object.assign(new Error('x'), { code: 'UNABLE_TO_VERIFY_LEAF_SIGNATURE' }), 'Transient TlsInvalid Issuer'],
  [Object.assign(new Error('x'), { code: 'ERR_TLS_CERT_ALTNAME_INVALID' }), 'Transient TlsInvalid Issuer'],
  [Object.assign(new Error('x'), { code: 'ERR_SSL_WRONG_VERSION_NUMBER' }), 'Transient TlsInvalid Issuer'],
  [new DOMException('x', 'TimeoutError'), 'Transient ProviderUnavailable Issuer'],
  ['a string', 'Transient ProviderUnavailable Issuer'],
];

test('a request without an answer is Transient and says what failed; a failure of our own stays as it is', (t) => {
  for (const [thrown, expected] of networkRows) t.is(kind(unreachable(thrown, where)), expected);
  const cancelled = unreachable(new DOMException('x', 'AbortError'), where, AbortSignal.abort());
  t.is(kind(cancelled), 'Transient ProviderUnavailable Object');
  const own = new OperatorError({ class: 'Conflict', reason: 'ApiConflict', message: 'x' });
  t.is(unreachable(own, where), own);
});
