/** One command-line flag. Every flag can also be given by its environment variable; the command line wins. */
export interface Flag {
  readonly name: string;
  readonly placeholder: string;
  readonly help: string;
  readonly default?: string;
  /** Returns what is wrong with the value as the end of a sentence, or `undefined`. */
  readonly check?: (value: string) => string | undefined;
}

export type Flags =
  | { readonly is: 'Flags'; readonly values: Readonly<Record<string, string>> }
  | { readonly is: 'Help'; readonly text: string }
  | { readonly is: 'Problems'; readonly problems: readonly string[] };

export function environmentVariable(flag: string): string {
  return `CI_IDENTITY_OPERATOR_${flag.toUpperCase().replaceAll('-', '_')}`;
}

/** Kubernetes adds these to every pod for a Service named `ci-identity-operator`; nobody misspelt them. */
const serviceLink = /_(SERVICE_HOST|SERVICE_PORT\w*|PORT|PORT_\d+_\w+)$/;

/**
 * Reads `--flag value` and `--flag=value`; all problems at once. An unknown flag is a problem, an unknown environment variable with our
 * prefix, an empty value and a flag given twice too: a setting must not be silently without effect. Unknown values are never repeated.
 */
export function parseFlags(
  command: string,
  flags: readonly Flag[],
  argv: readonly string[],
  environment: Readonly<Record<string, string | undefined>>,
): Flags {
  if (argv.includes('--help') || argv.includes('-h')) return { is: 'Help', text: helpText(command, flags) };
  const line = readCommandLine(command, flags, argv);
  const problems = [...unknownVariables(flags, environment), ...line.problems];
  const values: Record<string, string> = {};
  for (const flag of flags) {
    const variable = environmentVariable(flag.name);
    const given = line.values.get(flag.name);
    const value = given ?? environment[variable] ?? flag.default;
    if (value === undefined) continue;
    values[flag.name] = value;
    const problem = value === '' ? `must not be empty (${flag.placeholder})` : flag.check?.(value);
    const source =
      given === undefined && environment[variable] !== undefined
        ? `environment variable ${variable}`
        : `--${flag.name}`;
    if (problem !== undefined) problems.push(`${source} ${problem}`);
  }
  return problems.length > 0 ? { is: 'Problems', problems } : { is: 'Flags', values };
}

function unknownVariables(
  flags: readonly Flag[],
  environment: Readonly<Record<string, string | undefined>>,
): readonly string[] {
  const known = new Set(flags.map((flag) => environmentVariable(flag.name)));
  return Object.keys(environment)
    .filter((name) => name.startsWith(environmentVariable('')) && !known.has(name) && !serviceLink.test(name))
    .map((name) => `environment variable ${name} is not known; see --help`);
}

interface CommandLine {
  readonly values: ReadonlyMap<string, string>;
  readonly problems: readonly string[];
}

function readCommandLine(command: string, flags: readonly Flag[], argv: readonly string[]): CommandLine {
  const known = new Map(flags.map((flag) => [flag.name, flag]));
  const values = new Map<string, string>();
  const problems: string[] = [];
  const rest = [...argv];
  for (let word = rest.shift(); word !== undefined; word = rest.shift()) {
    const [, name = '', inline] = /^--([a-z-]+)(?:=(.*))?$/s.exec(word) ?? [];
    const flag = known.get(name);
    const value = inline ?? (rest[0]?.startsWith('--') === true || flag === undefined ? undefined : rest.shift());
    if (flag === undefined) problems.push(`${word.split('=')[0] ?? ''} is not a flag of ${command}; see --help`);
    else if (value === undefined) problems.push(`--${name} needs a value (${flag.placeholder})`);
    else if (values.has(name)) problems.push(`--${name} is given twice; keep one`);
    else values.set(name, value);
  }
  return { values, problems };
}

export function helpText(command: string, flags: readonly Flag[]): string {
  const lines = flags.map(
    (flag) =>
      `  --${flag.name} ${flag.placeholder}\n      ${flag.help}${flag.default === undefined ? '' : ` Default: ${flag.default}.`}\n      Environment: ${environmentVariable(flag.name)}`,
  );
  return `node src/main.ts ${command} [flags]\n\n${lines.join('\n')}\n`;
}

/** `8080`, `:8080` or `127.0.0.1:8080`. */
export function parseAddress(text: string): { readonly host?: string; readonly port: number } | undefined {
  const match = /^(?:(\[[0-9a-f:.]+\]|[\w.-]+)?:)?(\d{1,5})$/i.exec(text);
  const port = Number(match?.[2]);
  if (match === null || port > 65_535) return undefined;
  const host = match[1]?.replace(/^\[|\]$/g, '');
  return host === undefined ? { port } : { host, port };
}
