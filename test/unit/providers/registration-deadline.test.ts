/** What a registration made is in its answer and nowhere else, so it is waited for longer than for anything else. */
import test from 'ava';
import { minute, second, systemClock } from '#src/clock.ts';
import { Http, type HttpAnswer, type HttpRequest } from '#src/providers/http.ts';
import { noon } from '#test/support/builders.ts';
import { VirtualClock } from '#test/support/virtual-clock.ts';
import { plainClient, registrationOver } from './registration-over.ts';

const issuer = 'https://idp.example.com/realms/ci';

class Seen extends Http {
  readonly requests: HttpRequest[] = [];

  override send(what: HttpRequest): Promise<HttpAnswer> {
    this.requests.push(what);
    return Promise.resolve({ status: 201, headers: {}, body: '{"client_id":"ci-1"}' });
  }
}

test('a registration is waited for 30 s, and a change of a client as long as any call', async (t) => {
  const clock = new VirtualClock(noon);
  const http = new Seen({ issuer, clock, caBundle: () => undefined, allowPrivateNetwork: () => true });
  const registration = registrationOver(http, { issuer, clock });
  const desired = plainClient('ci-1');
  const { signal } = new AbortController();
  const { clientId } = await registration.register(desired, signal);
  await t.throwsAsync(registration.update({ clientId }, desired, signal), { message: /no token that manages/ });
  t.deepEqual(
    http.requests.map(({ method, deadline }) => [method, deadline]),
    [['POST', 30 * second]],
  );
});

test('a call that names a deadline has that one, and no other', async (t) => {
  const http = new Http({
    issuer,
    clock: systemClock,
    caBundle: () => undefined,
    allowPrivateNetwork: () => true,
    lookup: () => undefined,
    deadline: minute,
  });
  t.teardown(() => http.close());
  const call = http.send({ method: 'POST', url: issuer, maxBytes: 1, deadline: 50 }, new AbortController().signal);
  await t.throwsAsync(call, { message: /no answer in time/ });
});
