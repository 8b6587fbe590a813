/** 401 to the new credential for a minute, on the virtual clock: the whole table against the toy provider, to the end of the rotation. */
import test from 'ava';
import { hour, type Instant, minute, plus, second } from '#src/clock.ts';
import type { Credential } from '#src/domain/client/credential.ts';
import { currentOf } from '#src/domain/client/generations.ts';
import { kidOf, ToyWorld } from './toy-world.ts';

/** Honours no credential but the first so long; counted from when it hears of each, or of the first of them. */
class LateWorld extends ToyWorld {
  readonly #counted: 'Each' | 'First';
  readonly #heard = new Map<string, Instant>();

  constructor(counted: 'Each' | 'First') {
    super({
      capabilities: {
        variants: ['TwoKeys'],
        clientIdBy: 'Us',
        credentialPropagation: 10 * second,
      },
      rotatesManagement: true,
      allowSubjectChange: false,
    });
    this.#counted = counted;
  }

  override authenticates(clientId: string | undefined, credential: Credential): boolean {
    const kid = kidOf(credential);
    if (kid === 'k1' || !super.authenticates(clientId, credential)) return super.authenticates(clientId, credential);
    const key = this.#counted === 'Each' ? kid : '';
    const heard = this.#heard.get(key) ?? this.now;
    this.#heard.set(key, heard);
    return this.now >= plus(heard, minute);
  }
}

for (const [counted, n, what] of [
  ['First', 3, 'the first is taken back, and the next one is let in'],
  ['Each', 5, 'each next one is given twice the time, until that is enough'],
] as const)
  test(`401 to ${counted === 'Each' ? 'each' : 'any'} new credential for a minute: ${what}, and at every step one works`, (t) => {
    const world = new LateWorld(counted);
    const end = plus(world.now, 3 * hour);
    const keys = new Set<number>();
    while (world.now < end) {
      if (!world.step('none')) {
        const { recheckAt } = world.decision;
        world.advance(Math.max(1, (recheckAt ?? plus(world.now, minute)) - world.now));
      }
      const current = currentOf(world.record);
      if (current === undefined) continue;
      t.true(world.authenticates(current.clientId, current.credential), `generation ${current.n} at ${world.now}`);
      world.desired = { ...world.desired, rotateRequest: 'once', asked: [{ kind: 'Rotate', id: 'once' }] };
      for (const client of world.clients.values()) keys.add(client.keys.size);
    }
    t.deepEqual(
      world.record?.generations.map((one) => [one.n, one.state]),
      [[n, 'Current']],
    );
    t.deepEqual([...keys], [1, 2], 'never a third one, and in the end one');
    t.deepEqual(
      [...world.clients.values()].map((client) => client.keys.size),
      [1],
    );
    t.is(world.record?.rollbacks, undefined);
  });

/** In the last the first new secret is given up, and the second one gets twice the time. */
for (const takes of [15 * second, minute, 4 * minute, 6 * minute])
  test(`in place, 401 to a new secret for ${takes / second} s: the gap is told as long as it was`, (t) => {
    const world = new ToyWorld({
      capabilities: {
        variants: ['InPlace'],
        clientIdBy: 'Provider',
        credentialPropagation: 10 * second,
      },
      rotatesManagement: false,
      allowSubjectChange: false,
      authentication: 'ClientSecretBasic',
    });
    world.window = 'always';
    while (world.step('none'));
    world.takes = takes;
    world.desired = { ...world.desired, rotateRequest: 'once', asked: [{ kind: 'Rotate', id: 'once' }] };
    const from = world.now;
    let down = 0;
    while (world.now < plus(from, 3 * hour)) {
      if (world.step('none')) continue;
      const current = currentOf(world.record);
      const works = current !== undefined && world.authenticates(current.clientId, current.credential);
      const next = world.decision.recheckAt ?? plus(world.now, minute);
      const by = Math.min(second, Math.max(1, next - world.now));
      world.advance(by);
      if (!works) down += by;
    }
    t.is(world.record?.gap, down);
    if (takes < 5 * minute) t.true(down <= takes + 5 * second, `${down} ms`);
    t.is(world.record?.generations.length, 1);
  });
