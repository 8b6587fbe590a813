import test from 'ava';
import { type Configuration, parseConfiguration } from '#src/config.ts';
import { ReferencedKeys } from '#src/controllers/referenced-keys.ts';

function configured(...issuers: readonly string[]): Configuration {
  const parsed = parseConfiguration(`
apiVersion: config.ci-identity.dev/v1alpha1
kind: ControllerConfiguration
issuers:
${issuers.map((issuer, at) => `- {url: 'https://idp-${at}.example.com', ${issuer}}`).join('\n')}
`);
  if (parsed.is !== 'Configuration') throw new Error(parsed.problems.join());
  return parsed.configuration;
}

const token = (secret: string): string => `registrationTokenRef: {name: ${secret}, key: token}`;
const bundle = (map: string): string => `caBundleRef: {name: ${map}, key: ca.crt}`;
const { signal } = new AbortController();

test('keys of a configuration that was replaced while they were read do not take the place of the new ones', async (t) => {
  const slow = Promise.withResolvers<void>();
  let changes = 0;
  const keys = new ReferencedKeys({
    async readSecret(name) {
      if (name === 'before') await slow.promise;
      return { token: `token of ${name}` };
    },
    readConfigMap: () => Promise.resolve(undefined),
    changed: () => (changes += 1),
  });
  const reading = keys.refresh(configured(token('before')), signal);
  await keys.refresh(configured(token('after')), signal);
  t.is(changes, 1);
  slow.resolve();
  await reading;
  t.is(changes, 1);
  t.is(keys.secret({ name: 'after', key: 'token' })?.reveal(), 'token of after');
  t.is(keys.secret({ name: 'before', key: 'token' }), undefined);
});

test('one that cannot be read keeps its value, holds up no other, and is told', async (t) => {
  const unreadable = new Set<string>();
  let version = 1;
  const read = (name: string) =>
    unreadable.has(name)
      ? Promise.reject(new Error(`get secrets ${name} is refused (403)`))
      : Promise.resolve({ token: `${name} ${version}`, 'ca.crt': `${name} ${version}` });
  const keys = new ReferencedKeys({ readSecret: read, readConfigMap: read, changed: () => undefined });
  const configuration = configured(token('a'), token('b'), bundle('c'), bundle('d'));
  const known = (): readonly (string | undefined)[] => [
    keys.secret({ name: 'a', key: 'token' })?.reveal(),
    keys.secret({ name: 'b', key: 'token' })?.reveal(),
    keys.bundle({ name: 'c', key: 'ca.crt' }),
    keys.bundle({ name: 'd', key: 'ca.crt' }),
  ];
  const rows: readonly (readonly [
    unread: readonly string[],
    known: readonly (string | undefined)[],
    told: RegExp | undefined,
  ])[] = [
    [['a', 'c'], [undefined, 'b 1', undefined, 'd 1'], /^2 of them failed$/],
    [[], ['a 2', 'b 2', 'c 2', 'd 2'], undefined],
    [['a'], ['a 2', 'b 3', 'c 3', 'd 3'], /secrets a is refused/],
    [['c'], ['a 4', 'b 4', 'c 3', 'd 4'], /secrets c is refused/],
  ];
  for (const [unread, expected, told] of rows) {
    unreadable.clear();
    for (const name of unread) unreadable.add(name);
    const refreshed = keys.refresh(configuration, signal);
    await (told === undefined ? t.notThrowsAsync(refreshed) : t.throwsAsync(refreshed, { message: told }));
    t.deepEqual(known(), expected);
    version += 1;
  }
});
