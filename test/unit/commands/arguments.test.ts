import { readFileSync } from 'node:fs';
import test from 'ava';
import {
  type Description,
  clusterOptions,
  didYouMean,
  helpOf,
  outputOption,
  parseArguments,
} from '#src/commands/arguments.ts';
import { pluginVerbs, unknownVerb, usage, wishOf } from '#src/commands/verbs.ts';
import { runVersion } from '#src/commands/version.ts';
import { surface } from './surface.ts';

const description: Description = {
  name: 'look',
  synopsis: 'NAME',
  about: 'Looks.',
  examples: [['Look', 'look a']],
  options: [
    ...clusterOptions,
    { name: 'filename', short: 'f', placeholder: 'FILE', help: 'A file.', repeated: true },
    { name: 'wait', help: 'Wait.' },
    outputOption,
  ],
  exit: '0.',
};

const good: readonly (readonly [string, readonly string[], Readonly<Record<string, readonly string[]>>])[] = [
  ['', [], {}],
  ['a b', ['a', 'b'], {}],
  ['-n ci a -f x --filename=y -f -', ['a'], { namespace: ['ci'], filename: ['x', 'y', '-'] }],
  ['--wait a -o json', ['a'], { wait: ['true'], output: ['json'] }],
  ['-- --wait', ['--wait'], {}],
  ['--filename=--x a', ['a'], { filename: ['--x'] }],
];

for (const [line, positionals, given] of good) {
  test(`arguments: ${line}`, (t) => {
    const parsed = parseArguments(
      description,
      line.split(' ').filter((word) => word !== ''),
    );
    if (parsed.is !== 'Arguments') return t.fail(JSON.stringify(parsed));
    t.deepEqual(parsed.positionals, positionals);
    t.deepEqual(Object.fromEntries(parsed.given), given);
    return undefined;
  });
}

for (const line of ['--help', '-h', 'a --wiat -h'])
  test(`arguments that ask for help: ${line}`, (t) => {
    t.deepEqual(parseArguments(description, line.split(' ')), { is: 'Help', text: helpOf(description) });
  });

const bad: readonly (readonly [string, readonly string[]])[] = [
  ['--wiat', ['--wiat is not a flag of look (did you mean --wait?); see kubectl ci-identity look --help']],
  ['--name x', ['--name is not a flag of look (did you mean --namespace?); see kubectl ci-identity look --help']],
  ['-x', ['-x is not a flag of look; see kubectl ci-identity look --help']],
  ['--token=hunter2', ['--token is not a flag of look; see kubectl ci-identity look --help']],
  ['--wait=yes', ['--wait takes no value']],
  ['-n', ['-n needs a value (NAME)']],
  ['-n --wait', ['-n needs a value (NAME)']],
  ['-n a -n b', ['-n is given twice; keep one']],
  [
    '-o yaml --wat',
    [
      '-o must be text or json',
      '--wat is not a flag of look (did you mean --wait?); see kubectl ci-identity look --help',
    ],
  ],
];

for (const [line, problems] of bad) {
  test(`arguments refused: ${line}`, (t) => {
    const parsed = parseArguments(description, line.split(' '));
    t.deepEqual(parsed.is === 'Problems' ? parsed.problems : parsed, problems);
  });
}

test('suggestions: a letter wrong, left out, added, two swapped, the beginning of a name; nothing else', (t) => {
  const names = ['explain', 'simulate', 'diff', 'sessions'];
  for (const word of ['explian', 'xplain', 'explaain', 'expl', 'EXPLAIN'.toLowerCase()]) {
    t.is(didYouMean(word, names), ' (did you mean explain?)', word);
  }
  for (const word of ['delete', 'x', '']) t.is(didYouMean(word, names), '', word);
  t.is(
    unknownVerb('session'),
    'kubectl ci-identity: session is not a verb (did you mean sessions?); see kubectl ci-identity --help\n',
  );
  t.is(unknownVerb('eyJhbGciOi.JIUzI1'), 'kubectl ci-identity: that is not a verb; see kubectl ci-identity --help\n');
});

for (const verb of pluginVerbs) {
  test(`--help of ${verb.name}: what it does, examples, every flag, exit codes; an unknown flag is exit code 1`, async (t) => {
    const run = await verb.load();
    const help = surface();
    t.is(await run(['--help'], help.surface), 0);
    t.regex(help.printed(), new RegExp(`^kubectl ci-identity ${verb.name}\\b`));
    for (const part of ['Examples:\n  # ', 'Flags:\n', 'Exit codes: 0 ', '--output FORMAT'])
      t.true(help.printed().includes(part), part);
    for (const line of help.printed().split('\n')) t.true(line.length <= 150, line);
    t.true(usage().includes(`  ${verb.name} `));
    const wrong = surface();
    t.is(await run(['--colour'], wrong.surface), 1);
    t.regex(
      wrong.complained(),
      new RegExp(`^kubectl ci-identity ${verb.name}: --colour is not a flag of ${verb.name}`),
    );
    t.is(wrong.printed(), '');
    const asJson = surface();
    t.is(await run(['--colour', '-o', 'json', '--size=1'], asJson.surface), 1);
    const { verb: told, errors } = JSON.parse(asJson.complained()) as {
      readonly verb: string;
      readonly errors: string[];
    };
    t.is(told, verb.name);
    t.deepEqual(
      errors.map((error) => error.split(' ')[0]),
      ['--colour', '--size'],
    );
    t.is(asJson.printed(), '');
  });
}

