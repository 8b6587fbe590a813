import { globSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import test from 'ava';

/** The rooms of src/, from the bottom to the top: a file imports from its own room and from rooms above this line, never from a neighbour. */
const floors: readonly (readonly string[])[] = [
  ['clock.ts', 'redacted.ts', 'digest.ts', 'flags.ts', 'clean.ts', 'api'],
  ['errors.ts', 'decision.ts', 'config.ts'],
  ['domain', 'runtime'],
  ['kube', 'providers', 'telemetry'],
  ['controllers'],
  ['commands'],
  ['main.ts'],
];

/** Which room alone may import which package; packages that are not listed may be imported nowhere. */
const packages: Readonly<Record<string, readonly string[]>> = {
  '@kubernetes/client-node': ['kube'],
  'openid-client': ['providers'],
  jose: ['providers'],
  'ipaddr.js': ['providers'],
  undici: ['kube', 'providers'],
  winston: ['telemetry'],
  'prom-client': ['telemetry'],
  ajv: ['config.ts'],
  yaml: ['config.ts', 'kube', 'commands'],
};

interface Import {
  readonly from: string;
  readonly typeOnly: boolean;
}

interface Source {
  readonly file: string;
  readonly room: string;
  readonly text: string;
  /** Without comments and plain strings, so that words in sentences are not taken for code. */
  readonly code: string;
  readonly imports: readonly Import[];
}

const importPattern = /^\s*(?:import|export)\s+(type\s+)?(?:[^'";]*?\sfrom\s+)?'([^']+)'|\bimport\(\s*'([^']+)'/gm;

function parse(file: string, text: string): Source {
  const imports = [...text.matchAll(importPattern)].map(([, type, from, dynamic]) => ({
    from: from ?? dynamic ?? '',
    typeOnly: type !== undefined,
  }));
  const code = text
    .replace(/\/\*[\s\S]*?\*\/|(?<=^|\s)\/\/.*$/gm, '')
    .replace(/'(?:[^'\\\n]|\\.)*'|"(?:[^"\\\n]|\\.)*"/g, "''");
  return { file, room: roomOf(file), text, code, imports };
}

function roomOf(file: string): string {
  return file.split('/')[1] ?? '';
}

function floorOf(room: string): number {
  return floors.findIndex((rooms) => rooms.includes(room));
}

function forbiddenImports({ file, room, imports }: Source): readonly string[] {
  return imports.flatMap(({ from }) => {
    if (from.startsWith('#')) return [`${file} imports ${from}: relative paths inside src`];
    if (from.startsWith('node:'))
      return room === 'domain' || from === 'node:process' ? [`${file} imports ${from}`] : [];
    if (!from.startsWith('.')) {
      const name = from.split('/', from.startsWith('@') ? 2 : 1).join('/');
      return packages[name]?.includes(room) === true ? [] : [`${file} imports ${from}`];
    }
    const target = roomOf(join(dirname(file), from));
    const free = target === room || floorOf(target) < floorOf(room);
    return free && floorOf(target) !== -1 ? [] : [`${file} imports ${from}`];
  });
}

const time = /\bDate\b|\bperformance\b|\bset(?:Timeout|Interval)\b|\bclear(?:Timeout|Interval)\b/;
const program = /\bprocess\.\w|\bglobalThis\b/;
const impure = /\bMath\.random\b|\bcrypto\.|\brandomUUID\b|\bfetch\(|\bsetImmediate\b|\bBuffer\b|\bconsole\./;

function forbiddenGlobals({ file, room, code }: Source): readonly string[] {
  const found: string[] = [];
  const look = (pattern: RegExp): void => {
    const [word] = pattern.exec(code) ?? [];
    if (word !== undefined) found.push(`${file} uses ${word}`);
  };
  if (file !== 'src/clock.ts') look(time);
  if (file !== 'src/main.ts') look(program);
  if (room === 'domain') look(impure);
  if (room !== 'commands') look(/\bMath\.random\b/);
  return [...new Set(found)];
}

function isBarrel({ code }: Source): boolean {
  const rest = code.replace(/\b(?:import|export)\b[^;]*?\bfrom\s*''\s*;?/g, '');
  return /\bexport\b/.test(code) && rest.trim() === '';
}

const sources = globSync('src/**/*.ts')
  .toSorted()
  .map((file) => parse(file, readFileSync(file, 'utf8')));

test('every file is in a room of the house', (t) => {
  t.true(sources.length > 100);
  t.deepEqual(
    sources.filter(({ room }) => floorOf(room) === -1).map(({ file }) => file),
    [],
  );
});

test('imports go up only, and packages stay in their room', (t) => t.deepEqual(sources.flatMap(forbiddenImports), []));

test('the clock alone knows the time, main.ts alone the process, and the domain nothing of the world', (t) => {
  t.deepEqual(sources.flatMap(forbiddenGlobals), []);
});

test('no barrel files', (t) =>
  t.deepEqual(
    sources.filter(isBarrel).map(({ file }) => file),
    [],
  ));

test('at most 300 lines a file', (t) => {
  const long = sources
    .map(({ file, text }) => [file, text.split('\n').length - 1] as const)
    .filter(([, lines]) => lines > 300);
  t.deepEqual(long, []);
});

/** Each rule fires on what it forbids: [file, text, what is found]. */
const planted: readonly (readonly [string, string, readonly string[]])[] = [
  ['src/domain/x.ts', "import { a } from '../kube/a.ts';", ['src/domain/x.ts imports ../kube/a.ts']],
  ['src/domain/x.ts', "import type { a } from '../runtime/a.ts';", ['src/domain/x.ts imports ../runtime/a.ts']],
  [
    'src/domain/x.ts',
    "import {\n  a,\n  b,\n} from '../../controllers/a.ts';",
    ['src/domain/x.ts imports ../../controllers/a.ts'],
  ],
  ['src/domain/x.ts', "export { a } from '../runtime/a.ts';", ['src/domain/x.ts imports ../runtime/a.ts']],
  ['src/domain/x.ts', "const a = await import('../main.ts');", ['src/domain/x.ts imports ../main.ts']],
  ['src/domain/x.ts', "import 'node:fs';", ['src/domain/x.ts imports node:fs']],
  ['src/kube/x.ts', "import type { a } from '../telemetry/a.ts';", ['src/kube/x.ts imports ../telemetry/a.ts']],
  ['src/kube/x.ts', "import { decode } from 'jose';", ['src/kube/x.ts imports jose']],
  [
    'src/providers/x.ts',
    "import { a } from '@kubernetes/client-node/dist/a.js';",
    ['src/providers/x.ts imports @kubernetes/client-node/dist/a.js'],
  ],
  [
    'src/controllers/x.ts',
    "import { a } from '#src/clock.ts';",
    ['src/controllers/x.ts imports #src/clock.ts: relative paths inside src'],
  ],
  ['src/controllers/x.ts', "import process from 'node:process';", ['src/controllers/x.ts imports node:process']],
  ['src/clock.ts', "import { a } from './runtime/a.ts';", ['src/clock.ts imports ./runtime/a.ts']],
  ['src/kube/x.ts', "import type { a } from '../domain/a/b.ts';\nimport { b } from './b.ts';", []],
  ['src/runtime/x.ts', 'const a = Date.now();', ['src/runtime/x.ts uses Date']],
  ['src/runtime/x.ts', 'setTimeout(() => 1, 1);', ['src/runtime/x.ts uses setTimeout']],
  ['src/commands/x.ts', 'process.exit(1);', ['src/commands/x.ts uses process.e']],
  ['src/domain/x.ts', 'const a = Math.random();', ['src/domain/x.ts uses Math.random']],
  ['src/domain/x.ts', "/** A Date; process.exit. */\nconst a = 'the Date header'; // setTimeout", []],
  ['src/clock.ts', 'const a = Date.now();', []],
];

for (const [file, text, expected] of planted) {
  test(`planted in ${file}: ${text}`, (t) => {
    const source = parse(file, text);
    t.deepEqual([...forbiddenImports(source), ...forbiddenGlobals(source)], expected);
  });
}

test('a barrel is a file that only exports what others hold', (t) => {
  t.true(
    isBarrel(parse('src/api/index.ts', "/** All. */\nexport * from './a.ts';\nexport { b, type C } from './b.ts';\n")),
  );
  t.false(isBarrel(parse('src/api/a.ts', "import { b } from './b.ts';\nexport const c = b;\n")));
  t.false(isBarrel(parse('src/main.ts', "import './b.ts';\n")));
});
