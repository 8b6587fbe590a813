/** When metadata is read, how long it serves, and what happens to it while the provider does not answer or answers something else. */
import test from 'ava';
import { hour, type Milliseconds, minute, plus, second } from '#src/clock.ts';
import { OperatorError } from '#src/errors.ts';
import { type HttpAnswer, largeAnswer } from '#src/providers/http.ts';
import { Discovery, parseMetadata } from '#src/providers/oidc/discovery.ts';
import { unreachable } from '#src/providers/unreachable.ts';
import { noon } from '#test/support/builders.ts';
import { VirtualClock } from '#test/support/virtual-clock.ts';
import { failure, json, ScriptedHttp } from './scripted-http.ts';

const issuer = 'https://idp.example.com/realms/ci';
const own = `${issuer}/.well-known/openid-configuration`;
const inserted = 'https://idp.example.com/.well-known/oauth-authorization-server/realms/ci';
const document = { issuer, token_endpoint: `${issuer}/token` };
const metadata = { issuer, tokenEndpoint: `${issuer}/token` };
const moved = { ...document, token_endpoint: `${issuer}/moved` };
const waiting = new AbortController().signal;

const silent = (): never => {
  throw unreachable(Object.assign(new Error(), { code: 'ECONNREFUSED' }), { issuer, now: noon });
};
const answers = (answer: HttpAnswer) => (): HttpAnswer => answer;

function scene(random = 0) {
  const clock = new VirtualClock(noon);
  const http = new ScriptedHttp(issuer, clock, answers(json(200, document)));
  const discovery = new Discovery({ issuer, http, clock, allowPrivateNetwork: () => false, random: () => random });
  return { clock, http, discovery };
}

for (const [after, random, reads] of [
  [0, 0, 1],
  [hour - 1, 0, 1],
  [hour, 0, 2],
  [57 * minute - 1, 0.5, 1],
  [57 * minute, 0.5, 2],
  [-1, 0, 2],
] as const)
  test(`metadata that is ${after} ms old where ${random} was drawn: read ${reads} times`, async (t) => {
    const { clock, http, discovery } = scene(random);
    t.is(discovery.known, undefined);
    t.deepEqual(await discovery.get(waiting), metadata);
    clock.setWall(after);
    t.deepEqual(await discovery.get(waiting), metadata);
    t.deepEqual(discovery.known, metadata);
    t.deepEqual(http.sent, Array(reads).fill({ method: 'GET', url: own, maxBytes: largeAnswer }));
  });

const old = 2 * hour;
const elsewhere = answers(json(200, { ...document, issuer: 'https://evil.example.com' }));

/** What comes of each `get` at these times after the first read; `reads`: of the provider so far. */
const stale: readonly (readonly [string, () => HttpAnswer, readonly (readonly [Milliseconds, string, number])[]])[] = [
  [
    'does not answer',
    silent,
    [
      [old, 'known', 2],
      [old + minute - 1, 'known', 2],
      [old + minute, 'known', 3],
      [24 * hour - 1, 'known', 4],
      [24 * hour + minute - 2, 'known', 4],
      [24 * hour + minute, 'ProviderUnavailable', 5],
      [24 * hour + minute, 'ProviderUnavailable', 6],
    ],
  ],
  ['does not answer when it is a day old', silent, [[24 * hour, 'ProviderUnavailable', 2]]],
  ['fails', answers(json(503, {})), [[old, 'known', 2]]],
  ['answers with what is no JSON', answers({ status: 200, headers: {}, body: '<p>' }), [[old, 'known', 2]]],
  [
    'answers as another issuer',
    elsewhere,
    [
      [old, 'ProviderMetadataInvalid', 2],
      [old, 'ProviderMetadataInvalid', 3],
    ],
  ],
];
for (const [what, answer, steps] of stale)
  test(`a provider that was known and ${what}`, async (t) => {
    const { clock, http, discovery } = scene();
    await discovery.get(waiting);
    http.answer = answer;
    for (const [at, outcome, reads] of steps) {
      clock.setWall(noon + at - clock.now());
      const got = outcome === 'known' ? await discovery.get(waiting) : await failure(discovery.get(waiting));
      t.deepEqual(got instanceof OperatorError ? got.reason : got, outcome === 'known' ? metadata : outcome);
      t.is(http.sent.length, reads, `at ${at}`);
      t.deepEqual(discovery.known, metadata);
    }
    http.answer = answers(json(200, moved));
    clock.setWall(minute);
    t.is((await discovery.get(waiting)).tokenEndpoint, `${issuer}/moved`, 'well again');
  });

