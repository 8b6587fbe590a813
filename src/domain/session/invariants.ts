import type { SessionRecord } from './record.ts';

/** The most tokens that one session holds at a time. */
export const mostTokens = 3;

/**
 * Throws when the record could not have come out of the session machine. A record holds 1 to 3 tokens, each once, newest last; only the
 * newest may be without an end, and every end has its moment.
 */
export function assertSessionInvariants(record: SessionRecord): void {
  const { tokens } = record;
  const names = new Set(tokens.map((token) => token.sha256));
  assert(tokens.length >= 1 && tokens.length <= mostTokens, `holds ${tokens.length} tokens`);
  assert(names.size === tokens.length, 'holds one token twice');
  for (const [index, token] of tokens.entries()) {
    const newest = index === tokens.length - 1;
    assert(newest || token.end !== undefined, 'holds a token without an end that is not the newest');
    assert((token.end === undefined) === (token.endedAt === undefined), 'holds an end without its moment');
    assert(token.end !== undefined || token.value !== undefined, 'holds a usable token without its value');
    assert(token.exp > token.minted, 'holds a token that expired before it was minted');
  }
}

function assert(holds: boolean, what: string): void {
  if (!holds) throw new Error(`session record ${what}`);
}
