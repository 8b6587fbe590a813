import test from 'ava';
import fc from 'fast-check';
import { day, hour, minute, plus, second } from '#src/clock.ts';
import type { Reason } from '#src/api/reasons.ts';
import { type TokenRules, checkMinted } from '#src/domain/token-check.ts';
import type { Minted } from '#src/domain/token.ts';
import { Redacted } from '#src/redacted.ts';
import { buildAsk, noon } from '#test/support/builders.ts';

const rules: TokenRules = {
  ignoredScopes: ['email', 'profile'],
  carrierScopes: ['aud-registry'],
  maxLifetime: 15 * minute,
  onExceed: 'Refuse',
  revocation: 'Immediate',
};
const asked = buildAsk({ scopes: ['a', 'aud-registry', 'b'], audiences: ['https://x'] });

function minted(overrides: Partial<Minted> = {}): Minted {
  return { value: new Redacted('secret-token'), sha256: 'a1', tokenType: 'Bearer', expiresIn: 300, ...overrides };
}

const { expiresIn: _, ...noLifetime } = minted();

const usable: readonly {
  readonly title: string;
  readonly answer: Minted;
  readonly scopes?: readonly string[];
  readonly life?: number;
  readonly rules?: TokenRules;
}[] = [
  { title: 'absent scope = as asked', answer: minted(), scopes: ['a', 'aud-registry', 'b'] },
  {
    title: 'exactly as asked, in another order',
    answer: minted({ scopes: ['b', 'a', 'aud-registry'] }),
    scopes: ['a', 'aud-registry', 'b'],
  },
  {
    title: 'a carrier scope may be missing from the answer',
    answer: minted({ scopes: ['a', 'b'] }),
    scopes: ['a', 'b'],
  },
  {
    title: 'ignored scopes are nothing',
    answer: minted({ scopes: ['a', 'b', 'email', 'profile'] }),
    scopes: ['a', 'b'],
  },
  { title: 'token_type in any case (RFC 6749 §5.1)', answer: minted({ tokenType: 'bearer' }) },
  { title: 'audience of the JWT as asked', answer: minted({ audiences: ['https://x'] }) },
  { title: 'an opaque token shows no audience', answer: minted() },
  { title: 'lifetime from expires_in', answer: minted({ expiresIn: 60 }), life: minute },
  {
    title: 'lifetime from the JWT, on the clock of the provider',
    answer: { ...minted({ jwt: { exp: plus(noon, 2 * minute) }, providerTime: plus(noon, -minute) }), expiresIn: 60 },
    life: 3 * minute,
  },
  {
    title: 'expires_in hides a JWT that ends earlier: resource servers go by the token',
    answer: minted({ jwt: { exp: plus(noon, 30 * second) } }),
    life: 30 * second,
  },
  {
    title: 'without a Date, a JWT that was issued a while ago: what is left of it by our clock',
    answer: { ...noLifetime, jwt: { exp: plus(noon, 10 * second), issuedAt: plus(noon, -590 * second) } },
    life: 10 * second,
  },
  {
    title: 'without a Date, a JWT that was issued ahead of our clock: by the clock of the provider',
    answer: minted({ jwt: { exp: plus(noon, 15 * minute), issuedAt: plus(noon, 10 * minute) } }),
    life: 5 * minute,
  },
  {
    title: 'an opaque token, however the clocks differ',
    answer: minted({ providerTime: plus(noon, day) }),
    life: 5 * minute,
  },
  {
    title: 'without a Date, a provider whose clock is behind: less is left of the token, and it is not refused',
    answer: minted({ jwt: { exp: plus(noon, 3 * minute), issuedAt: plus(noon, -2 * minute) } }),
    life: 3 * minute,
  },
  {
    title: 'what the token says of its scope, its carrier missing',
    answer: minted({ scopes: ['a', 'b', 'aud-registry'], jwt: { exp: plus(noon, minute), scopes: ['b', 'a'] } }),
  },
  {
    title: 'clocks of resource servers differ: a JWT whose nbf is a moment ahead',
    answer: minted({ jwt: { exp: plus(noon, 5 * minute), notBefore: plus(noon, minute) } }),
  },
  { title: 'rounding is no excess', answer: minted({ expiresIn: 902 }), life: 902 * second },
  {
    title: 'RevokeEarly takes a longer one',
    answer: minted({ expiresIn: 3600 }),
    life: hour,
    rules: { ...rules, onExceed: 'RevokeEarly' },
  },
];

