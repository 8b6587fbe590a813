import { parseArgs } from 'node:util';
import { nearName } from '../domain/access/near-name.ts';

/** One flag of a verb. */
export interface Option {
  readonly name: string;
  readonly short?: string;
  /** What stands for the value in the help; absent: a switch without value. */
  readonly placeholder?: string;
  readonly help: string;
  /** May be given several times. */
  readonly repeated?: boolean;
  readonly oneOf?: readonly string[];
}

/** Everything that `--help` says about a verb. */
export interface Description {
  readonly name: string;
  /** What follows the name on the command line, flags left out. */
  readonly synopsis: string;
  readonly about: string;
  /** What it does, and the command line behind `kubectl ci-identity`. */
  readonly examples: readonly (readonly [string, string])[];
  readonly options: readonly Option[];
  readonly exit: string;
  /** What to say to names on the command line, where the verb takes none. */
  readonly refusesNames?: string;
}

export interface Arguments {
  readonly is: 'Arguments';
  readonly positionals: readonly string[];
  /** Values of each flag that was given, in order; a switch has the value `true`. */
  readonly given: ReadonlyMap<string, readonly string[]>;
}

export type Parsed =
  | Arguments
  | { readonly is: 'Help'; readonly text: string }
  | { readonly is: 'Problems'; readonly problems: readonly string[]; readonly given: Arguments['given'] };

export const program = 'kubectl ci-identity';

/** Flags of every verb that talks to a cluster. */
export const clusterOptions: readonly Option[] = [
  { name: 'kubeconfig', placeholder: 'FILE', help: 'Default: $KUBECONFIG, else ~/.kube/config.' },
  { name: 'context', placeholder: 'NAME', help: 'Context of the kubeconfig; default: the current one.' },
  { name: 'namespace', short: 'n', placeholder: 'NAME', help: 'Default: the namespace of the context.' },
  { name: 'operator-namespace', placeholder: 'NAME', help: 'Where the operator runs; default: ci-identity-system.' },
];

/** The same for what has no namespace. */
export const clusterWideOptions: readonly Option[] = clusterOptions.filter(({ name }) => name !== 'namespace');

export const noNames = 'no names are expected; see --help';

export const outputOption: Option = {
  name: 'output',
  short: 'o',
  placeholder: 'FORMAT',
  help: 'text (default) for people, json for programs: the answer on standard output, errors on standard error.',
  oneOf: ['text', 'json'],
};

/** Reads a command line; all problems at once. Values are never repeated in a problem: one of them may be a secret in the wrong place. */
export function parseArguments(verb: Description, argv: readonly string[]): Parsed {
  const { tokens } = parseArgs({
    args: [...argv],
    strict: false,
    tokens: true,
    allowPositionals: true,
    options: Object.fromEntries(
      verb.options.map(({ name, short, placeholder }) => [
        name,
        { type: placeholder === undefined ? 'boolean' : 'string', ...(short === undefined ? {} : { short }) } as const,
      ]),
    ),
  });
  const positionals: string[] = [];
  const problems: string[] = [];
  const given = new Map<string, readonly string[]>();
  for (const token of tokens) {
    if (token.kind === 'positional') positionals.push(token.value);
    if (token.kind !== 'option') continue;
    if (token.name === 'help' || token.rawName === '-h') return { is: 'Help', text: helpOf(verb) };
    const option = verb.options.find(({ name }) => name === token.name);
    const problem = problemOf(verb, token, option, given.has(token.name));
    if (problem !== undefined) problems.push(problem);
    given.set(token.name, [...(given.get(token.name) ?? []), token.value ?? 'true']);
  }
  if (positionals.length > 0 && verb.refusesNames !== undefined) problems.push(verb.refusesNames);
  return problems.length > 0 ? { is: 'Problems', problems, given } : { is: 'Arguments', positionals, given };
}

function problemOf(
  verb: Description,
  token: {
    readonly name: string;
    readonly rawName: string;
    readonly value?: string | undefined;
    readonly inlineValue?: boolean | undefined;
  },
  option: Option | undefined,
  again: boolean,
): string | undefined {
  const { rawName, value } = token;
  if (option === undefined) {
    const names = verb.options.map(({ name }) => name);
    return `${rawName} is not a flag of ${verb.name}${didYouMean(token.name, names, '--')}; see ${program} ${verb.name} --help`;
  }
  if (option.placeholder === undefined && value !== undefined) return `${rawName} takes no value`;
  const swallowed = token.inlineValue !== true && value?.startsWith('--') === true;
  if (option.placeholder !== undefined && (value === undefined || value === '' || swallowed)) {
    return `${rawName} needs a value (${option.placeholder})`;
  }
  if (again && option.repeated !== true) return `${rawName} is given twice; keep one`;
  if (option.oneOf !== undefined && !option.oneOf.includes(value ?? '')) {
    return `${rawName} must be ${option.oneOf.join(' or ')}`;
  }
  return undefined;
}

export function valueOf(args: Arguments, name: string): string | undefined {
  return args.given.get(name)?.[0];
}

export function isJson({ given }: Pick<Arguments, 'given'>): boolean {
  return given.get('output')?.[0] === 'json';
}

export function helpOf(verb: Description): string {
  const flags = verb.options.map(({ name, short, placeholder, help }) => [
    `${short === undefined ? '    ' : `-${short}, `}--${name}${placeholder === undefined ? '' : ` ${placeholder}`}`,
    help,
  ]);
  const width = Math.max(...flags.map(([left = '']) => left.length));
  return [
    `${program} ${verb.name} ${verb.synopsis}`.trimEnd(),
    verb.about,
    `Examples:\n${verb.examples.map(([what, line]) => `  # ${what}\n  ${program} ${line}`).join('\n')}`,
    `Flags:\n${flags.map(([left = '', help = '']) => `  ${left.padEnd(width)}  ${help}`).join('\n')}`,
    `Exit codes: ${verb.exit}`,
    '',
  ].join('\n\n');
}

/** ` (did you mean x?)` for a name that begins so, or that was most likely meant. */
export function didYouMean(word: string, names: readonly string[], prefix = ''): string {
  const near = names.find((name) => word.length > 1 && name.startsWith(word)) ?? nearName(word, names);
  return near === undefined ? '' : ` (did you mean ${prefix}${near}?)`;
}