for (const [what, answer, reason, owner, sentence] of [
  ['does not answer', silent, 'ProviderUnavailable', 'Issuer', /the connection is refused/],
  [
    'answers 404',
    answers(json(404, {})),
    'ProviderMetadataInvalid',
    'Issuer',
    /metadata document is not there \(404\)/,
  ],
  ['answers 204', answers({ ...json(204, {}), body: '' }), 'ProviderMisbehaves', 'Issuer', /unexpected \(204\)/],
  ['answers 201', answers(json(201, document)), 'ProviderMisbehaves', 'Issuer', /unexpected \(201\)/],
  [
    'answers with a list',
    answers(json(200, [document])),
    'ProviderMisbehaves',
    'Issuer',
    /metadata document: the answer is not a JSON object/,
  ],
] as const)
  test(`a provider that was never known and ${what}: ${reason}, and nothing is known`, async (t) => {
    const { http, discovery } = scene();
    http.answer = answer;
    const error = await failure(discovery.get(waiting));
    t.deepEqual([error.reason, error.whose], [reason, owner]);
    t.regex(error.message, sentence);
    t.is(discovery.known, undefined);
    http.answer = answers(json(200, document));
    t.deepEqual(await discovery.get(waiting), metadata, 'asked again at once');
  });

test('a provider that names a time to come back is believed', async (t) => {
  const { http, discovery } = scene();
  http.answer = answers(json(429, {}, { 'retry-after': '120' }));
  const { reason, retryAt } = await failure(discovery.get(waiting));
  t.deepEqual([reason, retryAt], ['RateLimited', plus(noon, 120 * second)]);
});

for (const [first, then, urls, outcome] of [
  [200, 200, [own], 'known'],
  [404, 200, [own, inserted], 'known'],
  [404, 404, [own, inserted], 'ProviderMetadataInvalid'],
  [404, 500, [own, inserted], 'ProviderUnavailable'],
  [500, 200, [own], 'ProviderUnavailable'],
  [403, 200, [own], 'ProviderMetadataInvalid'],
] as const)
  test(`${first} where OpenID Connect has it and ${then} where RFC 8414 has it: ${outcome}`, async (t) => {
    const { http, discovery } = scene();
    http.answer = ({ url }) => json(url === own ? first : then, document);
    const got = await discovery.get(waiting).then(
      () => 'known',
      (error: OperatorError) => error.reason,
    );
    t.is(got, outcome);
    t.deepEqual(
      http.sent.map(({ url }) => url),
      urls,
    );
  });

test('one call for all who wait; whoever gives up leaves alone, and who comes later asks anew', async (t) => {
  const { http, discovery } = scene();
  const answer = Promise.withResolvers<HttpAnswer>();
  http.answer = () => answer.promise;
  const gone = new AbortController();
  const impatient = failure(discovery.get(gone.signal));
  const patient = discovery.get(waiting);
  gone.abort();
  t.regex((await impatient).message, /^issuer https:\/\/idp\.example\.com\/realms\/ci: the call was cancelled\.$/);
  answer.resolve(json(200, document));
  t.deepEqual(await patient, metadata);
  t.is(http.sent.length, 1);
});

test('whoever gave up before does not wait at all, and what fails then is told to nobody', async (t) => {
  const { http, discovery } = scene();
  http.answer = () => Promise.reject(new Error('late'));
  const error = await failure(discovery.get(AbortSignal.abort(new DOMException('late', 'TimeoutError'))));
  t.regex(error.message, /no answer in time/);
  t.is(await discovery.comesNow(AbortSignal.abort()), false);
  // A rejection that nobody handles would fail this process.
  await new Promise((resolve) => setImmediate(resolve));
});