for (const c of usable) {
  test(`usable: ${c.title}`, (t) => {
    const checked = checkMinted(asked, c.answer, c.rules ?? rules, noon);
    t.is(checked.is, 'Usable', JSON.stringify(checked));
    if (checked.is !== 'Usable') return;
    if (c.scopes !== undefined) t.deepEqual(checked.scopes, c.scopes);
    if (c.life !== undefined) t.is(checked.exp, plus(noon, c.life));
  });
}

const unusable: readonly {
  readonly title: string;
  readonly answer: Minted;
  readonly reason: Reason;
  readonly says?: RegExp;
  readonly revoke?: boolean;
  readonly rules?: TokenRules;
}[] = [
  { title: 'wider', answer: minted({ scopes: ['a', 'b', 'admin'] }), reason: 'ScopeWider', says: /admin/ },
  { title: 'wider comes before narrower', answer: minted({ scopes: ['admin'] }), reason: 'ScopeWider' },
  { title: 'narrower', answer: minted({ scopes: ['a'] }), reason: 'ScopeNarrower', says: /did not grant b;/ },
  { title: 'nothing granted', answer: minted({ scopes: [] }), reason: 'ScopeNarrower', says: /a, b/ },
  {
    title: 'another audience',
    answer: minted({ audiences: ['https://y'] }),
    reason: 'AudienceWrong',
    says: /https:\/\/y/,
  },
  { title: 'one audience more', answer: minted({ audiences: ['https://x', 'https://y'] }), reason: 'AudienceWrong' },
  {
    title: 'a JWT without any audience',
    answer: minted({ audiences: [] }),
    reason: 'AudienceWrong',
    says: /no audience/,
  },
  { title: 'lifetime missing', answer: noLifetime, reason: 'LifetimeUnknown' },
  {
    title: 'lifetime above the ceiling: the value to write',
    answer: minted({ expiresIn: 3600 }),
    reason: 'LifetimeTooLong',
    says: /write 1h into spec\.ceiling\.maxTokenLifetime of the pool, or set/,
  },
  {
    title:
      'RevokeEarly at a provider that revokes nothing: three such tokens would fill the session, and the build would get none',
    answer: minted({ expiresIn: 3600 }),
    reason: 'LifetimeTooLong',
    says: /it revokes no tokens, so RevokeEarly does not help/,
    rules: { ...rules, onExceed: 'RevokeEarly', revocation: 'ExpiryOnly' },
  },
  {
    title: 'expires_in hides a longer JWT',
    answer: minted({ jwt: { exp: plus(noon, hour) } }),
    reason: 'LifetimeTooLong',
  },
  {
    title: 'over before a pod has it',
    answer: minted({ expiresIn: 9 }),
    reason: 'TokenLifetimeTooShort',
    says: /live 9s, .* let them live minutes/,
  },
  {
    title: 'over by the token before a pod has it',
    answer: minted({ jwt: { exp: plus(noon, 4 * second) } }),
    reason: 'TokenLifetimeTooShort',
    says: /live 4s, .* see whether the provider's clock is behind ours/,
  },
  { title: 'expired already', answer: minted({ expiresIn: 0 }), reason: 'TokenUnusable', revoke: false },
  {
    title: 'a JWT that is bound to a key, whatever its type',
    answer: minted({ jwt: { exp: plus(noon, 5 * minute), isBound: true } }),
    reason: 'TokenUnusable',
    says: /cnf.*DPoP or mTLS/,
  },
  { title: 'a JWT without a readable end', answer: minted({ jwt: {} }), reason: 'LifetimeUnknown', says: /exp/ },
  {
    title: 'expires_in hides a JWT that has expired',
    answer: minted({ jwt: { exp: plus(noon, -second) } }),
    reason: 'TokenUnusable',
    says: /expired/,
  },
  {
    title: 'without a Date, a JWT that was issued and ended long ago: something kept the answer',
    answer: minted({ jwt: { exp: plus(noon, -50 * minute), issuedAt: plus(noon, -hour) } }),
    reason: 'TokenUnusable',
    says: /expired/,
  },
  ...[
    { title: 'a day ahead, by its Date', providerTime: plus(noon, day), at: plus(noon, day) },
    { title: 'a day behind, by its Date', providerTime: plus(noon, -day), at: plus(noon, -day) },
    { title: 'ten years ahead, by what it signs', at: plus(noon, 3_652 * day) },
    { title: 'more than ten minutes ahead', at: plus(noon, 10 * minute + second) },
  ].map(({ title, at, ...dated }) => ({
    title: `a JWT of a provider whose clock is ${title}: whoever checks it by the right time sees another life`,
    answer: minted({ jwt: { exp: plus(at, 5 * minute), issuedAt: at }, ...dated }),
    reason: 'TokenUnusable' as const,
    says: /the clock of the provider shows 20\d\d-\S+Z and ours 2026-11-24T12:00:00Z, .*; compare both clocks with a time server \(NTP\)/,
  })),
  {
    title: 'the answer names more than the token: resource servers see the token',
    answer: minted({ scopes: ['a', 'b'], jwt: { exp: plus(noon, minute), scopes: ['a'] } }),
    reason: 'ScopeNarrower',
    says: /did not grant b;/,
  },
  {
    title: 'a scope that nobody can read, beside one that is right',
    answer: minted({ scopes: ['a', 'b'], scopesUnreadable: true }),
    reason: 'TokenUnusable',
    says: /scp/,
  },
  {
    title: 'a JWT that is not valid yet',
    answer: minted({ jwt: { exp: plus(noon, 5 * minute), notBefore: plus(noon, minute + second) } }),
    reason: 'TokenUnusable',
    says: /nbf/,
  },
  {
    title: 'a JWT of another issuer: the setting that allows it',
    answer: minted({ jwt: { exp: plus(noon, 5 * minute), foreignIssuer: 'https://sts.example.com' } }),
    reason: 'TokenUnusable',
    says: /sts\.example\.com \(iss\).*tokenIssuer/,
  },
  {
    title: 'a JWT of another issuer with a long name: it can be copied whole',
    answer: minted({
      jwt: { exp: plus(noon, 5 * minute), foreignIssuer: `https://sts.example.com/${'x'.repeat(400)}/v2.0` },
    }),
    reason: 'TokenUnusable',
    says: /x{400}\/v2\.0 \(iss\)/,
  },
  { title: 'not a bearer token', answer: minted({ tokenType: 'DPoP' }), reason: 'TokenUnusable' },
  { title: 'no token', answer: minted({ value: new Redacted('') }), reason: 'TokenUnusable', revoke: false },
];

