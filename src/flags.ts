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

/**
 * Reads `--flag value` and `--flag=value`; all problems at once. An unknown flag is a problem, an unknown environment variable with our
 * prefix too: a misspelt setting must not be silently without effect.
 */
export function parseFlags(
  command: string,
  flags: readonly Flag[],
  argv: readonly string[],
  environment: Readonly<Record<string, string | undefined>>,
): Flags {
  if (argv.includes('--help') || argv.includes('-h')) return { is: 'Help', text: helpText(command, flags) };
  const problems: string[] = [];
  const known = new Map(flags.map((flag) => [flag.name, flag]));
  const values: Record<string, string> = {};
  for (const flag of flags) {
    const value = environment[environmentVariable(flag.name)] ?? flag.default;
    if (value !== undefined) values[flag.name] = value;
  }
  const variables = new Set(flags.map((flag) => environmentVariable(flag.name)));
  for (const name of Object.keys(environment)) {
    if (name.startsWith(environmentVariable('')) && !variables.has(name)) {
      problems.push(`environment variable ${name} is not known; see --help`);
    }
  }
  const rest = [...argv];
  for (let word = rest.shift(); word !== undefined; word = rest.shift()) {
    const match = /^--([a-z-]+)(?:=(.*))?$/s.exec(word);
    const name = match?.[1] ?? '';
    if (!known.has(name)) {
      problems.push(`${word} is not a flag of ${command}; see --help`);
      continue;
    }
    const value = match?.[2] ?? rest.shift();
    if (value === undefined) problems.push(`--${name} needs a value (${known.get(name)?.placeholder ?? ''})`);
    else values[name] = value;
  }
  for (const [name, value] of Object.entries(values)) {
    const problem = known.get(name)?.check?.(value);
    if (problem !== undefined) problems.push(`--${name} ${problem}`);
  }
  return problems.length > 0 ? { is: 'Problems', problems } : { is: 'Flags', values };
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
