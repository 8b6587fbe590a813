/** The table of `README.md` beside this file, made from the rows and traits: `node test/providers/contract-table.ts` writes it. */
import { readFileSync, writeFileSync } from 'node:fs';
import { contractRows } from './contract-rows.ts';
import { everyProduct } from './contract-traits.ts';
import type { Traits } from './contract.ts';

const begin = '<!-- made by contract-table.ts -->';
const end = '<!-- end -->';
const file = new URL('README.md', import.meta.url);

/** One line for each trait: the question that it answers. */
const questions: Readonly<Record<keyof Omit<Traits, 'product' | 'audienceBy'>, string>> = {
  profile: 'profile',
  tokenFormat: 'access tokens',
  variants: 'ways to replace a credential, best first',
  clientIdBy: 'who chooses the client id',
  revocation: 'what revoking a token reaches',
  registration: 'who may register clients',
  introspection: 'who may ask about a token',
  revoker: 'whose revocation of a token counts',
  managementToken: 'management token after an update',
  secretOnUpdate: 'client secret after an update',
  otherSecretMethod: 'a secret sent in the other way than registered',
  deregistered: 'a deregistered client, to its administrator',
  deletedClient: 'the key of a deregistered client, at the token endpoint',
  tokensOfDeletedClient: 'tokens of a client that was deleted before they were revoked',
  unregisteredScope: 'a known scope that the client did not register',
  unknownScope: 'an unknown scope beside a good one',
  registersUnknownScope: 'registering an unknown scope',
  lifetimeBy: 'who sets the lifetime of tokens',
  newManagementToken: 'an administrator can make a new management token',
  tagIsRead: 'reading a client tells its tag',
};

const text = (value: unknown): string => (Array.isArray(value) ? value.join(', ') : String(value));

function table(heading: string, lines: readonly (readonly string[])[]): string {
  const head = [heading, ...everyProduct.map(({ product }) => product.split(':')[0] ?? '')];
  const rows = [head, head.map(() => '---'), ...lines];
  return rows.map((cells) => `| ${cells.join(' | ')} |`).join('\n');
}

export function contractTables(): string {
  const traits = Object.entries(questions).map(([name, question]) => [
    question,
    ...everyProduct.map((product) => text(product[name as keyof Traits])),
  ]);
  const audiences = (['Resource', 'Audience', 'Scope', 'None'] as const).map((by) => [
    `\`audience.by: ${by}\``,
    ...everyProduct.map(({ audienceBy }) => audienceBy[by]),
  ]);
  const rows = contractRows.map(({ title, missing }) => [
    title,
    ...everyProduct.map((product) => missing?.(product) ?? '✓'),
  ]);
  return [table('what it does', [...traits, ...audiences]), table('row', rows)].join('\n\n');
}

/** What stands between the marks of the README now. */
export function writtenTables(): string {
  const readme = readFileSync(file, 'utf8');
  return readme.slice(readme.indexOf(begin) + begin.length, readme.indexOf(end)).trim();
}

if (import.meta.main) {
  const readme = readFileSync(file, 'utf8');
  const at = readme.indexOf(begin) + begin.length;
  writeFileSync(file, `${readme.slice(0, at)}\n\n${contractTables()}\n\n${readme.slice(readme.indexOf(end))}`);
}