for (const c of unusable) {
  test(`unusable: ${c.title}`, (t) => {
    const checked = checkMinted(asked, c.answer, c.rules ?? rules, noon);
    t.like(checked, { is: 'Unusable', reason: c.reason, revoke: c.revoke ?? true });
    const message = checked.is === 'Unusable' ? checked.message : '';
    if (c.says !== undefined) t.regex(message, c.says);
    t.false(message.includes('secret-token'));
  });
}

test("a rule's lifetime below the ceiling counts, and the message sends to what is too low", (t) => {
  const says = (expiresIn: number): string => {
    const checked = checkMinted({ ...asked, maxLifetime: minute }, minted({ expiresIn }), rules, noon);
    t.like(checked, { is: 'Unusable', reason: 'LifetimeTooLong' });
    return checked.is === 'Unusable' ? checked.message : '';
  };
  t.regex(says(600), /write 10m into spec\.rules\[\]\.maxTokenLifetime of the ScopePolicy, or set/);
  t.regex(
    says(3600),
    /write 1h into spec\.rules\[\]\.maxTokenLifetime of the ScopePolicy and spec\.ceiling\.maxTokenLifetime of the pool, or set/,
  );
});

test('names of the provider are cut and cleaned', (t) => {
  const checked = checkMinted(
    asked,
    minted({ scopes: ['a', 'b', `${'x'.repeat(500)}`, 'evil\u001b[2J'] }),
    rules,
    noon,
  );
  const message = checked.is === 'Unusable' ? checked.message : '';
  t.true(message.length < 300);
  t.false(message.includes('\u001b'));
});

test('property: no usable token is wider than ask and ignored scopes, none lacks what was asked', (t) => {
  const scope = fc.constantFrom('a', 'b', 'c', 'email', 'aud-registry');
  fc.assert(
    fc.property(fc.uniqueArray(scope), fc.uniqueArray(scope), (want, granted) => {
      const checked = checkMinted(buildAsk({ scopes: want, audiences: [] }), minted({ scopes: granted }), rules, noon);
      const allowed = [...want, ...rules.ignoredScopes, ...rules.carrierScopes];
      const fits = granted.every((one) => allowed.includes(one));
      const whole = want.every((one) => granted.includes(one) || rules.carrierScopes.includes(one));
      return (checked.is === 'Usable') === (fits && whole);
    }),
    { numRuns: 500 },
  );
  t.pass();
});
