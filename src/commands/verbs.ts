import { didYouMean, program } from './arguments.ts';
import type { Run } from './surface.ts';

export interface Verb {
  readonly name: string;
  readonly summary: string;
  /** Loads the verb's file only when it is used: the operator's libraries would cost the plugin half a second. */
  load(): Promise<Run>;
}

/** The verbs of the kubectl plugin. */
export const pluginVerbs: readonly Verb[] = [
  {
    name: 'explain',
    summary: 'why a pod or CiIdentity has a scope, or has not, and what to do',
    load: async () => (await import('./explain.ts')).runExplain,
  },
  {
    name: 'simulate',
    summary: 'what admission and operator would do with a pod',
    load: async () => (await import('./simulate.ts')).runSimulate,
  },
  {
    name: 'diff',
    summary: 'who would lose or gain what by an edit; for the CI of a GitOps repository',
    load: async () => (await import('./diff.ts')).runDiff,
  },
  {
    name: 'sessions',
    summary: 'which pods hold which identity now',
    load: async () => (await import('./sessions.ts')).runSessions,
  },
  {
    name: 'revoke',
    summary: 'revoke every token of a pool that was minted before now',
    load: async () => (await import('./revoke.ts')).runRevoke,
  },
  {
    name: 'rotate',
    summary: 'replace the credentials of a pool now',
    load: async () => (await import('./rotate.ts')).runRotate,
  },
  {
    name: 'doctor',
    summary: 'what is wrong with this installation, and what to do',
    load: async () => (await import('./doctor.ts')).runDoctor,
  },
  {
    name: 'audit',
    summary: 'check the hash chains of audit logs (audit verify FILE…)',
    load: async () => (await import('./audit.ts')).runAudit,
  },
  {
    name: 'uninstall',
    summary: 'take everything back from the providers, before the operator is deleted',
    load: async () => (await import('./uninstall.ts')).runUninstall,
  },
  {
    name: 'version',
    summary: 'of which version this program is',
    load: async () => (await import('./version.ts')).runVersion,
  },
];

/** The long-running roles. */
const roles: readonly Verb[] = [
  {
    name: 'controller',
    summary: 'the operator',
    load: async () => (await import('./controller.ts')).runController,
  },
];

const help = ['help', '--help', '-h'];

/** What a command line asks for. */
export type Wish =
  | { readonly is: 'Usage' }
  | { readonly is: 'Unknown'; readonly name: string }
  | { readonly is: 'Verb'; readonly verb: Verb; readonly argv: readonly string[] };

/** Pure. As elsewhere, `help VERB` is `VERB --help` and `--version` is `version`. */
export function wishOf([first, ...rest]: readonly string[]): Wish {
  const asksHelp = first === undefined || help.includes(first);
  const [name = '', argv] = asksHelp ? [rest[0], ['--help']] : [first === '--version' ? 'version' : first, rest];
  if (asksHelp && (name === '' || help.includes(name))) return { is: 'Usage' };
  const verb = [...pluginVerbs, ...roles].find((one) => one.name === name);
  return verb === undefined ? { is: 'Unknown', name } : { is: 'Verb', verb, argv };
}

export function isPluginVerb(verb: Verb): boolean {
  return pluginVerbs.includes(verb);
}

export function usage(): string {
  const lines = (verbs: readonly Verb[]): string =>
    verbs.map(({ name, summary }) => `  ${name.padEnd(12)}${summary}`).join('\n');
  return `CI identities for agent pods: short-lived, scoped, revoked in time.

  ${program} VERB [flags]        ${program} VERB --help says more

${lines(pluginVerbs)}

Roles, run by the manifests: node src/main.ts ROLE --help

${lines(roles)}
`;
}

/** An unknown verb is quoted only if it looks like one. */
export function unknownVerb(name: string): string {
  const names = [...pluginVerbs, ...roles].map((verb) => verb.name);
  const shown = /^[\w-]{1,40}$/.test(name) ? name : 'that';
  return `${program}: ${shown} is not a verb${didYouMean(name, names)}; see ${program} --help\n`;
}
