import type { Token } from '../token.ts';
import type { SessionRecord } from './record.ts';

/** The most tokens that one session holds at a time: those whose values are kept, to be used or revoked. */
const mostHeld = 3;

/** The most tokens that its record names, with those that only time can end. */
const mostNamed = 8;

/** Whether a session with these tokens may have one more. */
export function hasRoomFor(tokens: readonly Token[]): boolean {
  return tokens.length < mostNamed && tokens.filter(isHeld).length < mostHeld;
}

function isHeld({ value }: Token): boolean {
  return value !== undefined;
}

/**
 * Throws when the record could not have come out of the session machine. A record holds up to 3 tokens and names up to 8, each once, newest last;
 * only the newest may be without an end, and every end has its moment.
 */
export function assertSessionInvariants(record: SessionRecord): void {
  const { tokens } = record;
  const names = new Set(tokens.map((token) => token.sha256));
  assert(tokens.length >= 1 && tokens.length <= mostNamed, `names ${tokens.length} tokens`);
  assert(tokens.filter(isHeld).length <= mostHeld, 'holds too many tokens');
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
