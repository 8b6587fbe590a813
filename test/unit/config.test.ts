import { readFileSync } from 'node:fs';
import test from 'ava';
import { parse } from 'yaml';
import { minute, second } from '#src/clock.ts';
import { parseConfiguration } from '#src/config.ts';

const head = 'apiVersion: config.ci-identity.dev/v1alpha1\nkind: ControllerConfiguration\n';
const issuer = (lines: string): string => `${head}issuers:\n- url: https://idp.example.com\n  ${lines}\n`;
const url = (value: string): string => `${head}issuers: [{url: ${JSON.stringify(value)}}]\n`;
const reference = 'a reference {name, key} to a key of a Secret or ConfigMap in the namespace of the operator';

const issuers = (many: number): string =>
  `${head}issuers: [${Array.from({ length: many }, (_, n) => `{url: "https://${n}.example.com"}`).join()}]\n`;

type Row = readonly [name: string, text: string, problems: readonly string[]];

const bad: readonly Row[] = [
  ['an empty file', '', ['the file must be an object that begins with apiVersion and kind']],
  ['a list', '[]', ['the file must be an object that begins with apiVersion and kind']],
  ['no head', '{}', ['the file lacks the member apiVersion', 'the file lacks the member kind']],
  ['another version', head.replace('v1alpha1', 'v1'), ['apiVersion must be config.ci-identity.dev/v1alpha1']],
  ['another kind', head.replace('Controller', ''), ['kind must be ControllerConfiguration']],
  [
    'no YAML',
    'a: [',
    [
      'the file is not YAML: Flow sequence in block collection must be sufficiently indented and end with a ] at line 1, column 5',
    ],
  ],
  ['a member twice', `${head}kind: x\n`, ['the file is not YAML: Map keys must be unique at line 3, column 1']],
  ['two documents', `${head}---\n${head}`, ['the file holds several YAML documents; keep one']],
  ['an alias', `${head}issuers: &a []\nlog: *a\n`, ['the file uses YAML anchors and aliases; write the values out']],
  [
    'a misspelt member',
    `${head}isuers: []\n`,
    ['the file has the unknown member "isuers"; known are apiVersion, kind, issuers, limits, log, audit'],
  ],
  [
    'a member with a long name, of which the beginning will do',
    `${head}${'a'.repeat(65)}: []\n`,
    [`the file has the unknown member "${'a'.repeat(64)}"; known are apiVersion, kind, issuers, limits, log, audit`],
  ],
  ['issuers no list', `${head}issuers: {}\n`, ['issuers must be a list of at most 256 issuers']],
  [
    'an issuer that is a text',
    `${head}issuers: [https://idp.example.com]\n`,
    ['issuers[0] must be an object with at least a url'],
  ],
  ['an issuer without url', `${head}issuers: [{}]\n`, ['issuers[0] lacks the member url']],
  ['an issuer that is null', `${head}issuers: [null]\n`, ['issuers[0] must be an object with at least a url']],
  [
    'a url that is no text',
    `${head}issuers: [{url: 1}]\n`,
    ['issuers[0].url must be an https URL of at most 512 characters'],
  ],
  ['a url that is none', url('idp'), ['issuers[0].url must be an https URL']],
  [
    'http',
    url('http://idp.example.com'),
    ['issuers[0].url must start with https://: issuers are never called without TLS'],
  ],
  ['a password', url('https://u:p@idp.example.com'), ['issuers[0].url must not contain a user or password']],
  ...['u@', ':p@'].map((given): Row => [
    `half a password ${given}`,
    url(`https://${given}idp.example.com`),
    ['issuers[0].url must not contain a user or password'],
  ]),
  [
    'a wildcard',
    url('https://*.example.com'),
    ['issuers[0].url must not contain *: each issuer is listed by its own URL'],
  ],
  ...['?a', '#a'].map((given): Row => [
    `a url that ends with ${given}`,
    url(`https://idp.example.com/${given}`),
    ['issuers[0].url must not contain a query or fragment (RFC 8414 §2)'],
  ]),
  ['one issuer too many', issuers(257), ['issuers must be a list of at most 256 issuers']],
  [
    'a url that is too long',
    url(`https://idp.example.com/${'a'.repeat(489)}`),
    ['issuers[0].url must be an https URL of at most 512 characters'],
  ],
  [
    'a url not in its one spelling',
    url('https://IDP.example.com:443/a/../b'),
    ['issuers[0].url must be written as https://idp.example.com/b'],
  ],
  [
    'the same issuer twice',
    `${head}issuers: [{url: "https://a.example"}, {url: "https://a.example"}]\n`,
    ['issuers[1].url is the same as issuers[0].url; merge the two entries'],
  ],
  [
    'a profile that does not exist',
    issuer('profile: Okta'),
    ['issuers[0].profile must be Generic, Keycloak, Glewlwyd, Hydra or Spring'],
  ],
  ['a yes', issuer('allowPrivateNetwork: "yes"'), ['issuers[0].allowPrivateNetwork must be true or false']],
  ...[
    'https://proxy:3128',
    'http://u:p@proxy',
    'http://proxy/path',
    'http://',
    'proxy:3128',
    'http://a b',
    'http://proxy:99999',
    'http://proxy:65536',
    'http://proxy:0',
    'http://[:::]:3128',
  ].map((given): Row => [
    `the proxy ${given}`,
    issuer(`proxyUrl: "${given}"`),
    [
      'issuers[0].proxyUrl must be the URL of an HTTP proxy without user, password and path, such as http://proxy.example.com:3128',
    ],
  ]),
  ...['https://a b', 'a'.repeat(513)].map((given): Row => [
    `the token issuer ${given}`,
    issuer(`tokenIssuer: "${given}"`),
    ['issuers[0].tokenIssuer must be what its JWT access tokens have as iss: at most 512 characters without spaces'],
  ]),
  [
    'an audience of its own',
    issuer('assertionAudience: "https://a.example"'),
    ['issuers[0].assertionAudience must be Issuer, TokenEndpoint or CalledEndpoint'],
  ],
  [
    'a token instead of a reference',
    issuer('registrationTokenRef: s3cr3t'),
    [`issuers[0].registrationTokenRef must be ${reference}`],
  ],
  [
    'a reference without key',
    issuer('managementTokenRef: {name: a}'),
    ['issuers[0].managementTokenRef lacks the member key'],
  ],
  [
    'a reference with a bad name',
    issuer('caBundleRef: {name: A_b, key: c}'),
    ['issuers[0].caBundleRef.name must be the name of a Secret or ConfigMap'],
  ],
  [
    'a reference with an empty key',
    issuer('caBundleRef: {name: a, key: ""}'),
    ['issuers[0].caBundleRef.key must be a key of a Secret or ConfigMap'],
  ],
  [
    'a rate of nothing',
    issuer('rateLimit: {perSecond: 0}'),
    ['issuers[0].rateLimit.perSecond must be a number above 0, at most 10000'],
  ],
  [
    'a rate that is too high',
    issuer('rateLimit: {perSecond: 10001}'),
    ['issuers[0].rateLimit.perSecond must be a number above 0, at most 10000'],
  ],
  ...['0.5', '0', '10001'].map((given): Row => [
    `a burst of ${given}`,
    issuer(`rateLimit: {perSecond: 1, burst: ${given}}`),
    ['issuers[0].rateLimit.burst must be a whole number from 1 to 10000'],
  ]),
  ...['150', '150h', '61m'].map((given): Row => [
    `a lag of ${given}`,
    `${head}limits: {deliveryLag: ${given}}\n`,
    ['limits.deliveryLag must be a duration from 1s to 1h such as 150s or 3m'],
  ]),
  ['a level', `${head}log: {level: verbose}\n`, ['log.level must be error, warn, info or debug']],
  ['an empty path', `${head}audit: {path: ""}\n`, ['audit.path must be the path of a file']],
  ['null members', `${head}limits: null\nlog: null\n`, ['limits must be an object', 'log must be an object']],
  [
    'everything at once',
    `kind: ControllerConfiguration\nlevel: 1\nissuers: [{url: "http://a.example", profile: x}, 7]\nlimits: {deliveryLag: 2d}\n`,
    [
      'the file lacks the member apiVersion',
      'the file has the unknown member "level"; known are apiVersion, kind, issuers, limits, log, audit',
      'issuers[0].profile must be Generic, Keycloak, Glewlwyd, Hydra or Spring',
      'issuers[1] must be an object with at least a url',
      'issuers[0].url must start with https://: issuers are never called without TLS',
      'limits.deliveryLag must be a duration from 1s to 1h such as 150s or 3m',
    ],
  ],
];

