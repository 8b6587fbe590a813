import test from 'ava';
import { Memory } from '#src/controllers/memory.ts';
import { PodWatches } from '#src/controllers/pod-watches.ts';
import type { PodFacts } from '#src/domain/session/machine.ts';
import { instant } from '#src/clock.ts';
import type { Reflector, ReflectorHealth } from '#src/runtime/reflector.ts';

const failing = { synced: false, failingSince: instant(0) };

for (const [title, healths, expected] of [
  ['no namespace is served', [], true],
  ['one is still being read', [{ synced: true }, { synced: false }], false],
  ['one cannot be read', [{ synced: true }, failing], true],
  ['one was read and fails now', [{ synced: true, failingSince: instant(0) }], true],
] as const) {
  test(`every namespace was tried: ${title}`, (t) => {
    const watches = new PodWatches({
      memory: new Memory('ci-identity-system'),
      prepare: () => {},
      reflector: (namespace) => {
        const health = (): ReflectorHealth => healths[Number(namespace)] ?? { synced: false };
        return { run: () => Promise.resolve(), health } as unknown as Reflector<PodFacts>;
      },
    });
    for (const namespace of healths.keys()) watches.start(`${namespace}`);
    t.is(watches.tried(), expected);
  });
}
