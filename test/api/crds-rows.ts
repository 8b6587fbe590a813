import type { Kind } from './crds-schema.ts';

/** Values by path, e.g. `spec.rules.0.role`; `undefined` removes the field. */
export type Changes = Readonly<Record<string, unknown>>;

/** One wrong object: the smallest valid one with `changes`, refused for exactly one cause. */
export interface Row {
  /** The part of the schema that refuses, as `nodesOf` writes it. */
  readonly at: string;
  /** `rule`: a CEL rule, whose sentence is `says`. */
  readonly breaks: string;
  readonly changes: Changes;
  readonly says: string;
  /** The field that the API server names; by default `at` with the first item. */
  readonly field?: string;
  /** A second field that is refused too, where one cannot break without the other. */
  readonly also?: string;
  /** The change is made to an object that exists. `live`: what it says before. */
  readonly live?: Changes;
}

const many = (count: number, make: (index: number) => string = (index) => `a${index}`): readonly string[] =>
  Array.from({ length: count }, (_, index) => make(index));
const long = (length: number): string => 'a'.repeat(length);

const wildcardScope = "a scope has no wildcard: '*' would grant what no reviewer has read; write each scope out";
const oddScope =
  'a scope is one word of printable ASCII characters without spaces, quotes and backslashes (RFC 6749 section 3.3); write several scopes as several items';
const wildcardAudience =
  "an audience has no wildcard: a token for '*' would be good at every resource server; write each audience out";
const oddAudience =
  'an audience is one word of printable ASCII characters without spaces, quotes and backslashes, e.g. https://registry.example.com; write several audiences as several items';
const oddDuration = 'a duration is one whole number above zero and one unit s, m, h or d, such as 90s, 15m, 24h or 90d';
const lifetimeRange =
  'maxTokenLifetime must be between 1m and 24h: shorter tokens expire on their way into the pod, longer ones outlive the build that they were made for';
const oddPool =
  "pool is the name of one IdentityPool, a DNS label of lower-case letters, digits and '-'; wildcards match nothing";
const oddRole =
  "a role is a DNS label, lower-case letters, digits and '-', such as publisher; wildcards and scopes do not belong here";
const oddKey =
  "a label key is a name of letters, digits, '-', '_' and '.', with or without a DNS prefix and '/', such as team or example.com/team";
const oddKeys = oddKey.replace('a label key', 'every key of matchLabels').replace('name of', 'name of at most 317');
const oddValue =
  "a label value consists of letters, digits, '-', '_' and '.', and begins and ends with a letter or digit; wildcards match nothing";
const oddValues = 'In and NotIn need values, Exists and DoesNotExist take none';
const oddRequest =
  'a request is an id of letters, digits and - . _ : +, such as 2026-11-24 or INC-4711; take one that was not used before';
const oddTime = 'a time of day is HH:MM on a 24 hour clock, from "00:00" to "23:59", in quotes';
const subject =
  'client.per and client.existing.clientId decide the subject (sub) of every token, and trust policies that name it would break; to change them on purpose set rotation.allowSubjectChange: true in the same edit';

const tooLong = (bytes: number): string => `Too long: may not be more than ${bytes} bytes`;
const tooMany = (count: number, most: number): string => `Too many: ${count}: must have at most ${most} items`;
const required = 'Required value';
const notOneOf = (...values: readonly string[]): string =>
  `supported values: ${values.map((value) => `"${value}"`).join(', ')}`;

/** Items 1 to 64, each once. */
function list(
  path: string,
  set: string,
  valid: (index: number) => string = (index) => `a${index}`,
  most = 64,
): readonly Row[] {
  const field = set.replaceAll(/\.(\d+)\./g, '[$1].');
  return [
    { at: path, breaks: 'minItems', changes: { [set]: [] }, says: 'should have at least 1 items', field },
    { at: path, breaks: 'maxItems', changes: { [set]: many(most + 1, valid) }, says: tooMany(most + 1, most), field },
    {
      at: path,
      breaks: 'duplicate',
      changes: { [set]: [valid(1), valid(2), valid(1)] },
      says: `Duplicate value: "${valid(1)}"`,
      field: `${field}[2]`,
    },
  ];
}

/** Text of 1 to `most` characters. `wrap` puts the text into the object. */
function text(path: string, most: number, changes: (value: string) => Changes, field: string): readonly Row[] {
  return [
    { at: path, breaks: 'minLength', changes: changes(''), says: 'should be at least 1 chars long', field },
    { at: path, breaks: 'maxLength', changes: changes(long(most + 1)), says: tooLong(most), field },
  ];
}