for (const [name, text, problems] of bad) {
  test(`configuration: ${name}`, (t) => {
    const parsed = parseConfiguration(text);
    t.deepEqual<unknown, unknown>(parsed, { is: 'Problems', problems });
    t.false(JSON.stringify(parsed).includes('s3cr3t'));
  });
}

test('the least configuration: everything has a default', (t) => {
  t.deepEqual<unknown, unknown>(parseConfiguration(head), {
    is: 'Configuration',
    configuration: { issuers: [], limits: { deliveryLag: 150 * second }, log: { level: 'info' }, audit: {} },
  });
});

test('every setting of the configuration is read', (t) => {
  const text = `${issuer(`profile: Keycloak
  registrationTokenRef: {name: idp, key: token}
  managementTokenRef: {name: idp, key: admin}
  caBundleRef: {name: ca, key: ca.crt}
  allowPrivateNetwork: true
  proxyUrl: http://[fd00::1]:3128
  assertionAudience: CalledEndpoint
  rateLimit: {perSecond: 0.5, burst: 3}
- url: https://idp.example.com/realms/ci`)}limits: {deliveryLag: 3m}\nlog: {level: debug}\naudit: {path: /a}\n`;
  t.deepEqual<unknown, unknown>(parseConfiguration(text), {
    is: 'Configuration',
    configuration: {
      issuers: [
        {
          url: 'https://idp.example.com',
          profile: 'Keycloak',
          registrationTokenRef: { name: 'idp', key: 'token' },
          managementTokenRef: { name: 'idp', key: 'admin' },
          caBundleRef: { name: 'ca', key: 'ca.crt' },
          allowPrivateNetwork: true,
          proxyUrl: 'http://[fd00::1]:3128',
          assertionAudience: 'CalledEndpoint',
          rateLimit: { perSecond: 0.5, burst: 3 },
        },
        { url: 'https://idp.example.com/realms/ci', profile: 'Generic', allowPrivateNetwork: false },
      ],
      limits: { deliveryLag: 3 * minute },
      log: { level: 'debug' },
      audit: { path: '/a' },
    },
  });
});

