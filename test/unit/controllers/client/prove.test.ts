import test from 'ava';
import { systemClock } from '#src/clock.ts';
import { type Probe, prove } from '#src/controllers/client/prove.ts';
import { OperatorError } from '#src/errors.ts';
import { Effects } from '#src/runtime/effect.ts';
import { buildAsk, buildKey } from '#test/support/builders.ts';

const unusable = new OperatorError({
  class: 'Transient',
  reason: 'ClientUnusable',
  whose: 'Object',
  message: 'fails',
});

for (const [settles, isRemovalBelieved, expected] of [
  ['Retired', true, 'CredentialRefused'],
  ['Retired', false, 'ClientUnusable'],
  ['Verify', true, 'ClientUnusable'],
] as const)
  test(`a provider that fails as at a client that is gone, ${settles}, its removal ${isRemovalBelieved ? 'sure' : 'not sure'}: ${expected}`, async (t) => {
    const probe = {
      effects: new Effects({ clock: systemClock, held: () => true }),
      tokens: { mint: () => Promise.reject(unusable) },
      ask: buildAsk({}),
      clientId: 'ci',
      credential: buildKey(),
      settles,
      isRemovalBelieved,
      isKnownGood: true,
      inUse: () => false,
      now: () => systemClock.now(),
      signal: new AbortController().signal,
    } as unknown as Probe;
    const outcome = await prove(probe).then(
      ({ is }) => is,
      ({ reason }: OperatorError) => reason,
    );
    t.is(outcome, expected);
  });
