import test from 'ava';
import { PoolProviders } from '#src/controllers/pool-providers.ts';
import type { OperatorError } from '#src/errors.ts';
import { Redacted } from '#src/redacted.ts';
import { buildDesired, noon } from '#test/support/builders.ts';
import { VirtualClock } from '#test/support/virtual-clock.ts';

/** No call leaves for an address like this, and that is what a registration which is begun fails with. */
const url = 'https://10.0.0.1/realms/ci';
const ref = { registrationTokenRef: { name: 'registration', key: 'token' } };

function poolProviders(configured: object, value: string | undefined): PoolProviders {
  return new PoolProviders({
    memory: {} as never,
    keys: {
      secret: (of?: object) => (of === undefined || value === undefined ? undefined : new Redacted(value)),
    } as never,
    clock: new VirtualClock(noon),
    random: () => 0,
    configuration: { issuers: [{ url, profile: 'Generic', allowPrivateNetwork: false, ...configured }] } as never,
    metrics: { count: () => undefined } as never,
    awaitTurn: () => Promise.resolve(),
  });
}

const management = { managementTokenRef: { name: 'management', key: 'token' } };
for (const [what, configured, value, told] of [
  ['no reference', ref, 'a-token', 'NotNeeded'],
  ['a reference and a token', management, 'a-token', 'Present'],
  ['a reference to nothing', management, undefined, 'Missing'],
] as const) {
  test(`management credential: ${what}`, async (t) => {
    const providers = poolProviders(configured, value);
    t.teardown(() => providers.close());
    t.is(providers.managementCredential(url), told);
  });
}

for (const [what, configured, value, told, registering] of [
  ['no reference: registration is open', {}, undefined, 'NotNeeded', 'AddressNotAllowed'],
  ['a reference and a token', ref, 'a-token', 'Present', 'AddressNotAllowed'],
  ['a reference to nothing: no registration without it', ref, undefined, 'Missing', 'RegistrationCredentialMissing'],
] as const) {
  test(`registration credential: ${what}`, async (t) => {
    const providers = poolProviders(configured, value);
    t.teardown(() => providers.close());
    t.is(providers.registrationCredential(url), told);
    const { clients } = providers.providerAt(url, undefined)!;
    const desired = { ...buildDesired(), tag: 't', keys: [] };
    const error = await t.throwsAsync<OperatorError>(clients!.register(desired, new AbortController().signal));
    t.is(error.reason, registering);
  });
}