function words(path: string, set: string, wildcard: string, odd: string): readonly Row[] {
  const field = `${set.replaceAll(/\.(\d+)\./g, '[$1].')}[0]`;
  const refused = (value: string, says: string): Row => ({
    at: `${path}[]`,
    breaks: 'rule',
    changes: { [set]: [value] },
    says,
    field,
  });
  return [
    ...list(path, set),
    ...text(`${path}[]`, 256, (value) => ({ [set]: [value] }), field),
    ...['*', 'artifacts:*', '*:publish', 'https://*.example.com'].map((value) => refused(value, wildcard)),
    ...[
      'a b',
      ' a',
      'a ',
      'a\n',
      'a\r\nb',
      'a\tb',
      'a"b',
      'a\\b',
      'a\0b',
      '\u001b[31m',
      'é',
      '\u0430',
      '\u200b',
      '\u202e',
      '\ud800',
      '\u007f',
    ].map((value) => refused(value, odd)),
  ];
}

function duration(path: string, outside: readonly string[], says: string, extra: Changes = {}): readonly Row[] {
  const field = path.replaceAll('[]', '[0]');
  const set = path.replaceAll('[]', '.0');
  const odd = [
    '',
    '0',
    '0m',
    '-1h',
    '+1h',
    '1.5h',
    '1h30m',
    '1y',
    'PT15M',
    '1e3s',
    '15',
    '15 m',
    '15M',
    ' 15m',
    '15m\n',
    '01h',
    '1e309',
    'NaN',
    '٣m',
  ];
  return [
    { at: path, breaks: 'maxLength', changes: { ...extra, [set]: '12345678d' }, says: tooLong(8), field },
    ...odd.map((value): Row => ({
      at: path,
      breaks: 'rule',
      changes: { ...extra, [set]: value },
      says: oddDuration,
      field,
    })),
    ...outside.map((value): Row => ({ at: path, breaks: 'rule', changes: { ...extra, [set]: value }, says, field })),
  ];
}

/** The same label selector in two kinds. `pick` replaces the selector of the smallest object. */
function selector(path: string, field: string, pick: (selector: unknown) => Changes, empty: string): readonly Row[] {
  const expression = (part: object): Changes =>
    pick({ matchExpressions: [{ key: 'tier', operator: 'Exists', ...part }] });
  const at = `${path}.matchExpressions[]`;
  const inField = `${field}.matchExpressions[0]`;
  const valueRow = (value: string): Row => ({
    at: `${path}.matchLabels{}`,
    breaks: 'rule',
    changes: pick({ matchLabels: { tier: value } }),
    says: oddValue,
    field: `${field}.matchLabels[tier]`,
  });
  return [
    ...[{}, { matchLabels: {} }, { matchExpressions: [] }].map((value): Row => ({
      at: path,
      breaks: 'rule',
      changes: pick(value),
      says: empty,
      field,
    })),
    {
      at: `${path}.matchLabels`,
      breaks: 'maxProperties',
      changes: pick({ matchLabels: Object.fromEntries(many(17).map((key) => [key, 'x'])) }),
      says: tooMany(17, 16),
      field: `${field}.matchLabels`,
    },
    ...['-a', 'a b', '*', 'A/b/c', '/a', 'EXAMPLE.com/a', long(318)].map((key): Row => ({
      at: `${path}.matchLabels`,
      breaks: 'rule',
      changes: pick({ matchLabels: { [key]: 'x' } }),
      says: oddKeys,
      field: `${field}.matchLabels`,
    })),
    {
      at: `${path}.matchLabels{}`,
      breaks: 'maxLength',
      changes: pick({ matchLabels: { tier: long(64) } }),
      says: tooLong(63),
      field: `${field}.matchLabels.tier`,
    },
    ...['*', 'a b', '-a', 'a-', 'é'].map(valueRow),
    {
      at: `${path}.matchExpressions`,
      breaks: 'maxItems',
      changes: pick({ matchExpressions: Array.from({ length: 17 }, () => ({ key: 'a', operator: 'Exists' })) }),
      says: tooMany(17, 16),
      field: `${field}.matchExpressions`,
    },
    {
      at: `${at}.key`,
      breaks: 'required',
      changes: pick({ matchExpressions: [{ operator: 'Exists' }] }),
      says: required,
      field: `${inField}.key`,
    },
    {
      at: `${at}.operator`,
      breaks: 'required',
      changes: pick({ matchExpressions: [{ key: 'tier' }] }),
      says: required,
      field: `${inField}.operator`,
    },
    ...text(`${at}.key`, 317, (key) => expression({ key }), `${inField}.key`),
    { at: `${at}.key`, breaks: 'rule', changes: expression({ key: 'a b' }), says: oddKey, field: `${inField}.key` },
    {
      at: `${at}.operator`,
      breaks: 'enum',
      changes: expression({ operator: 'Gt' }),
      says: notOneOf('In', 'NotIn', 'Exists', 'DoesNotExist'),
      field: `${inField}.operator`,
    },
    ...[
      { operator: 'In' },
      { operator: 'NotIn', values: [] },
      { operator: 'Exists', values: ['a'] },
      { operator: 'DoesNotExist', values: ['a'] },
    ].map((part): Row => ({ at, breaks: 'rule', changes: expression(part), says: oddValues, field: inField })),
    {
      at: `${at}.values`,
      breaks: 'maxItems',
      changes: expression({ operator: 'In', values: many(33) }),
      says: tooMany(33, 32),
      field: `${inField}.values`,
    },
    {
      at: `${at}.values`,
      breaks: 'duplicate',
      changes: expression({ operator: 'In', values: ['a', 'a'] }),
      says: 'Duplicate value: "a"',
      field: `${inField}.values[1]`,
    },
    {
      at: `${at}.values[]`,
      breaks: 'maxLength',
      changes: expression({ operator: 'In', values: [long(64)] }),
      says: tooLong(63),
      field: `${inField}.values[0]`,
    },
    {
      at: `${at}.values[]`,
      breaks: 'rule',
      changes: expression({ operator: 'In', values: ['ci-*'] }),
      says: oddValue,
      field: `${inField}.values[0]`,
    },
  ];
}

