import test from 'ava';
import { instant, minute, plus, second } from '#src/clock.ts';
import { GuardKeeper } from '#src/controllers/guard.ts';
import { type GuardRecord, trustPod } from '#src/domain/access/trust.ts';
import { buildPod, noon } from '#test/support/builders.ts';

const signal = new AbortController().signal;

/** A keeper of one policy, which is whole from the start. */
async function start(clock: { now: number }, stored?: GuardRecord): Promise<GuardKeeper> {
  const policy = { kind: 'ValidatingAdmissionPolicy', name: 'use.ci-identity.dev', spec: {} };
  const observed = { is: 'Seen', value: [{ ...policy, uid: 'u', generation: 1 }] } as const;
  const keeper = new GuardKeeper({
    shipped: [policy],
    observed: () => observed,
    store: { load: () => Promise.resolve(stored), save: () => Promise.resolve() },
    probe: () => Promise.resolve({ is: 'Refused' }),
    now: () => instant(clock.now),
  });
  await keeper.probe(signal);
  return keeper;
}

test('it is told whole only once a pod that is created then is trusted, although the clock is known to half a second', async (t) => {
  const clock = { now: noon + 900 };
  const keeper = await start(clock);
  t.is(keeper.current().is, 'Intact', 'pods that hold tokens are served meanwhile');
  const identity = { name: 'publisher', uid: 'identity-uid' };
  let told: number | undefined;
  for (; clock.now <= noon + 10 * second; clock.now += 100) {
    if (keeper.told().is !== 'Intact') continue;
    told ??= clock.now;
    const created = instant(Math.floor((clock.now - 500) / second) * second);
    const claims = { [identity.name]: identity.uid };
    const pod = buildPod({ created, claims, volumes: [identity.name] });
    t.is(trustPod(pod, identity, keeper.current()), 'Valid', `${clock.now - noon} ms`);
  }
  t.is(told, noon + 900 + 5 * second);
});

test('a restart long after has nothing to wait for', async (t) => {
  const objects = { 'ValidatingAdmissionPolicy/use.ci-identity.dev': 'u/1' };
  const keeper = await start({ now: noon }, { objects, wholeSince: plus(noon, -minute) });
  t.deepEqual(keeper.told(), { is: 'Intact', since: plus(noon, -minute) });
});

test('once it was told whole it stays so, although the clock goes back a little', async (t) => {
  const clock = { now: noon + 900 };
  const keeper = await start(clock);
  clock.now += 5 * second;
  t.is(keeper.told().is, 'Intact');
  clock.now -= second / 2;
  t.is(keeper.told().is, 'Intact');
});
