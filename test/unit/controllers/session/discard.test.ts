/** Tokens that no pod may get: they are another's, or not what was asked for. */
import test from 'ava';
import { Memory } from '#src/controllers/memory.ts';
import { Minter, type MinterOptions } from '#src/controllers/session/mint.ts';
import type { SessionRecord } from '#src/domain/session/record.ts';
import type { RevocationOutcome } from '#src/domain/token.ts';
import { OperatorError } from '#src/errors.ts';
import { Redacted } from '#src/redacted.ts';
import type { AuditFacts } from '#src/telemetry/audit.ts';
import { buildAsk, buildKey, buildPod, buildSessionSnapshot } from '#test/support/builders.ts';
import { VirtualClock } from '#test/support/virtual-clock.ts';
import { identity, pool } from '../../domain/access/objects.ts';

interface Provider {
  /** Of every token; a provider that caches hands out the same again. */
  readonly sha256?: string;
  readonly scopes?: readonly string[];
  /** What it answers to a revocation; absent: nothing is to be revoked. */
  readonly revocation?: RevocationOutcome | Error;
}

const unexpected = new Error('nothing is to be revoked');

class World {
  readonly lines: AuditFacts[] = [];
  readonly stored: Promise<void>[] = [];
  readonly #memory = new Memory('ci-identity-system');
  readonly #minter: Minter;
  #version = 1;

  constructor({ sha256 = 'same', scopes = buildAsk().scopes, revocation = unexpected }: Provider) {
    const memory = this.#memory;
    const kept = { uid: 'u', resourceVersion: '1' };
    memory.pools.put('ci-bots', { ...kept, ...pool() });
    memory.identities.put('ci-payments/publisher', { ...kept, ...identity({}, { name: 'publisher' }) });
    const tokens = {
      mint: () =>
        Promise.resolve({ value: new Redacted('value'), sha256, tokenType: 'Bearer', expiresIn: 900, scopes }),
      revoke: () => (revocation instanceof Error ? Promise.reject(revocation) : Promise.resolve(revocation)),
    };
    this.#minter = new Minter({
      memory,
      reviews: { allowed: () => Promise.resolve(true) },
      records: { write: (name: string, next: SessionRecord) => this.#store(name, next) },
      effects: {
        run: (_name: string, o: { readonly signal: AbortSignal }, call: (signal: AbortSignal) => unknown) =>
          call(o.signal),
      },
      audit: { record: (_key: string, _s: unknown, facts: AuditFacts) => void this.lines.push(facts) },
      auditTrouble: () => undefined,
      metrics: { observe: () => undefined, count: () => undefined },
      clock: new VirtualClock(),
      providerOf: () => ({
        capabilities: { ignoredScopes: [], carrierScopes: () => [], revocation: 'Immediate' },
        tokens,
      }),
      credentialOf: () => buildKey(),
      credentialRefused: () => Promise.resolve(),
      askDoubted: () => Promise.resolve(),
    } as unknown as MinterOptions);
  }

  /** What a pod of its own gets: `Stored`, or the reason why not. */
  async mint(pod: string): Promise<string> {
    const s = buildSessionSnapshot({ pod: { is: 'Seen', value: buildPod({ name: pod, uid: pod }) } });
    const action = { type: 'Mint', ask: buildAsk(), hash: 'h', predecessor: 'Superseded' } as const;
    const key = `ci-payments/${pod}/${pod}/publisher`;
    try {
      await this.#minter.mint(key, s, action, 'NewPod', AbortSignal.any([]));
      return 'Stored';
    } catch (error) {
      if (error instanceof OperatorError) return error.reason;
      throw error;
    }
  }

  /** Not before others had their turn. */
  async #store(name: string, record: SessionRecord): Promise<void> {
    await new Promise(setImmediate);
    this.#memory.sessions.put(name, { name, uid: name, resourceVersion: `${(this.#version += 1)}`, record });
  }
}

test('two pods at once, and the provider hands out one and the same token: one pod gets it', async (t) => {
  const world = new World({});
  t.deepEqual((await Promise.all([world.mint('a'), world.mint('b')])).toSorted(), ['Stored', 'TokenUnusable']);
  t.is(await world.mint('c'), 'TokenUnusable');
});

const down = new OperatorError({ class: 'Transient', reason: 'ProviderUnavailable', message: 'down', whose: 'Issuer' });

for (const [what, revocation, says] of [
  ['was revoked', 'Confirmed', /; the token was revoked$/],
  ['was revoked, but not everywhere', 'Requested', /some may accept it until it expires$/],
  ['cannot be revoked', 'NotSupported', /does not revoke such tokens: it lives until it expires/],
  ['could not be revoked', down, /could not be revoked: it lives until it expires/],
] as const)
  test(`a token that is wider than it may be, and ${what}: its line says so`, async (t) => {
    const world = new World({ scopes: [...buildAsk().scopes, 'artifacts:delete'], revocation });
    t.is(await world.mint('a'), 'ScopeWider');
    const line = world.lines.find(({ event }) => event === 'Discarded');
    t.like(line, { reason: 'ScopeWider', token_sha256: 'same' });
    t.regex(line?.message ?? '', says);
  });