const issuer = 'spec.provider.issuer';
const existing = 'spec.client.existing';
const registered = { clientId: 'jenkins', credentialRef: { name: 'jenkins', key: 'secret' } };
const weekend = { days: ['Sat'], from: '01:00', to: '05:00', timeZone: 'Europe/Berlin' };

const identityPool: readonly Row[] = [
  { at: 'spec', breaks: 'required', changes: { spec: undefined }, says: required },
  ...['a.b', long(64)].map((name): Row => ({
    at: '',
    breaks: 'rule',
    changes: { 'metadata.name': name },
    says: "an IdentityPool's name is a DNS label of at most 63 characters: lower-case letters, digits and '-'; it becomes part of the client id",
    field: '<nil>',
  })),
  {
    at: 'spec.purpose',
    breaks: 'enum',
    changes: { 'spec.purpose': 'Both' },
    says: notOneOf('Automation', 'Interactive'),
  },
  ...[
    { live: {}, changes: { 'spec.purpose': 'Interactive' } },
    { live: { 'spec.purpose': 'Interactive' }, changes: { 'spec.purpose': undefined } },
  ].map((edit): Row => ({
    ...edit,
    at: 'spec',
    breaks: 'rule',
    says: 'purpose cannot change, because clients for bots and for people are never mixed; create another IdentityPool',
    field: 'spec.purpose',
  })),

  { at: 'spec.provider', breaks: 'required', changes: { 'spec.provider': undefined }, says: required },
  { at: 'spec.provider.type', breaks: 'enum', changes: { 'spec.provider.type': 'SAML' }, says: notOneOf('OIDC') },
  { at: issuer, breaks: 'required', changes: { 'spec.provider': {} }, says: required },
  { at: issuer, breaks: 'maxLength', changes: { [issuer]: `https://${long(249)}` }, says: tooLong(256) },
  ...[
    '',
    'http://idp.example.com',
    'ftp://idp.example.com',
    'HTTPS://idp.example.com',
    'idp.example.com',
    '//idp.example.com',
    'https:idp.example.com',
    'https://',
    'https:///ci',
  ].map((value): Row => ({
    at: issuer,
    breaks: 'rule',
    changes: { [issuer]: value },
    says: "an issuer begins with https:// and a host, because credentials are sent there; write it as the provider's metadata has it, e.g. https://idp.example.com/realms/ci",
  })),
  ...[
    'https://idp.example.com/a b',
    'https://idp.example.com ',
    'https://idp.example.com\n',
    'https://idp.example.com\\evil',
    'https://ìdp.example.com',
    'https://idp.example.com/\u202e',
    'https://idp\t.example.com',
  ].map((value): Row => ({
    at: issuer,
    breaks: 'rule',
    changes: { [issuer]: value },
    says: 'an issuer consists of printable ASCII characters without spaces and backslashes, because it is compared byte by byte; remove the others',
  })),
  ...['https://user:password@idp.example.com', 'https://user@idp.example.com/realms/ci'].map((value): Row => ({
    at: issuer,
    breaks: 'rule',
    changes: { [issuer]: value },
    says: "an issuer carries no user name or password; remove everything up to '@' (credentials belong in Secrets that the operator's configuration names)",
  })),
  ...['https://idp.example.com?realm=ci', 'https://idp.example.com/#ci', 'https://idp.example.com/?'].map(
    (value): Row => ({
      at: issuer,
      breaks: 'rule',
      changes: { [issuer]: value },
      says: "an issuer has no query and no fragment (RFC 8414 section 2); remove everything from '?' or '#' on",
    }),
  ),
  ...['https://other.example.com', 'https://idp.example.com/realms/ci/'].map((value): Row => ({
    live: {},
    at: issuer,
    breaks: 'rule',
    changes: { [issuer]: value },
    says: 'the issuer cannot change, because the clients of this pool live there; create another IdentityPool',
  })),
  {
    at: 'spec.provider.audience.by',
    breaks: 'enum',
    changes: { 'spec.provider.audience.by': 'Guess' },
    says: notOneOf('Profile', 'Resource', 'Audience', 'Scope', 'None'),
  },
  ...[{ scopes: { x: 'y' } }, { by: 'Audience', scopes: { x: 'y' } }].map((audience): Row => ({
    at: 'spec.provider.audience',
    breaks: 'rule',
    changes: { 'spec.provider.audience': audience },
    says: 'audience.scopes is only read with audience.by: Scope; set by: Scope or remove scopes',
    field: 'spec.provider.audience.scopes',
  })),
  ...[
    { by: 'Scope' },
    { by: 'Scope', scopes: {} },
    { by: 'Scope', scopes: { 'https://deploy.example.com': 'aud-deploy' } },
  ].map((audience): Row => ({
    at: 'spec',
    breaks: 'rule',
    changes: { 'spec.provider.audience': audience },
    says: 'with audience.by: Scope every audience of the ceiling needs an entry here: <audience>: <client scope of the provider that carries it>',
    field: 'spec.provider.audience.scopes',
  })),
  {
    at: 'spec.provider.audience.scopes',
    breaks: 'maxProperties',
    changes: {
      'spec.provider.audience': { by: 'Scope', scopes: Object.fromEntries(many(65).map((key) => [key, 'x'])) },
    },
    says: tooMany(65, 64),
  },
  ...carrier('', 'minLength', 'should be at least 1 chars long'),
  ...carrier(long(257), 'maxLength', tooLong(256)),
  ...carrier('aud-*', 'rule', wildcardScope),
  ...carrier('aud registry', 'rule', oddScope),

  {
    at: 'spec.client.per',
    breaks: 'enum',
    changes: { 'spec.client.per': 'Pod' },
    says: notOneOf('Pool', 'Namespace', 'Identity'),
  },
  {
    at: 'spec.client.authentication',
    breaks: 'enum',
    changes: { 'spec.client.authentication': 'None' },
    says: notOneOf('PrivateKeyJwt', 'ClientSecretBasic', 'ClientSecretPost'),
  },
  ...['Namespace', 'Identity'].map((per): Row => ({
    at: 'spec.client',
    breaks: 'rule',
    changes: { 'spec.client': { per, existing: registered } },
    says: 'client.existing is one client, so it goes with client.per: Pool only; remove existing or per',
    field: existing,
  })),
  {
    at: `${existing}.clientId`,
    breaks: 'required',
    changes: { [`${existing}`]: { credentialRef: registered.credentialRef } },
    says: required,
  },
  {
    at: `${existing}.credentialRef`,
    breaks: 'required',
    changes: { [`${existing}`]: { clientId: 'jenkins' } },
    says: required,
  },
  {
    at: `${existing}.credentialRef.name`,
    breaks: 'required',
    changes: { [existing]: { ...registered, credentialRef: { key: 'k' } } },
    says: required,
  },
  {
    at: `${existing}.credentialRef.key`,
    breaks: 'required',
    changes: { [existing]: { ...registered, credentialRef: { name: 'n' } } },
    says: required,
  },
  ...text(
    `${existing}.clientId`,
    256,
    (value) => ({ [existing]: { ...registered, clientId: value } }),
    `${existing}.clientId`,
  ),
  ...text(
    `${existing}.credentialRef.name`,
    253,
    (name) => ({ [existing]: { ...registered, credentialRef: { name, key: 'k' } } }),
    `${existing}.credentialRef.name`,
  ),
  ...text(
    `${existing}.credentialRef.key`,
    253,
    (key) => ({ [existing]: { ...registered, credentialRef: { name: 'n', key } } }),
    `${existing}.credentialRef.key`,
  ),
  ...[' jenkins', 'jenkins ', 'jen\nkins', 'jenkïns'].map((clientId): Row => ({
    at: `${existing}.clientId`,
    breaks: 'rule',
    changes: { [existing]: { ...registered, clientId } },
    says: 'a client id consists of printable ASCII characters and neither begins nor ends with a space (RFC 6749 appendix A.1); copy it from the provider again',
  })),
  ...['../secrets', 'other/name', 'Name', '.a', 'a-'].map((name): Row => ({
    at: `${existing}.credentialRef.name`,
    breaks: 'rule',
    changes: { [existing]: { ...registered, credentialRef: { name, key: 'k' } } },
    says: "the name of a Secret consists of lower-case letters, digits, '-' and '.', and begins and ends with a letter or digit",
  })),
  ...['client', 'session'].map((kind): Row => ({
    at: `${existing}.credentialRef.name`,
    breaks: 'rule',
    changes: {
      [existing]: {
        ...registered,
        credentialRef: { name: `${kind}-${'0123456789abcdef'.repeat(2)}`, key: 'record.json' },
      },
    },
    says: "client-<hash> and session-<hash> are the operator's own records; put the credential into a Secret of its own",
  })),
  ...['a/b', 'a b', 'ä'].map((key): Row => ({
    at: `${existing}.credentialRef.key`,
    breaks: 'rule',
    changes: { [existing]: { ...registered, credentialRef: { name: 'n', key } } },
    says: "a key of a Secret consists of letters, digits, '-', '_' and '.'",
  })),
  ...[
    { live: {}, changes: { 'spec.client.per': 'Namespace' } },
    { live: { 'spec.client.per': 'Identity' }, changes: { 'spec.client': undefined } },
    { live: {}, changes: { [existing]: registered } },
    { live: { [existing]: registered }, changes: { [existing]: { ...registered, clientId: 'other' } } },
    {
      live: { [existing]: registered },
      changes: { 'spec.client': undefined, 'spec.rotation.allowSubjectChange': false },
    },
  ].map((edit): Row => ({ ...edit, at: 'spec', breaks: 'rule', says: subject, field: 'spec.client' })),

  { at: 'spec.ceiling', breaks: 'required', changes: { 'spec.ceiling': undefined }, says: required },
  { at: 'spec.ceiling.scopes', breaks: 'required', changes: { 'spec.ceiling.scopes': undefined }, says: required },
  {
    at: 'spec.ceiling.audiences',
    breaks: 'required',
    changes: { 'spec.ceiling.audiences': undefined },
    says: required,
  },
  ...words('spec.ceiling.scopes', 'spec.ceiling.scopes', wildcardScope, oddScope),
  ...words('spec.ceiling.audiences', 'spec.ceiling.audiences', wildcardAudience, oddAudience),
  ...duration('spec.ceiling.maxTokenLifetime', ['59s', '25h'], lifetimeRange, { 'spec.ceiling.maxSessionAge': '7d' }),
  ...duration(
    'spec.ceiling.maxSessionAge',
    ['31d'],
    'maxSessionAge must be at most 30d: a pod that runs longer is no build',
  ),
  ...[{ maxTokenLifetime: '2h', maxSessionAge: '1h' }, { maxSessionAge: '14m' }].map((part): Row => ({
    at: 'spec.ceiling',
    breaks: 'rule',
    changes: Object.fromEntries(Object.entries(part).map(([key, value]) => [`spec.ceiling.${key}`, value])),
    says: 'maxSessionAge (24h if left out) must not be shorter than maxTokenLifetime (15m if left out), because a session lasts at least as long as its first token; lengthen maxSessionAge or shorten maxTokenLifetime',
    field: 'spec.ceiling.maxSessionAge',
  })),
  {
    at: 'spec.ceiling.onExceed',
    breaks: 'enum',
    changes: { 'spec.ceiling.onExceed': 'Ignore' },
    says: notOneOf('Refuse', 'RevokeEarly'),
  },

  ...duration(
    'spec.rotation.every',
    ['59m', '3650d'],
    'rotation.every must be between 1h and 730d: a credential that is replaced more often never settles, an older one is a forgotten one',
    { 'spec.rotation.overlap': '15m' },
  ),
  ...duration(
    'spec.rotation.overlap',
    ['31d'],
    'rotation.overlap must be at most 30d: while it lasts there are two live credentials',
  ),
  ...[
    { every: '1h' },
    { every: '2h', overlap: '3h' },
    { every: '2d', overlap: '2d' },
    { every: '7d', overlap: '20d' },
  ].map((rotation): Row => ({
    at: 'spec',
    breaks: 'rule',
    changes: { 'spec.rotation': rotation },
    says: 'rotation.overlap (1h if left out) must be shorter than rotation.every (90d if left out), or the next rotation would begin before the last one ends; shorten overlap or lengthen every',
    field: 'spec.rotation.overlap',
  })),
  {
    at: 'spec',
    breaks: 'rule',
    changes: { 'spec.rotation.every': '2h', 'spec.ceiling.maxTokenLifetime': '2h' },
    says: 'rotation.every (90d if left out) must be longer than ceiling.maxTokenLifetime (15m if left out), because a credential outlives its tokens; lengthen every or shorten maxTokenLifetime',
    field: 'spec.rotation.every',
  },
  ...[
    { 'spec.rotation.overlap': '14m' },
    { 'spec.rotation.overlap': '1h', 'spec.ceiling.maxTokenLifetime': '61m' },
  ].map((changes): Row => ({
    at: 'spec',
    breaks: 'rule',
    changes,
    says: 'rotation.overlap must not be shorter than ceiling.maxTokenLifetime (15m if left out), because the old credential has to stay until its last token has expired; lengthen overlap or shorten maxTokenLifetime',
    field: 'spec.rotation.overlap',
  })),
  {
    at: 'spec.rotation.window.from',
    breaks: 'required',
    changes: { 'spec.rotation.window': { to: '05:00' } },
    says: required,
  },
  {
    at: 'spec.rotation.window.to',
    breaks: 'required',
    changes: { 'spec.rotation.window': { from: '05:00' } },
    says: required,
  },
  {
    at: 'spec.rotation.window',
    breaks: 'rule',
    changes: { 'spec.rotation.window': { from: '05:00', to: '05:00' } },
    says: 'a window whose from equals its to never opens; move one of them, or remove the window for any time',
  },
  {
    at: 'spec.rotation.window.days',
    breaks: 'minItems',
    changes: { 'spec.rotation.window': { ...weekend, days: [] } },
    says: 'should have at least 1 items',
  },
  {
    at: 'spec.rotation.window.days',
    breaks: 'maxItems',
    changes: { 'spec.rotation.window': { ...weekend, days: ['Mon', 'Tue', 'Wed', 'Thu', 'Fri', 'Sat', 'Sun', 'Mon'] } },
    says: tooMany(8, 7),
    also: 'spec.rotation.window.days[7]',
  },
  {
    at: 'spec.rotation.window.days',
    breaks: 'duplicate',
    changes: { 'spec.rotation.window': { ...weekend, days: ['Sat', 'Sat'] } },
    says: 'Duplicate value: "Sat"',
    field: 'spec.rotation.window.days[1]',
  },
  {
    at: 'spec.rotation.window.days[]',
    breaks: 'enum',
    changes: { 'spec.rotation.window': { ...weekend, days: ['Saturday'] } },
    says: notOneOf('Mon', 'Tue', 'Wed', 'Thu', 'Fri', 'Sat', 'Sun'),
  },
  ...['from', 'to'].flatMap((end): readonly Row[] => [
    {
      at: `spec.rotation.window.${end}`,
      breaks: 'maxLength',
      changes: { 'spec.rotation.window': { ...weekend, [end]: '02:000' } },
      says: tooLong(5),
    },
    ...['', '24:00', '2:00', '02:60', '2am'].map((value): Row => ({
      at: `spec.rotation.window.${end}`,
      breaks: 'rule',
      changes: { 'spec.rotation.window': { ...weekend, [end]: value } },
      says: oddTime,
    })),
  ]),
  {
    at: 'spec.rotation.window.timeZone',
    breaks: 'maxLength',
    changes: { 'spec.rotation.window': { ...weekend, timeZone: `Europe/${long(58)}` } },
    says: tooLong(64),
  },
  ...['', 'CET', '+01:00', 'Local', '../etc/passwd', 'Europe/../UTC', 'europe/berlin'].map((timeZone): Row => ({
    at: 'spec.rotation.window.timeZone',
    breaks: 'rule',
    changes: { 'spec.rotation.window': { ...weekend, timeZone } },
    says: 'a time zone is UTC or a name from the IANA time zone database such as Europe/Berlin; abbreviations and offsets do not know summer time',
  })),
  {
    at: 'spec.rotation.window.timeZone',
    breaks: 'rule',
    changes: { 'spec.rotation.window': { ...weekend, timeZone: 'Europe/Berln' } },
    says: 'take a name of the IANA time zone database, e.g. Europe/Berlin',
  },
  ...['spec.rotation.request', 'spec.revokeRequest'].flatMap((path): readonly Row[] => [
    ...text(path, 64, (value) => ({ [path]: value }), path),
    ...['a b', 'a\n', 'é', 'a/b', '<script>'].map((value): Row => ({
      at: path,
      breaks: 'rule',
      changes: { [path]: value },
      says: oddRequest,
    })),
  ]),
  {
    at: 'spec.enforcement',
    breaks: 'enum',
    changes: { 'spec.enforcement': 'Off' },
    says: notOneOf('Enforce', 'Audit'),
  },
  {
    at: 'spec.deletionPolicy',
    breaks: 'enum',
    changes: { 'spec.deletionPolicy': 'Orphan' },
    says: notOneOf('Delete', 'Retain'),
  },
];

