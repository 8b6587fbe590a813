import test from 'ava';
import { type Configuration, parseConfiguration } from '#src/config.ts';
import { ReferencedKeys } from '#src/controllers/referenced-keys.ts';

function configured(secret: string): Configuration {
  const parsed = parseConfiguration(`
apiVersion: config.ci-identity.dev/v1alpha1
kind: ControllerConfiguration
issuers:
- {url: 'https://idp.example.com', registrationTokenRef: {name: ${secret}, key: token}}
`);
  if (parsed.is !== 'Configuration') throw new Error(parsed.problems.join());
  return parsed.configuration;
}

test('keys of a configuration that was replaced while they were read do not take the place of the new ones', async (t) => {
  const slow = Promise.withResolvers<void>();
  const keys = new ReferencedKeys({
    async readSecret(name) {
      if (name === 'before') await slow.promise;
      return { token: `token of ${name}` };
    },
    readConfigMap: () => Promise.resolve(undefined),
  });
  const { signal } = new AbortController();
  const reading = keys.refresh(configured('before'), signal);
  t.true(await keys.refresh(configured('after'), signal));
  slow.resolve();
  t.false(await reading);
  t.is(keys.secret({ name: 'after', key: 'token' })?.reveal(), 'token of after');
  t.is(keys.secret({ name: 'before', key: 'token' }), undefined);
});
