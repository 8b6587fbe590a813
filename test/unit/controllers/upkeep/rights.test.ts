/** Whose rights are asked about when, where there are more than one look can ask about. */
import test from 'ava';
import { Memory } from '#src/controllers/memory.ts';
import { Reviews } from '#src/controllers/session/reviews.ts';
import { Rights } from '#src/controllers/upkeep/rights.ts';
import { buildSessionRecord, noon } from '#test/support/builders.ts';

const never = new AbortController().signal;

/** Sessions of so many identities in each namespace, and what was asked about in each look as `<namespace>/<identity>`. */
class Scene {
  readonly memory = new Memory('ci-identity-system');
  readonly withdrawn: string[] = [];
  /** Called before each answer. */
  meanwhile = (): void => undefined;
  asked: string[] = [];
  readonly #refused: string[];
  readonly #broken: readonly string[];
  readonly #rights: Rights;

  constructor(
    sizes: Readonly<Record<string, number>>,
    o: { readonly refused?: readonly string[]; readonly broken?: readonly string[] } = {},
  ) {
    this.#refused = [...(o.refused ?? [])];
    this.#broken = o.broken ?? [];
    for (const [namespace, size] of Object.entries(sizes))
      for (let n = 0; n < size; n += 1) this.#session(namespace, `id-${String(n).padStart(4, '0')}`);
    const reviews = new Reviews({
      clock: { now: () => noon } as never,
      ask: ({ namespace, identity }) => this.#answer(`${namespace}/${identity}`),
    });
    this.#rights = new Rights({ memory: this.memory, reviews, withdrawn: (one) => void this.withdrawn.push(one) });
  }

  async look(): Promise<readonly string[]> {
    this.asked = [];
    await this.#rights.look(never);
    return this.asked;
  }

  withdraw(name: string): void {
    this.#refused.push(name);
  }

  end(name: string): void {
    this.memory.sessions.forget(name, name);
  }

  #answer(name: string): Promise<boolean> {
    this.asked.push(name);
    this.meanwhile();
    return this.#broken.includes(name)
      ? Promise.reject(new Error(`no answer about ${name}`))
      : Promise.resolve(!this.#refused.includes(name));
  }

  #session(namespace: string, name: string): void {
    const key = `${namespace}/${name}`;
    const record = buildSessionRecord({
      pod: { namespace, name: 'agent', uid: key },
      identity: { name, uid: key },
    });
    this.memory.sessions.put(key, { uid: key, resourceVersion: '1', name: key, record });
  }
}

test('a namespace with 1,000 rights delays no other one: each look asks about every small namespace', async (t) => {
  const small = Object.fromEntries(Array.from({ length: 30 }, (_, n) => [`team-${n}`, 2]));
  const scene = new Scene({ 'a-crowd': 1_000, ...small }, { refused: ['team-7/id-0001'] });
  for (let n = 0; n < 3; n += 1) {
    const asked = await scene.look();
    t.is(asked.length, 100);
    t.is(new Set(asked.filter((name) => name.startsWith('team-'))).size, 60);
    t.is(scene.withdrawn.length, n + 1);
  }
});

test('a RoleBinding that goes takes 1,000 rights along: all of them are found in one look', async (t) => {
  const all = Array.from({ length: 1_000 }, (_, n) => `a-crowd/id-${String(n).padStart(4, '0')}`);
  const scene = new Scene({ 'a-crowd': 1_000, 'team-a': 300 }, { refused: all });
  const asked = await scene.look();
  t.is(new Set(asked.filter((name) => name.startsWith('a-crowd/'))).size, 1_000);
  t.is(asked.length, 1_450, 'others have their turns in between');
  t.deepEqual(scene.withdrawn.toSorted(), all);
});

test('a tenant that loses one right of every hundred delays nobody: what another one loses meanwhile is found within two turns', async (t) => {
  const some = Array.from({ length: 30 }, (_, n) => `a-crowd/id-${String(n * 100).padStart(4, '0')}`);
  const scene = new Scene({ 'a-crowd': 3_000, 'team-a': 1, 'team-b': 250 }, { refused: some });
  let lostAt = 0;
  scene.meanwhile = () => {
    if (scene.asked.length !== 160) return;
    lostAt = scene.asked.length;
    scene.withdraw('team-a/id-0000');
  };
  const asked = await scene.look();
  const foundAt = asked.indexOf('team-a/id-0000', lostAt);
  t.true(foundAt > 0 && foundAt <= lostAt + 200, `found after ${foundAt - lostAt} questions`);
  t.true(scene.withdrawn.includes('team-a/id-0000'));
});

test('everything has its turn, a namespace by itself from where it was left', async (t) => {
  const scene = new Scene({ 'a-crowd': 250, 'team-a': 1 });
  const asked = [...(await scene.look()), ...(await scene.look()), ...(await scene.look())];
  t.is(new Set(asked).size, 251);
});

test('more namespaces than one look can ask about: all of them within two', async (t) => {
  const scene = new Scene(Object.fromEntries(Array.from({ length: 150 }, (_, n) => [`team-${n}`, 3])));
  const asked = [...(await scene.look()), ...(await scene.look())];
  t.is(new Set(asked.map((name) => name.split('/')[0])).size, 150);
});

test('rights that vanish meanwhile make nobody miss a turn', async (t) => {
  const scene = new Scene({ 'a-crowd': 300 });
  for (const name of (await scene.look()).slice(0, 50)) scene.end(name);
  const asked = await scene.look();
  t.deepEqual([asked[0], asked.at(-1)], ['a-crowd/id-0100', 'a-crowd/id-0199']);
});

test('after a question without an answer, whoever had no turn yet comes first', async (t) => {
  const scene = new Scene({ 'a-crowd': 90 }, { broken: ['a-crowd/id-0010'] });
  await t.throwsAsync(scene.look());
  t.true(scene.asked.length <= 12);
  await t.throwsAsync(scene.look());
  t.is(scene.asked[0], 'a-crowd/id-0012');
});