function carrier(scope: string, breaks: string, says: string): readonly Row[] {
  const audience = 'https://registry.example.com';
  return [
    {
      at: 'spec.provider.audience.scopes{}',
      breaks,
      changes: { 'spec.provider.audience': { by: 'Scope', scopes: { [audience]: scope } } },
      says,
      // The API server writes keys of a map in one way for bounds and in another for rules.
      field: `spec.provider.audience.scopes${breaks === 'rule' ? `[${audience}]` : `.${audience}`}`,
    },
  ];
}

const rule = 'spec.rules.0';
const bySelector = (value: unknown): Changes => ({
  [`${rule}.namespaces`]: undefined,
  [`${rule}.namespaceSelector`]: value,
});

const scopePolicy: readonly Row[] = [
  { at: 'spec', breaks: 'required', changes: { spec: undefined }, says: required },
  { at: 'spec.rules', breaks: 'required', changes: { 'spec.rules': undefined }, says: required },
  { at: 'spec.rules', breaks: 'minItems', changes: { 'spec.rules': [] }, says: 'should have at least 1 items' },
  {
    at: 'spec.rules',
    breaks: 'maxItems',
    says: tooMany(1000, 64),
    changes: {
      'spec.rules': Array.from({ length: 1000 }, () => ({ role: 'a', pool: 'a', namespaces: ['a'], scopes: ['a'] })),
    },
  },
  ...['role', 'pool', 'scopes'].map((name): Row => ({
    at: `spec.rules[].${name}`,
    breaks: 'required',
    changes: { [`${rule}.${name}`]: undefined },
    says: required,
  })),
  ...[{ [`${rule}.namespaces`]: undefined }, { [`${rule}.namespaceSelector`]: { matchLabels: { tier: 'ci' } } }].map(
    (changes): Row => ({
      at: 'spec.rules[]',
      breaks: 'rule',
      changes,
      says: 'a rule says in which namespaces it grants, either by namespaces or by namespaceSelector; write exactly one of them',
    }),
  ),
  ...text('spec.rules[].role', 63, (value) => ({ [`${rule}.role`]: value }), 'spec.rules[0].role'),
  ...text('spec.rules[].pool', 63, (value) => ({ [`${rule}.pool`]: value }), 'spec.rules[0].pool'),
  ...['*', 'Publisher', 'deploy:production', 'a b', '-a', 'a\n'].map((value): Row => ({
    at: 'spec.rules[].role',
    breaks: 'rule',
    changes: { [`${rule}.role`]: value },
    says: oddRole,
  })),
  ...['*', 'ci-*', 'CI', 'a.b'].map((value): Row => ({
    at: 'spec.rules[].pool',
    breaks: 'rule',
    changes: { [`${rule}.pool`]: value },
    says: oddPool,
  })),
  ...list('spec.rules[].namespaces', `${rule}.namespaces`),
  ...text(
    'spec.rules[].namespaces[]',
    63,
    (value) => ({ [`${rule}.namespaces`]: [value] }),
    'spec.rules[0].namespaces[0]',
  ),
  ...['*', 'ci-*', 'CI', 'a/b', 'a b'].map((value): Row => ({
    at: 'spec.rules[].namespaces[]',
    breaks: 'rule',
    changes: { [`${rule}.namespaces`]: [value] },
    says: "namespaces are written out, each a DNS label of lower-case letters, digits and '-'; for many namespaces use namespaceSelector, wildcards match nothing",
  })),
  ...selector(
    'spec.rules[].namespaceSelector',
    'spec.rules[0].namespaceSelector',
    bySelector,
    'namespaceSelector must not be empty, because it would grant in every namespace; name labels, or write the namespaces out',
  ),
  ...words('spec.rules[].scopes', `${rule}.scopes`, wildcardScope, oddScope),
  ...words('spec.rules[].audiences', `${rule}.audiences`, wildcardAudience, oddAudience),
  ...duration('spec.rules[].maxTokenLifetime', ['59s', '25h'], lifetimeRange),
];

