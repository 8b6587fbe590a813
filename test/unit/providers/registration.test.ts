/** What an answer about a client is read as, and where its management token goes. */
import test from 'ava';
import { Http, type HttpAnswer, type HttpRequest } from '#src/providers/http.ts';
import { Offer } from '#src/providers/oidc/offer.ts';
import { Redacted } from '#src/redacted.ts';
import { noon } from '#test/support/builders.ts';
import { VirtualClock } from '#test/support/virtual-clock.ts';
import { plainClient, registrationOver } from './registration-over.ts';

const issuer = 'https://idp.example.com/realms/ci';
const clock = new VirtualClock(noon);
const metadata = { issuer, tokenEndpoint: `${issuer}/token`, registrationEndpoint: `${issuer}/register/` };
const discovery = { get: () => Promise.resolve(metadata), comesNow: () => Promise.resolve(true) } as never;
const { signal } = new AbortController();
const desired = plainClient('ours');

class Answering extends Http {
  readonly requests: HttpRequest[] = [];
  readonly #answer: Omit<HttpAnswer, 'headers'>;

  constructor(status: number, body: object | '' = '') {
    super({ issuer, clock, caBundle: () => undefined, allowPrivateNetwork: () => true });
    this.#answer = { status, body: body === '' ? '' : JSON.stringify(body) };
  }

  override send(what: HttpRequest): Promise<HttpAnswer> {
    this.requests.push(what);
    return Promise.resolve({ ...this.#answer, headers: {} });
  }
}

const over = (http: Http) => registrationOver(http, { issuer, clock, discovery });
const ref = (uri: string) => ({ clientId: 'ci 1', management: { token: new Redacted('token'), uri } });
const at = `${issuer}/register/ci%201`;
const own = `${issuer}/manage?client=1`;

for (const [what, said, uri] of [
  ['names none', undefined, at],
  ['names one at the issuer', own, own],
  ['names one elsewhere', 'https://elsewhere.example.com/manage', at],
  ['names one that only looks like the issuer’s', 'https://idp.example.com.evil.example/manage', at],
  ['names one that is no URL', 'manage/1', at],
  ['names one that is longer than any', `${own}&${'x'.repeat(2_048)}`, at],
] as const)
  test(`the answer to a registration ${what}: that is where the management token goes`, async (t) => {
    const body = { client_id: 'ci 1', registration_access_token: 'new', registration_client_uri: said };
    const { management } = await over(new Answering(201, body)).register(desired, signal);
    t.deepEqual([management?.token.reveal(), management?.uri], ['new', uri]);
    const http = new Answering(204);
    await over(http).update(ref(said ?? ''), desired, signal);
    t.is(http.requests[0]?.url, uri, 'also where it was stored as it was said');
  });

test('a token with spaces around it is sent without them', async (t) => {
  const http = new Answering(201, { client_id: 'ci 1' });
  const clients = registrationOver(http, {
    issuer,
    clock,
    discovery,
    registrationToken: () => new Redacted(' initial\n'),
  });
  await clients.register(desired, signal);
  t.is(http.requests[0]?.headers?.['authorization'], 'Bearer initial');
});

test('a change that is answered with nothing: the client is as it was sent', async (t) => {
  const answer = await over(new Answering(204)).update(ref(own), desired, signal);
  t.deepEqual(answer, { clientId: 'ci 1', observed: { is: 'Present', at: noon, drift: [] } });
});

test('a look at a client that is gone', async (t) => {
  t.deepEqual(await over(new Answering(404)).observe(ref(own), desired, signal), { is: 'Gone', at: noon, drift: [] });
});

test('a look at a client and a change of it that are answered with another client are no answer', async (t) => {
  const another = () => over(new Answering(200, { client_id: 'ci 2' }));
  for (const call of [another().observe(ref(own), desired, signal), another().update(ref(own), desired, signal)])
    await t.throwsAsync(call, { message: /client management endpoint: the answer is about another client\./ });
  const unnamed = await over(new Answering(200, { scope: '' })).observe(ref(own), desired, signal);
  t.is(unnamed.is, 'Present', 'who names none means the one that was asked for');
});

for (const [what, name, generation] of [
  ['a later one of ours', 'ci-bots 3', 3],
  ["somebody else's", 'others 3', undefined],
  ['one without a number', 'ci-bots', undefined],
  ['none', undefined, undefined],
] as const)
  test(`the generation that a provider knows is read from the name: ${what}`, async (t) => {
    const seen = await over(new Answering(200, { client_id: 'ci 1', client_name: name })).observe(
      ref(own),
      desired,
      signal,
    );
    t.is(seen.generation, generation);
  });

for (const [what, status, body, before, after] of [
  ['offered no longer', 405, '', false, true],
  ['refused for what it asks', 400, { error: 'invalid_client_metadata' }, false, false],
  ['answered with the client', 200, { client_id: 'ci 1' }, true, false],
  ['answered with nothing', 204, '', true, false],
] as const)
  test(`a change that is ${what}: ${after ? 'it is doubted' : 'nothing shows'} that clients can${after ? '' : 'not'} be changed`, async (t) => {
    const changes = new Offer();
    if (before) changes.sawRefusal(noon);
    const clients = registrationOver(new Answering(status, body), { issuer, clock, discovery, changes });
    await clients.update(ref(own), desired, signal).catch((error: unknown) => t.like(error, { class: 'Terminal' }));
    t.is(changes.isDoubted, after);
  });