const atTheLimit: readonly (readonly [name: string, text: string])[] = [
  ['256 issuers', issuers(256)],
  ['a url of 512 characters', url(`https://idp.example.com/${'a'.repeat(488)}`)],
  ['a token issuer of 512 characters', issuer(`tokenIssuer: ${'a'.repeat(512)}`)],
  ['the highest rate and burst', issuer('rateLimit: {perSecond: 10000, burst: 10000}')],
  ['the smallest burst', issuer('rateLimit: {perSecond: 0.001, burst: 1}')],
  ['the longest lag', `${head}limits: {deliveryLag: 1h}\n`],
];

for (const [name, text] of atTheLimit)
  test(`configuration: ${name} can be used`, (t) => {
    const parsed = parseConfiguration(text);
    t.is(parsed.is === 'Problems' ? parsed.problems.join() : '', '');
  });

test('an issuer that spells its host in capitals and names the port of https is taken as it calls itself', (t) => {
  const parsed = parseConfiguration(url('https://IDP.example.com:443/b'));
  t.is(
    parsed.is === 'Configuration' ? parsed.configuration.issuers[0]?.url : undefined,
    'https://IDP.example.com:443/b',
  );
});

test('a configuration is frozen through and through', (t) => {
  const parsed = parseConfiguration(issuer('rateLimit: {perSecond: 1}'));
  if (parsed.is !== 'Configuration') return t.fail(parsed.problems.join());
  const { configuration } = parsed;
  for (const part of [configuration, configuration.issuers, configuration.issuers[0]?.rateLimit, configuration.log])
    t.true(Object.isFrozen(part));
});

type Json = Record<string, unknown>;

const shipped = (name: string): string => {
  const map = parse(readFileSync(`manifests/controller/${name}.yaml`, 'utf8')) as { readonly data: Json };
  return String(map.data['config.yaml']);
};

for (const name of ['configuration', 'configuration-reference']) {
  test(`the ${name} that the manifests ship can be used`, (t) => {
    const parsed = parseConfiguration(shipped(name));
    t.is(parsed.is === 'Problems' ? parsed.problems.join() : '', '');
  });
}

/** Every object in it, itself included. */
function objectsIn(value: unknown): readonly Json[] {
  if (typeof value !== 'object' || value === null) return [];
  const inner = Object.values(value).flatMap(objectsIn);
  return Array.isArray(value) ? inner : [value as Json, ...inner];
}

test('the reference names every member of the schema', (t) => {
  const reference = parse(shipped('configuration-reference')) as Json;
  const objects = objectsIn(reference);
  t.is(objects.length, 9);
  for (const one of objects) {
    const members = Object.keys(one).toSorted();
    one['unheard'] = true;
    const parsed = parseConfiguration(JSON.stringify(reference));
    delete one['unheard'];
    const told = parsed.is === 'Problems' ? parsed.problems.join() : '';
    t.deepEqual(/known are (.*)$/.exec(told)?.[1]?.split(', ').toSorted(), members, told);
  }
});