test('nothing stays at the signal of a caller who was answered', async (t) => {
  const { discovery } = scene();
  const { signal } = new AbortController();
  let added = 0;
  let removed = 0;
  const add = signal.addEventListener.bind(signal);
  signal.addEventListener = (...given: Parameters<typeof add>) => {
    added += 1;
    const { signal: until } = given[2] as { signal: AbortSignal };
    until.addEventListener('abort', () => (removed += 1));
    add(...given);
  };
  await discovery.get(signal);
  t.deepEqual([added, removed], [1, 1]);
});

test('forgotten metadata is read again, and serves on where nothing comes; what is not known cannot be forgotten', async (t) => {
  const { http, discovery } = scene();
  t.notThrows(() => discovery.forget());
  await discovery.get(waiting);
  http.answer = silent;
  discovery.forget();
  t.deepEqual(await discovery.get(waiting), metadata);
  t.is(http.sent.length, 2);
  http.answer = answers(json(200, moved));
  discovery.forget();
  t.is((await discovery.get(waiting)).tokenEndpoint, `${issuer}/moved`);
});

test('whether it comes now is asked anew, known or not; where it does not, the next call asks again', async (t) => {
  const { http, discovery } = scene();
  t.true(await discovery.comesNow(waiting));
  t.true(await discovery.comesNow(waiting));
  t.is(http.sent.length, 2);
  t.deepEqual(await discovery.get(waiting), metadata);
  t.is(http.sent.length, 2, 'what came serves');
  http.answer = silent;
  t.false(await discovery.comesNow(waiting));
  http.answer = answers(json(200, moved));
  t.is((await discovery.get(waiting)).tokenEndpoint, `${issuer}/moved`);
});

const list = 'token_endpoint_auth_methods_supported';
const algorithms = 'token_endpoint_auth_signing_alg_values_supported';
for (const [said, read] of [
  [{}, {}],
  [{ registration_endpoint: `${issuer}/r` }, { registrationEndpoint: `${issuer}/r` }],
  [{ revocation_endpoint: `${issuer}/r` }, { revocationEndpoint: `${issuer}/r` }],
  [{ introspection_endpoint: `${issuer}/i` }, { introspectionEndpoint: `${issuer}/i` }],
  [{ introspection_endpoint: null }, {}],
  [{ [list]: ['private_key_jwt', 7] }, { authenticationMethods: ['private_key_jwt'] }],
  [{ [list]: 'private_key_jwt', [algorithms]: { alg: 'ES256' } }, {}],
  [{ [algorithms]: ['ES256', null] }, { signingAlgorithms: ['ES256'] }],
] as const)
  test(`metadata with ${JSON.stringify(said)}`, (t) => {
    t.deepEqual(parseMetadata({ ...document, ...said }, issuer, false), { ...metadata, ...read });
  });

for (const [said, sentence] of [
  [{ issuer: `${issuer}/` }, /it names another issuer, .* including a slash at the end\.$/],
  [{ token_endpoint: null }, /it has no token_endpoint\. Is the URL really that of an authorization server\?$/],
  [{ revocation_endpoint: 7 }, /revocation_endpoint is not text\. Correct it at the provider\.$/],
  [{ token_endpoint: 'http://idp.example.com/t' }, /token_endpoint may not be called: .*https.* Correct it at/],
  [{ token_endpoint: 'https://idp.example.org/t' }, /token_endpoint is on another origin .* public URL so that both/],
] as const)
  test(`metadata with ${JSON.stringify(said)}: not used, with the step that heals it`, (t) => {
    const error = t.throws(() => parseMetadata({ ...document, ...said }, issuer, false), { instanceOf: OperatorError });
    t.like(error, { class: 'Terminal', reason: 'ProviderMetadataInvalid', whose: 'Issuer' });
    t.true(error?.message.startsWith(`issuer ${issuer}: its metadata cannot be used, because `));
    t.regex(error?.message ?? '', sentence);
  });

test('an endpoint in a private network is used where that is allowed', (t) => {
  const local = 'https://10.0.0.1';
  const said = { issuer: local, token_endpoint: `${local}/token` };
  t.is(parseMetadata(said, local, true).tokenEndpoint, `${local}/token`);
  t.throws(() => parseMetadata(said, local, false), { message: /token_endpoint may not be called: .*allowPrivateNet/ });
});
