import { toRfc3339, type Instant } from '../../clock.ts';

/** What a format may put into files. */
export interface TokenFacts {
  readonly token: string;
  readonly expiresAt: Instant;
  readonly renewAt: Instant;
  readonly scopes: readonly string[];
  readonly audiences: readonly string[];
  readonly issuer: string;
  readonly subject?: string;
  readonly identity: string;
  readonly sessionId: string;
}

/** One way to write a token for tools: file names → text. No two rows write the same file. */
export interface Format {
  readonly name: string;
  readonly files: readonly string[];
  render(facts: TokenFacts): Readonly<Record<string, string>>;
}

/**
 * `token` and `header` end without a newline: tools such as `curl --header @header` or `docker login --password-stdin` take the bytes as
 * they are. `token.json` is for people and scripts and ends with one; the token itself is not in it.
 */
const generic: Format = {
  name: 'Generic',
  files: ['token', 'header', 'token.json'],
  render: (facts) => ({
    token: facts.token,
    header: `Authorization: Bearer ${facts.token}`,
    'token.json': json({
      expires_at: toRfc3339(facts.expiresAt),
      renew_at: toRfc3339(facts.renewAt),
      scope: facts.scopes.join(' '),
      audience: facts.audiences,
      issuer: facts.issuer,
      token_type: 'Bearer',
      ...(facts.subject === undefined ? {} : { subject: facts.subject }),
      identity: facts.identity,
      session_id: facts.sessionId,
    }),
  }),
};

/** Every format; each one is written into every delivery. */
export const formats: readonly Format[] = [generic];

/** JSON for files: two blanks, one newline at the end. */
export function json(value: unknown): string {
  return `${JSON.stringify(value, undefined, 2)}\n`;
}
