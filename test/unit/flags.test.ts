import test from 'ava';
import { type Flag, environmentVariable, parseAddress, parseFlags } from '#src/flags.ts';

const flags: readonly Flag[] = [
  { name: 'config', placeholder: 'FILE', help: 'The configuration.' },
  {
    name: 'log-level',
    placeholder: 'LEVEL',
    help: 'How much.',
    default: 'info',
    check: (v) => (v === 'loud' ? 'must not be loud' : undefined),
  },
];

type Row = readonly [
  name: string,
  argv: readonly string[],
  environment: Record<string, string>,
  expected: object | readonly string[],
];

const rows: readonly Row[] = [
  ['nothing: defaults', [], {}, { 'log-level': 'info' }],
  ['two words', ['--config', 'c'], {}, { config: 'c', 'log-level': 'info' }],
  ['one word', ['--config=a=b'], {}, { config: 'a=b', 'log-level': 'info' }],
  ['a value may begin with one dash', ['--config', '-'], {}, { config: '-', 'log-level': 'info' }],
  ['the environment beats the default', [], { CI_IDENTITY_OPERATOR_LOG_LEVEL: 'warn' }, { 'log-level': 'warn' }],
  [
    'the command line beats the environment',
    ['--log-level=error'],
    { CI_IDENTITY_OPERATOR_LOG_LEVEL: 'warn' },
    { 'log-level': 'error' },
  ],
  ['foreign variables', [], { HOME: '/', CI_IDENTITY_OTHER: 'x' }, { 'log-level': 'info' }],
  [
    'variables that Kubernetes makes for a Service',
    [],
    {
      CI_IDENTITY_OPERATOR_SERVICE_HOST: '10.0.0.1',
      CI_IDENTITY_OPERATOR_SERVICE_PORT: '1',
      CI_IDENTITY_OPERATOR_PORT: 'tcp://10.0.0.1:1',
      CI_IDENTITY_OPERATOR_PORT_1_TCP_ADDR: '10.0.0.1',
    },
    { 'log-level': 'info' },
  ],
  [
    'unknown flag',
    ['--confg', 'c'],
    {},
    ['--confg is not a flag of run; see --help', 'c is not a flag of run; see --help'],
  ],
  ['unknown flag with a secret', ['--token=s3cr3t'], {}, ['--token is not a flag of run; see --help']],
  ['a stray word', ['c'], {}, ['c is not a flag of run; see --help']],
  ['no value at the end', ['--config'], {}, ['--config needs a value (FILE)']],
  ['the next flag is no value', ['--config', '--log-level', 'warn'], {}, ['--config needs a value (FILE)']],
  ['twice', ['--config', 'a', '--config', 'b'], {}, ['--config is given twice; keep one']],
  ['empty', ['--config='], {}, ['--config must not be empty (FILE)']],
  [
    'empty variable',
    [],
    { CI_IDENTITY_OPERATOR_CONFIG: '' },
    ['environment variable CI_IDENTITY_OPERATOR_CONFIG must not be empty (FILE)'],
  ],
  ['a refused value', ['--log-level', 'loud'], {}, ['--log-level must not be loud']],
  [
    'a refused value of the environment',
    [],
    { CI_IDENTITY_OPERATOR_LOG_LEVEL: 'loud' },
    ['environment variable CI_IDENTITY_OPERATOR_LOG_LEVEL must not be loud'],
  ],
  [
    'a misspelt variable',
    [],
    { CI_IDENTITY_OPERATOR_CONFG: 'c' },
    ['environment variable CI_IDENTITY_OPERATOR_CONFG is not known; see --help'],
  ],
  [
    'names of every object are no flags',
    ['--constructor', 'x'],
    {},
    ['--constructor is not a flag of run; see --help', 'x is not a flag of run; see --help'],
  ],
  [
    'everything at once',
    ['--what', '--log-level=loud', '--config'],
    { CI_IDENTITY_OPERATOR_X: '1' },
    [
      'environment variable CI_IDENTITY_OPERATOR_X is not known; see --help',
      '--what is not a flag of run; see --help',
      '--config needs a value (FILE)',
      '--log-level must not be loud',
    ],
  ],
];

for (const [name, argv, environment, expected] of rows) {
  test(`flags: ${name}`, (t) => {
    const parsed = parseFlags('run', flags, argv, environment);
    t.deepEqual<unknown, unknown>(
      parsed,
      Array.isArray(expected) ? { is: 'Problems', problems: expected } : { is: 'Flags', values: expected },
    );
  });
}

for (const word of ['--help', '-h']) {
  test(`${word} lists every flag with its variable, its default and its help, whatever else is wrong`, (t) => {
    const parsed = parseFlags('run', flags, ['--what', word], { CI_IDENTITY_OPERATOR_X: '1' });
    t.deepEqual(parsed, {
      is: 'Help',
      text: [
        'node src/main.ts run [flags]',
        '',
        '  --config FILE',
        '      The configuration.',
        '      Environment: CI_IDENTITY_OPERATOR_CONFIG',
        '  --log-level LEVEL',
        '      How much. Default: info.',
        '      Environment: CI_IDENTITY_OPERATOR_LOG_LEVEL',
        '',
      ].join('\n'),
    });
  });
}

test('the variable of a flag', (t) => t.is(environmentVariable('log-level'), 'CI_IDENTITY_OPERATOR_LOG_LEVEL'));

const addresses: readonly (readonly [string, object | undefined])[] = [
  ['8080', { port: 8080 }],
  [':8080', { port: 8080 }],
  ['0', { port: 0 }],
  ['127.0.0.1:8080', { host: '127.0.0.1', port: 8080 }],
  ['[::1]:8080', { host: '::1', port: 8080 }],
  ['localhost:8080', { host: 'localhost', port: 8080 }],
  ['65535', { port: 65_535 }],
  ['65536', undefined],
  ['', undefined],
  ['localhost', undefined],
  ['::1', undefined],
  ['http://localhost:1', undefined],
  ['8080 ', undefined],
];

for (const [text, expected] of addresses)
  test(`address ${JSON.stringify(text)}`, (t) => t.deepEqual<unknown, unknown>(parseAddress(text), expected));
