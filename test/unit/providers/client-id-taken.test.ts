/** A client id that is taken may be the live one of another pool, so nobody is sent to delete it. */
import test from 'ava';
import { minute } from '#src/clock.ts';
import { Http, type HttpAnswer } from '#src/providers/http.ts';
import { profiles } from '#src/providers/oidc/profiles.ts';
import { noon } from '#test/support/builders.ts';
import { VirtualClock } from '#test/support/virtual-clock.ts';
import { registrationOver } from './registration-over.ts';

const issuer = 'https://idp.example.com/realms/ci';

class Taken extends Http {
  override send(): Promise<HttpAnswer> {
    const body = JSON.stringify({ error: 'invalid_client_metadata', error_description: 'Client Identifier in use' });
    return Promise.resolve({ status: 400, headers: {}, body });
  }
}

test('an id that is taken: another name first, and no deletion of what may be in use', async (t) => {
  const clock = new VirtualClock(noon);
  const http = new Taken({ issuer, clock, caBundle: () => undefined, allowPrivateNetwork: () => true });
  const registration = registrationOver(http, { issuer, clock, profile: profiles['Keycloak']! });
  const desired = { clientId: 'ci-1-team-2', scopes: [], audiences: [], maxTokenLifetime: minute, tag: 't', keys: [] };
  const error = await t.throwsAsync(registration.register(desired as never, new AbortController().signal));
  t.like(error, { class: 'Terminal', reason: 'ClientIdTaken', whose: 'Object' });
  t.regex(error.message, /ci-1-team-2 is there already.*create the pool under another name; delete it .* only where/);
});