const wishes: readonly (readonly [string, string])[] = [
  ['', 'Usage'],
  ['help', 'Usage'],
  ['--help', 'Usage'],
  ['-h', 'Usage'],
  ['help help', 'Usage'],
  ['help explain', 'explain --help'],
  ['--help explain', 'explain --help'],
  ['help controller', 'controller --help'],
  ['help explian', 'Unknown explian'],
  ['explain -n a b', 'explain -n a b'],
  ['version', 'version'],
  ['--version', 'version'],
  ['versoin', 'Unknown versoin'],
];

for (const [line, wish] of wishes) {
  test(`kubectl ci-identity ${line}: ${wish}`, (t) => {
    const found = wishOf(line.split(' ').filter((word) => word !== ''));
    if (found.is === 'Verb') t.is([found.verb.name, ...found.argv].join(' '), wish);
    else t.is(found.is === 'Unknown' ? `Unknown ${found.name}` : found.is, wish);
  });
}

for (const [line, told] of [
  ['', 'the name of one IdentityPool is expected; see --help'],
  ['a b', 'the name of one IdentityPool is expected; see --help'],
  ['pod/a', 'only an IdentityPool has '],
] as const) {
  for (const name of ['revoke', 'rotate']) {
    test(`${name} ${line}: refused before any cluster is looked for`, async (t) => {
      const said = surface();
      const run = await pluginVerbs.find((verb) => verb.name === name)?.load();
      t.is(await run?.(line.split(' ').filter(Boolean), said.surface), 1);
      t.true(said.complained().startsWith(`kubectl ci-identity ${name}: ${told}`), said.complained());
    });
  }
}

const nameless: readonly (readonly [string, RegExp])[] = [
  ['uninstall ci-bots --yes', /: it takes out every pool, .*; to delete one pool: kubectl delete identitypool NAME$/],
  ['uninstall -n ci-payments --yes', /: -n is not a flag of uninstall/],
  ['revoke ci-bots -n ci-payments', /: -n is not a flag of revoke/],
  ['rotate ci-bots -n ci-payments', /: -n is not a flag of rotate/],
  ['doctor -n ci-payments', /: -n is not a flag of doctor/],
  ['doctor ci-bots', /: no names are expected/],
  ['sessions publisher', /: no names are expected/],
  ['version 1', /: no names are expected/],
  ['diff policies/', /: files are given with -f/],
  ['simulate pod.yaml', /: a pod is given with -f/],
];

for (const [line, told] of nameless) {
  test(`${line}: what would be ignored is refused, before any cluster is looked for`, async (t) => {
    const [name, ...argv] = line.split(' ');
    const run = await pluginVerbs.find((verb) => verb.name === name)?.load();
    const said = surface({ environment: { KUBECONFIG: '/nonexistent' } });
    t.is(await run?.(argv, said.surface), 1);
    t.regex(said.complained().split('\n')[0] ?? '', told);
    t.false(said.complained().includes('kubeconfig'));
  });
}

for (const [environment, told] of [
  [{}, /--kubeconfig FILE$/],
  [{ KUBECONFIG: '/nonexistent' }, /--kubeconfig FILE; it names \/nonexistent, which is not there$/],
] as const) {
  test(`no kubeconfig is found with ${JSON.stringify(environment)}: the message says what was looked for`, async (t) => {
    const run = await pluginVerbs.find(({ name }) => name === 'doctor')?.load();
    const said = surface({ environment: { HOME: '/nonexistent', ...environment } });
    t.is(await run?.([], said.surface), 1);
    t.regex(said.complained().trim(), told);
  });
}

test('version: of the package, and of the objects that it knows', async (t) => {
  const { version } = JSON.parse(readFileSync('package.json', 'utf8')) as { readonly version: string };
  const [text, json] = [surface(), surface()];
  t.is(await runVersion([], text.surface), 0);
  t.is(text.printed(), `kubectl ci-identity ${version}, for ci-identity.dev/v1alpha1\n`);
  t.is(await runVersion(['-o', 'json'], json.surface), 0);
  t.deepEqual(JSON.parse(json.printed()), { version, apiVersion: 'ci-identity.dev/v1alpha1' });
});

test('help: flags in one column', (t) => {
  t.is(
    helpOf({ ...description, options: description.options.slice(4) }),
    `kubectl ci-identity look NAME

Looks.

Examples:
  # Look
  kubectl ci-identity look a

Flags:
  -f, --filename FILE  A file.
      --wait           Wait.
  -o, --output FORMAT  text (default) for people, json for programs: the answer on standard output, errors on standard error.

Exit codes: 0.

`,
  );
});
