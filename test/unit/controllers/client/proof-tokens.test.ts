import test from 'ava';
import { minute, plus, second } from '#src/clock.ts';
import { type Deferred, ProofTokens } from '#src/controllers/client/proof-tokens.ts';
import { OperatorError } from '#src/errors.ts';
import type { TokenSource } from '#src/providers/port.ts';
import { Redacted } from '#src/redacted.ts';
import { Effects } from '#src/runtime/effect.ts';
import { buildKey } from '#test/support/builders.ts';
import { VirtualClock } from '#test/support/virtual-clock.ts';

const issuer = 'https://idp.example.com';
const signal = new AbortController().signal;
const outage = new OperatorError({
  class: 'Transient',
  reason: 'ProviderUnavailable',
  message: 'down',
  whose: 'Issuer',
});
const refusal = new OperatorError({ class: 'Terminal', reason: 'CredentialRefused', message: 'invalid_client' });

interface Scene {
  readonly tokens: ProofTokens;
  readonly clock: VirtualClock;
  /** What reached the provider. */
  readonly calls: string[];
  /** Defers the token of this client. */
  readonly held: (client: string) => boolean;
  /** The loop carries out what is decided; the reason of its failure, or the row. */
  readonly work: (client: string) => Promise<string | undefined>;
}

function scene(o: { readonly fails?: OperatorError; readonly inUse?: boolean; readonly known?: boolean } = {}): Scene {
  const clock = new VirtualClock();
  const calls: string[] = [];
  const revoke: TokenSource['revoke'] = async (token, clientId) => {
    calls.push(`${clientId} ${token.reveal()}`);
    if (o.fails !== undefined) throw o.fails;
    return 'Confirmed';
  };
  const tokens = new ProofTokens({
    effects: new Effects({ clock, held: () => true }),
    clock,
    tokensOf: () => ({ revoke }) as unknown as TokenSource,
    inUse: () => o.inUse === true,
    isBusy: () => false,
    wake: () => undefined,
  });
  if (o.known !== false) tokens.revoked(issuer);
  const token = (client: string): Deferred => ({
    issuer,
    pool: 'ci-bots',
    since: clock.now(),
    value: new Redacted(`token of ${client}`),
    sha256: client,
    exp: plus(clock.now(), 15 * minute),
    clientId: client,
    credential: buildKey(),
  });
  return {
    tokens,
    clock,
    calls,
    held: (client) => tokens.defer(client, token(client)),
    work: async (client) => {
      const snapshot = tokens.snapshot(client);
      if (snapshot === undefined) return undefined;
      const { row } = tokens.decide(snapshot, clock.now());
      return tokens.apply(client, snapshot, undefined, signal).then(
        () => row,
        ({ reason }: OperatorError) => reason,
      );
    },
  };
}

test('the first token of an issuer is not left for later: what its revocation shows decides what is told of the issuer', (t) => {
  const { held, tokens } = scene({ known: false });
  t.false(held('a'));
  t.is(tokens.snapshot('a'), undefined);
  tokens.revoked('https://other.example.com');
  t.false(held('a'));
  tokens.revoked(issuer);
  t.true(held('a'));
});

for (const [what, o, expected, isLeft] of [
  ['it is revoked once', {}, { row: 'revoke', calls: 1 }, false],
  ['a session got the same token: it is left alone', { inUse: true }, { row: 'revoke', calls: 0 }, false],
  ['an outage: it is tried again', { fails: outage }, { row: 'ProviderUnavailable', calls: 1 }, true],
  ['a refusal: nothing else can be done', { fails: refusal }, { row: 'CredentialRefused', calls: 1 }, false],
] as const)
  test(`a token that was left for later, ${what}`, async (t) => {
    const { held, work, calls, tokens } = scene(o);
    held('a');
    t.is(await work('a'), expected.row);
    t.deepEqual(calls, expected.calls === 1 ? ['a token of a'] : []);
    t.is(tokens.snapshot('a') !== undefined, isLeft);
  });

test('what has expired is forgotten', async (t) => {
  const { held, work, clock, calls } = scene({ fails: outage });
  held('a');
  await clock.advance(15 * minute);
  t.is(await work('a'), undefined);
  t.deepEqual(calls, []);
});

for (const [what, o] of [
  ['the provider answers', {}],
  ['the provider is down', { fails: outage }],
] as const)
  test(`before anything else is done with a client its token is revoked, tried once: ${what}`, async (t) => {
    const { held, tokens, calls } = scene(o);
    held('a');
    held('b');
    await tokens.settle('a', signal);
    await tokens.settle('a', signal);
    await tokens.settle('c', signal);
    t.deepEqual(calls, ['a token of a']);
    t.deepEqual([tokens.snapshot('a'), tokens.snapshot('b')?.client], [undefined, 'b']);
  });

test('whoever needs it revoked while that is under way waits for the same call', async (t) => {
  const { held, tokens, work, calls } = scene();
  held('a');
  await Promise.all([work('a'), tokens.settle('a', signal)]);
  t.deepEqual(calls, ['a token of a']);
});

for (const fails of [undefined, outage])
  test(`when the process stops every token is revoked${fails === undefined ? '' : ', or at least tried'}`, async (t) => {
    const { held, tokens, calls, clock } = scene(fails === undefined ? {} : { fails });
    const clients = Array.from({ length: 40 }, (_, n) => `client-${n}`);
    for (const client of clients) held(client);
    await clock.advance(second);
    await tokens.settleAll();
    t.deepEqual(calls.toSorted(), clients.map((client) => `${client} token of ${client}`).toSorted());
    t.deepEqual(
      clients.filter((client) => tokens.snapshot(client) !== undefined),
      [],
    );
  });