const someActor = { type: 'AIAgent', id: 'release-bot', owner: 'payments@example.com' };

const ciIdentity: readonly Row[] = [
  ...['a.b', long(51)].map((name): Row => ({
    at: '',
    breaks: 'rule',
    changes: { 'metadata.name': name },
    says: "a CiIdentity's name is a DNS label of at most 50 characters: lower-case letters, digits and '-'",
    field: '<nil>',
  })),
  { at: 'spec', breaks: 'required', changes: { spec: undefined }, says: required },
  ...['pool', 'roles'].map((name): Row => ({
    at: `spec.${name}`,
    breaks: 'required',
    changes: { [`spec.${name}`]: undefined },
    says: required,
  })),
  ...text('spec.pool', 63, (value) => ({ 'spec.pool': value }), 'spec.pool'),
  ...['*', 'Ci-Bots', 'other/ci-bots'].map((value): Row => ({
    at: 'spec.pool',
    breaks: 'rule',
    changes: { 'spec.pool': value },
    says: oddPool,
  })),
  ...list('spec.roles', 'spec.roles'),
  ...text('spec.roles[]', 63, (value) => ({ 'spec.roles': [value] }), 'spec.roles[0]'),
  ...['*', 'Publisher', 'artifacts:publish'].map((value): Row => ({
    at: 'spec.roles[]',
    breaks: 'rule',
    changes: { 'spec.roles': [value] },
    says: oddRole,
  })),
  {
    at: 'spec',
    breaks: 'rule',
    changes: { 'spec.scopes': many(43), 'spec.audiences': many(6) },
    says: 'scopes times audiences is at most 256, because each scope is judged at each audience; split it into several identities',
  },
  ...words('spec.scopes', 'spec.scopes', wildcardScope, oddScope),
  ...words('spec.audiences', 'spec.audiences', wildcardAudience, oddAudience),
  ...selector(
    'spec.agents.podSelector',
    'spec.agents.podSelector',
    (value) => ({ 'spec.agents.podSelector': value }),
    'podSelector must not be empty: leave it out for every pod with the label jenkins/label',
  ),
  ...list('spec.delivery.containers', 'spec.delivery.containers', (index) => `a${index}`, 16),
  ...text(
    'spec.delivery.containers[]',
    63,
    (value) => ({ 'spec.delivery.containers': [value] }),
    'spec.delivery.containers[0]',
  ),
  ...['*', 'Maven', 'a b'].map((value): Row => ({
    at: 'spec.delivery.containers[]',
    breaks: 'rule',
    changes: { 'spec.delivery.containers': [value] },
    says: "a container's name is a DNS label of lower-case letters, digits and '-'; wildcards match nothing",
  })),
  ...Object.keys(someActor).map((name): Row => ({
    at: `spec.actor.${name}`,
    breaks: 'required',
    changes: { 'spec.actor': { ...someActor, [name]: undefined } },
    says: required,
  })),
  {
    at: 'spec.actor.type',
    breaks: 'enum',
    changes: { 'spec.actor': { ...someActor, type: 'Person' } },
    says: notOneOf('AIAgent', 'Automation'),
  },
  ...(['id', 'owner'] as const).flatMap((name): readonly Row[] => [
    ...text(
      `spec.actor.${name}`,
      128,
      (value) => ({ 'spec.actor': { ...someActor, [name]: value } }),
      `spec.actor.${name}`,
    ),
    ...['a b', 'a\n', '\u001b[31m', '\u202e', 'é'].map((value): Row => ({
      at: `spec.actor.${name}`,
      breaks: 'rule',
      changes: { 'spec.actor': { ...someActor, [name]: value } },
      says: `actor.${name} is one word of printable ASCII characters without spaces, such as ${name === 'id' ? 'release-bot' : 'payments@example.com'}`,
    })),
  ]),
  ...(
    [
      ['concurrentSessions', 10_000],
      ['sessionsPerHour', 1_000],
    ] as const
  ).flatMap(([name, most]): readonly Row[] => [
    {
      at: `spec.limits.${name}`,
      breaks: 'minimum',
      changes: { 'spec.limits': { [name]: 0 } },
      says: 'should be greater than or equal to 1',
    },
    {
      at: `spec.limits.${name}`,
      breaks: 'maximum',
      changes: { 'spec.limits': { [name]: most + 1 } },
      says: `should be less than or equal to ${most}`,
    },
  ]),
];

export const rows: Readonly<Record<Kind, readonly Row[]>> = {
  IdentityPool: identityPool,
  ScopePolicy: scopePolicy,
  CiIdentity: ciIdentity,
};
