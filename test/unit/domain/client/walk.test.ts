import test from 'ava';
import fc from 'fast-check';
import { randomInt } from 'node:crypto';
import { day, earliest, hour, minute, plus, second } from '#src/clock.ts';
import { currentOf } from '#src/domain/client/generations.ts';
import type { ClientCapabilities } from '#src/domain/client/machine.ts';
import { isUnmanaged } from '#src/domain/client/management.ts';
import { dueAt, expiringAt } from '#src/domain/client/schedule.ts';
import { ToyWorld, kidOf, theirs } from './toy-world.ts';
import type { Mishap, ToyOptions, windows } from './toy-world.ts';

const capabilities: ClientCapabilities = {
  variants: ['TwoKeys', 'NewClient'],
  clientIdBy: 'Us',
  credentialPropagation: 0,
};

const worlds: readonly { readonly name: string; readonly options: ToyOptions }[] = [
  {
    name: 'TwoKeys, client id by us, management token rotates (Keycloak)',
    options: { capabilities, rotatesManagement: true, allowSubjectChange: false },
  },
  {
    name: 'TwoKeys, client id by us, management token stays',
    options: { capabilities, rotatesManagement: false, allowSubjectChange: false },
  },
  {
    name: 'TwoKeys, client id by the provider, management token rotates (oidc-provider)',
    options: {
      capabilities: { ...capabilities, clientIdBy: 'Provider' },
      rotatesManagement: true,
      allowSubjectChange: false,
    },
  },
  {
    name: "an administrator's client",
    options: { capabilities, rotatesManagement: true, allowSubjectChange: false, existing: true },
  },
  {
    name: 'NewClient',
    options: {
      capabilities: { ...capabilities, variants: ['NewClient'] },
      rotatesManagement: true,
      allowSubjectChange: true,
    },
  },
  {
    name: 'secrets: NewClient',
    options: {
      capabilities: { ...capabilities, variants: ['NewClient'], clientIdBy: 'Provider' },
      rotatesManagement: true,
      allowSubjectChange: true,
      authentication: 'ClientSecretBasic',
    },
  },
  {
    name: 'secrets: TwoSecrets, as no provider here has it',
    options: {
      capabilities: { ...capabilities, variants: ['TwoSecrets', 'NewClient'], clientIdBy: 'Provider' },
      rotatesManagement: false,
      allowSubjectChange: false,
      authentication: 'ClientSecretBasic',
    },
  },
  {
    name: 'secrets: InPlace, with a gap (Glewlwyd)',
    options: {
      capabilities: { ...capabilities, variants: ['NewClient', 'InPlace'], clientIdBy: 'Provider' },
      rotatesManagement: false,
      allowSubjectChange: false,
      authentication: 'ClientSecretBasic',
    },
  },
  {
    name: 'secrets: NewClient at a provider that answers a change with a hash of the secret',
    options: {
      capabilities: { ...capabilities, variants: ['NewClient'], clientIdBy: 'Provider' },
      rotatesManagement: true,
      allowSubjectChange: true,
      authentication: 'ClientSecretBasic',
      answersHash: true,
    },
  },
  {
    name: 'TwoKeys at a provider that may need ten seconds for a new one',
    options: {
      capabilities: { ...capabilities, credentialPropagation: 10 * second },
      rotatesManagement: true,
      allowSubjectChange: false,
    },
  },
  {
    name: 'secrets that live for 40 days: NewClient',
    options: {
      capabilities: { ...capabilities, variants: ['NewClient'], clientIdBy: 'Provider' },
      rotatesManagement: true,
      allowSubjectChange: true,
      authentication: 'ClientSecretBasic',
      secretsLive: 40 * day,
    },
  },
  {
    name: 'secrets that live for 40 days: InPlace',
    options: {
      capabilities: { ...capabilities, variants: ['NewClient', 'InPlace'], clientIdBy: 'Provider' },
      rotatesManagement: false,
      allowSubjectChange: false,
      authentication: 'ClientSecretBasic',
      secretsLive: 40 * day,
    },
  },
];

type Event =
  | 'nothing'
  | 'stop'
  | 'start'
  | 'outage'
  | 'up'
  | 'rotate'
  | 'emergency'
  | 'revoke'
  | 'edit'
  | 'leader'
  | 'hand-over'
  | 'thaw'
  | 'method'
  | 'interval'
  | 'window'
  | 'mint'
  | 'minute'
  | 'next-look'
  | 'its-day'
  | 'hour'
  | 'day'
  | 'quarter'
  | 'clocks'
  | 'ahead'
  | 'behind'
  | 'in-time'
  | 'replicas'
  | 'delete'
  | 'undelete'
  | 'brake'
  | 'replace'
  | 'mistake'
  | 'vanish'
  | 'remove';

interface Turn {
  readonly event: Event;
  readonly mishap: Mishap;
  readonly steps: number;
  /** Whether the sessions come to revoke what is forbidden. */
  readonly sweeps: boolean;
}

const turn: fc.Arbitrary<Turn> = fc.record({
  event: fc.oneof(
    { weight: 6, arbitrary: fc.constant<Event>('nothing') },
    { weight: 3, arbitrary: fc.constantFrom<Event>('mint', 'minute', 'hour', 'next-look', 'its-day', 'rotate') },
    {
      weight: 2,
      arbitrary: fc.constantFrom<Event>(
        'stop',
        'start',
        'outage',
        'up',
        'edit',
        'leader',
        'hand-over',
        'thaw',
        'method',
        'interval',
        'window',
        'clocks',
        'ahead',
        'behind',
        'in-time',
        'replicas',
        'day',
        'quarter',
        'emergency',
        'revoke',
        'delete',
        'replace',
        'mistake',
        'vanish',
        'remove',
      ),
    },
  ),
  mishap: fc.oneof(
    { weight: 3, arbitrary: fc.constant<Mishap>('none') },
    {
      weight: 2,
      arbitrary: fc.constantFrom<Mishap>(
        'refused',
        'limited',
        'ask-refused',
        'unclear',
        'unsent',
        'lost',
        'late',
        'frozen',
        'crash-before',
        'crash-intent',
        'crash-answer',
      ),
    },
  ),
  steps: fc.integer({ min: 1, max: 4 }),
  sweeps: fc.boolean(),
});

/** So many histories in each world, which are the same for the same `WALK_SEED`. Who asks for a number gets others each time. */
const { WALK_SEED: asked, WALK_RUNS: wanted } = process.env;
const seed = Number(asked ?? (wanted === undefined ? 20_261_127 : randomInt(2 ** 30)));
const runs = Number(wanted ?? 100);

const jitter = fc.constantFrom(-0.9, -0.3, 0, 0.5, 0.99);

for (const { name, options } of worlds) {
  test(`random histories: ${name}`, (t) => {
    t.log(`WALK_SEED=${seed}, ${runs} histories`);
    const seen = new Set<string>();
    fc.assert(
      fc.property(jitter, fc.array(turn, { minLength: 1, maxLength: 40 }), (own, turns) => {
        const world = new ToyWorld(options);
        world.jitter = own;
        walkAndSettle(world, turns);
        for (const line of world.trail) seen.add(line.split(' ')[0] ?? '');
      }),
      { numRuns: runs, seed, includeErrorInReport: true },
    );
    t.log(`rows walked: ${[...seen].toSorted((a, b) => (a < b ? -1 : 1)).join(' ')}`);
    const isAnyHour = !options.capabilities.variants.includes('InPlace');
    const external = options.existing === true;
    if (external) {
      for (const row of ['unwanted', 'first', 'replaced', 'create', 'verify', 'not-accepted', 'drained', 'retire']) {
        t.true(seen.has(row), `no history came through row ${row}`);
      }
      t.false(seen.has('stale'));
      return;
    }
    for (const row of [
      'open-intent',
      'unwanted',
      'stopped',
      'emergency',
      'asked',
      'create',
      'verify',
      'drained',
      'retire',
      // The proof of a secret that came unasked is one of the ask, too.
      isAnyHour ? 'proof' : 'offered',
      ...(options.answersHash === true ? ['offered'] : []),
      ...(isAnyHour ? [options.secretsLive === undefined ? 'due' : 'expiring'] : []),
    ]) {
      t.true(seen.has(row), `no history came through row ${row}`);
    }
  });
}

/** A registration, and a deletion that the brake holds. */
const held: readonly Turn[] = (['nothing', 'brake', 'delete'] as const).map((event) => ({
  event,
  mishap: 'none',
  steps: 6,
  sweeps: true,
}));

const regret: fc.Arbitrary<Turn> = fc.record({
  event: fc.constantFrom<Event>(
    'undelete',
    'undelete',
    'delete',
    'brake',
    'stop',
    'start',
    'outage',
    'up',
    'method',
    'minute',
    'leader',
    'emergency',
  ),
  mishap: fc.constantFrom<Mishap>('none', 'limited', 'unsent', 'unclear', 'ask-refused', 'crash-answer'),
  steps: fc.integer({ min: 1, max: 4 }),
  sweeps: fc.boolean(),
});

for (const { name, options } of worlds.filter(({ options }) => options.existing !== true)) {
  test(`a deletion that the brake holds, and somebody wants the client again: ${name}`, (t) => {
    t.log(`WALK_SEED=${seed}, ${runs} histories`);
    const seen = new Set<string>();
    fc.assert(
      fc.property(fc.array(regret, { minLength: 1, maxLength: 12 }), (turns) => {
        const world = new ToyWorld(options);
        walkAndSettle(world, [...held, ...turns]);
        for (const line of world.trail) seen.add(line);
      }),
      { numRuns: runs, seed, includeErrorInReport: true },
    );
    t.true(seen.has('wanted-again Prove'));
  });
}

for (const [variant, clocks] of [
  ['InPlace', true],
  ['NewClient', true],
  ['TwoSecrets', true],
  ['NewClient', false],
] as const) {
  const allowSubjectChange = variant === 'NewClient';
  test(`secrets live shorter than the overlap is, and one that works is there at any time: ${variant}, clocks agree ${clocks}`, (t) => {
    const world = new ToyWorld({
      capabilities: { ...capabilities, variants: [variant], clientIdBy: 'Provider' },
      rotatesManagement: false,
      allowSubjectChange,
      authentication: 'ClientSecretBasic',
      secretsLive: 14 * day,
    });
    world.window = 'always';
    world.clockAgrees = clocks;
    world.desired = { ...world.desired, overlap: 30 * day };
    for (let hours = 0; hours < 100 * 24; hours += 1) {
      runUntilQuiet(world);
      if (isBroken(world)) return t.fail(`none after ${hours} hours\n  ${world.trail.join('\n  ')}`);
      world.advance(hour);
    }
    t.true((currentOf(world.record)?.n ?? 0) > 5);
  });
}

test('secrets, replaced in place, and then by a new client while a token is left: what mints works after every step', (t) => {
  const world = new ToyWorld({
    capabilities: { ...capabilities, variants: ['NewClient', 'InPlace'], clientIdBy: 'Provider' },
    rotatesManagement: false,
    allowSubjectChange: false,
    authentication: 'ClientSecretBasic',
  });
  world.window = 'always';
  runUntilQuiet(world);
  world.desired = { ...world.desired, rotateRequest: 'r1' };
  runUntilQuiet(world);
  world.mint();
  world.desired = { ...world.desired, allowSubjectChange: true, rotateRequest: 'e1', revokeRequest: 'e1' };
  for (let i = 0; i < 40 && world.step('none'); i += 1) t.false(isBroken(world), world.trail.join('\n'));
  t.is(currentOf(world.record)?.n, 3);
});

/** A registration, changed metadata, a new way to authenticate or not, and a rotation until the old credential is out. */
const rotation: readonly Event[] = ['nothing', 'mint', 'edit', 'rotate', 'window', 'hour', 'hour', 'hour', 'hour'];

for (const { name, options } of worlds) {
  test(`somebody changes his mind after any step, and the answer to that step is lost: ${name}`, (t) => {
    const last = interrupted(options, 'nothing', 'none', Number.POSITIVE_INFINITY).trail.length;
    for (const event of ['delete', 'emergency'] as const) {
      for (const mishap of ['lost', 'late', 'frozen', 'crash-intent', 'crash-answer'] as const) {
        for (let step = 1; step <= last; step += 1) {
          const world = interrupted(options, event, mishap, step);
          const title = `${event} after step ${step} (${mishap})`;
          t.notThrows(() => settle(world), `${title}\n  ${world.trail.join('\n  ')}`);
        }
      }
    }
    t.log(`${last} steps`);
  });
}

/** The history of a rotation up to this step, which meets the mishap and is followed by the event. */
function interrupted(options: ToyOptions, event: Event, mishap: Mishap, step: number): ToyWorld {
  const world = new ToyWorld(options);
  for (const next of rotation) {
    happen(world, next, 'planned');
    for (let i = 0; i < 20; i += 1) {
      const isLast = world.trail.length + 1 === step;
      const acted = world.step(isLast ? mishap : 'none');
      if (isLast) {
        happen(world, event, 'changed-mind');
        return world;
      }
      if (!acted) break;
    }
  }
  return world;
}

test('a lost secret, and a refusal of its second registration: the client that is there already stays known', (t) => {
  const world = new ToyWorld({
    capabilities,
    rotatesManagement: true,
    allowSubjectChange: false,
    authentication: 'ClientSecretBasic',
  });
  const turn = { event: 'nothing', mishap: 'none', steps: 1, sweeps: false } as const;
  walk(world, [
    { ...turn, mishap: 'crash-answer' },
    { ...turn, mishap: 'refused' },
    { ...turn, event: 'method', steps: 2 },
  ]);
  t.is(world.clients.size, 1);
  t.is(world.record?.intent?.call, 'Register');
  settle(world);
  t.is(world.record?.possibleOrphans, undefined, 'a person has deleted it, as the message asks');
});

function whereSomebodyElseHasOurId(): ToyWorld {
  const world = new ToyWorld({ capabilities, rotatesManagement: true, allowSubjectChange: false });
  world.clients.set(world.desired.clientId, {
    tag: 'theirs',
    keys: new Set(['theirs']),
    from: new Map(),
    management: '',
    generation: 1,
    scopes: [],
  });
  return world;
}

test('somebody else has the id that we chose: that is known after one proof, and told instead of tried in circles', (t) => {
  const world = whereSomebodyElseHasOurId();
  const { clientId } = world.desired;
  for (let i = 0; i < 4; i += 1) world.step('none');
  t.deepEqual(world.trail, ['create Register', 'open-intent Prove', 'settled', 'create Register']);
  t.is(world.record?.intent, undefined);
  world.clients.delete(clientId);
  settle(world);
  t.is(world.record?.generations[0]?.refusedAt, undefined);
});

test('a registration that arrives after a proof was refused is ours all the same: no orphan, and nobody is told of somebody else', (t) => {
  const world = new ToyWorld({ capabilities, rotatesManagement: true, allowSubjectChange: false });
  world.step('late');
  for (let i = 0; i < 5; i += 1) world.step('none');
  t.deepEqual(world.trail, [
    'create Register (late)',
    'open-intent Prove',
    'settled',
    'create Register',
    'open-intent Prove',
    'verify Prove',
  ]);
  settle(world);
  t.deepEqual([...world.clients.keys()], [world.desired.clientId]);
});

test('a registration whose answer was lost, at a provider slower than its profile says: asked again later it is ours', (t) => {
  const world = new ToyWorld({ capabilities, rotatesManagement: true, allowSubjectChange: false });
  world.takes = hour;
  world.step('lost');
  for (let i = 0; i < 6; i += 1) world.step('none');
  t.deepEqual(world.trail.slice(1), [
    'open-intent Prove',
    'settled',
    'create Register',
    'open-intent Prove',
    'settled',
    'create Register',
  ]);
  world.caughtUp();
  settle(world);
  t.deepEqual([...world.clients.keys()], [world.desired.clientId]);
});

for (const window of ['none', 'always', 'nightly', 'unusable'] as const)
  for (const variant of ['NewClient', 'InPlace'] as const)
    test(`a secret that lives for 40 days is replaced before it expires: ${variant}, window ${window}`, (t) => {
      for (const own of [-0.9, 0, 0.6]) {
        const world = new ToyWorld({
          capabilities: { ...capabilities, variants: [variant], clientIdBy: 'Provider' },
          rotatesManagement: false,
          allowSubjectChange: variant === 'NewClient',
          authentication: 'ClientSecretBasic',
          secretsLive: 40 * day,
        });
        Object.assign(world, { window, jitter: own });
        const end = plus(world.now, 120 * day);
        while (world.now < end) {
          runUntilQuiet(world);
          t.not(workingCurrent(world), undefined, new Date(world.now).toISOString());
          const { recheckAt = end } = world.decision;
          world.advance(Math.min(day, Math.max(1, recheckAt - world.now)));
        }
        const row =
          window === 'unusable' || (variant === 'InPlace' && window === 'none') ? 'expiring-soon' : 'expiring';
        t.true(world.trail.includes(`${row} Plan`), row);
        t.true((currentOf(world.record)?.n ?? 0) >= 4, 'every 40 days at least');
      }
    });

test('a client with two credentials is deleted and the answer is lost: each of them shows that it is gone, and nobody has to look', (t) => {
  const world = new ToyWorld({ capabilities, rotatesManagement: true, allowSubjectChange: false });
  runUntilQuiet(world);
  happen(world, 'rotate', 'now');
  runUntilQuiet(world);
  t.is(world.record?.generations.length, 2);
  happen(world, 'delete', '');
  while (world.clients.size > 0) world.step(world.decision.action?.type === 'Deregister' ? 'lost' : 'none');
  for (let i = 0; i < 10 && world.stored !== undefined; i += 1) {
    runUntilQuiet(world);
    world.advance(hour);
  }
  t.is(world.stored, undefined, world.decision.reason);
});

test('somebody else had the id, and our registration after he has left arrives late: what was known of him counts no longer', (t) => {
  const world = whereSomebodyElseHasOurId();
  const { clientId } = world.desired;
  for (let i = 0; i < 4; i += 1) world.step('none');
  world.clients.delete(clientId);
  world.advance(hour);
  world.step('late');
  settle(world);
  t.true(world.trail.includes('create Register (late)'));
  t.deepEqual([...world.clients.keys()], [clientId]);
});

const anotherOwner = 'another-cluster/uid';

for (const [whose, tag] of [
  ['ours: it is deleted', undefined],
  ["somebody else's by now: it is left alone", anotherOwner],
] as const)
  test(`a new client mints, and the old one is ${whose}`, (t) => {
    const variants = ['NewClient'] as const;
    const world = new ToyWorld({
      capabilities: { ...capabilities, variants },
      rotatesManagement: true,
      allowSubjectChange: true,
    });
    settle(world);
    const [[id, client] = []] = world.clients;
    if (tag !== undefined && id !== undefined && client !== undefined) world.clients.set(id, { ...client, tag });
    world.desired = { ...world.desired, rotateRequest: 'r1' };
    settle(world);
    t.is(world.record?.generations.length, 1);
    t.is(world.clients.has(id ?? ''), tag !== undefined);
    t.is(world.clients.has(currentOf(world.record)?.clientId ?? ''), true);
    t.is(world.trail.includes('retire Deregister'), tag === undefined);
  });

function walkAndSettle(world: ToyWorld, turns: readonly Turn[]): void {
  try {
    walk(world, turns);
    settle(world);
  } catch (error) {
    throw new Error(`${String(error)}\n  ${world.trail.join('\n  ')}`, { cause: error });
  }
}

function walk(world: ToyWorld, turns: readonly Turn[]): void {
  for (const [index, { event, mishap, steps, sweeps }] of turns.entries()) {
    happen(world, event, `request-${index}`);
    for (let i = 0; i < steps; i += 1) {
      const before = workingCurrent(world);
      const again = wantedAgain(world);
      world.step(i === 0 ? mishap : 'none');
      if (again !== undefined && !world.clients.has(again))
        throw new Error('a client that is wanted again was deleted');
      if (sweeps) {
        world.sweep();
        world.meetRefusal();
      }
      check(world, before);
    }
  }
}

function happen(world: ToyWorld, event: Event, id: string): void {
  switch (event) {
    case 'nothing':
      return;
    case 'stop':
      world.stopped = true;
      return;
    case 'start':
      world.stopped = false;
      return;
    case 'outage':
      world.outage = true;
      return;
    case 'up':
      world.outage = false;
      return;
    case 'rotate':
      world.desired = { ...world.desired, rotateRequest: id };
      world.leaked = undefined;
      return;
    case 'emergency':
      world.desired = { ...world.desired, rotateRequest: id, revokeRequest: id };
      world.leaked = currentOf(world.record)?.n;
      return;
    case 'revoke':
      world.desired = { ...world.desired, revokeRequest: id };
      world.leaked = undefined;
      return;
    case 'edit':
      world.desired = { ...world.desired, scopes: [id] };
      return;
    case 'leader':
      return world.takeOver();
    case 'hand-over':
      return world.handOver();
    case 'thaw':
      return world.thaw();
    case 'method': {
      const isKey = world.desired.authentication === 'PrivateKeyJwt';
      world.desired = { ...world.desired, authentication: isKey ? 'ClientSecretBasic' : 'PrivateKeyJwt' };
      return;
    }
    case 'interval':
      world.desired = { ...world.desired, rotateEvery: world.desired.rotateEvery === 90 * day ? 30 * day : 90 * day };
      return;
    case 'window':
      world.window = windowAfter[world.window];
      return;
    case 'ahead':
      world.clockError = world.clockError === 0 ? day : 5 * minute;
      return;
    case 'behind':
      world.clockError = world.clockError === 0 ? -day : -5 * minute;
      return;
    case 'in-time':
      world.clockError = 0;
      return;
    case 'replicas':
      world.takes = world.takes === 0 ? 20 * second : 2 * hour;
      return;
    case 'mint':
      return world.mint();
    case 'minute':
      return world.advance(minute);
    case 'next-look': {
      const { recheckAt = world.ours } = world.decision;
      return world.advance(Math.max(1, recheckAt - world.ours));
    }
    case 'its-day': {
      const current = currentOf(world.record);
      if (current === undefined) return;
      const { rotateEvery } = world.desired;
      const at = earliest(dueAt(current, rotateEvery, world.jitter), expiringAt(current, world.jitter)) ?? world.ours;
      return world.advance(Math.max(0, at - world.ours));
    }
    case 'hour':
      return world.advance(hour);
    case 'day':
      return world.advance(day);
    case 'quarter':
      return world.advance(90 * day);
    case 'clocks':
      world.clockAgrees = !world.clockAgrees;
      return;
    case 'replace':
    case 'mistake':
    case 'vanish':
      if (world.desired.existing !== undefined)
        world.handIn(event === 'replace' ? 'good' : event === 'mistake' ? 'wrong' : 'nothing');
      return;
    case 'remove':
      return world.removeClient();
    case 'delete':
      world.deleted = true;
      return;
    case 'undelete':
      world.deleted = false;
      return;
    case 'brake':
      world.braked = !world.braked;
  }
}

const windowAfter = {
  none: 'always',
  always: 'nightly',
  nightly: 'unusable',
  unusable: 'none',
} as const satisfies Readonly<Record<keyof typeof windows, keyof typeof windows>>;

/** The client id and key of a Current that the provider accepts. */
function workingCurrent(world: ToyWorld): string | undefined {
  const current = currentOf(world.record);
  const works = current !== undefined && world.authenticates(current.clientId, current.credential);
  return works ? `${current.clientId} ${kidOf(current.credential)}` : undefined;
}

/** Nothing mints, and a client whose removal has begun would: it keeps its id and its subject, whatever holds up its proof. */
function wantedAgain(world: ToyWorld): string | undefined {
  const { record, desired } = world;
  const newest = record?.generations.at(-1);
  if (world.deleted || record === undefined || newest === undefined || record.intent !== undefined) return undefined;
  const isLeft = (newest.state === 'Draining' || newest.state === 'Retiring') && currentOf(record) === undefined;
  const isTold = newest.removedAt !== undefined || newest.refusedAgain === true;
  const isOfMethod = newest.credential.type === desired.authentication || !desired.allowSubjectChange;
  const mayMint = isLeft && !isTold && isOfMethod && world.authenticates(newest.clientId, newest.credential);
  return mayMint ? newest.clientId : undefined;
}

/** After every effect. That the record holds its own invariants is asserted by the transitions and by reading it back. */
function check(world: ToyWorld, before: string | undefined): void {
  const { record } = world;
  if (before !== undefined && !world.deleted && workingCurrent(world) === undefined && !leavesGap(world))
    throw new Error('the working Current was lost');
  if (world.desired.existing !== undefined) {
    if (world.trail.some((line) => /(Register|Update|Deregister)/.test(line)))
      throw new Error('their client was called');
    if (!world.clients.has(theirs)) throw new Error('their client was deleted');
    return;
  }
  for (const client of world.clients.values()) {
    if (client.keys.size > 3) throw new Error(`${client.keys.size} keys authenticate at once`);
  }
  for (const token of world.tokens) {
    const minter = record?.generations.find(({ n }) => n === token.generation);
    if (minter === undefined && !token.misdated) throw new Error('a token outlived the credential that can revoke it');
    const isExcused = leavesGap(world) || world.overruled || token.misdated;
    if (!world.canRevoke(token) && !isExcused) throw new Error('a credential was taken out while a token of it lives');
  }
  checkOrphans(world);
}

/** A secret that the provider replaces at each update: the old one is dead before the new one is stored. */
function leavesGap({ record }: ToyWorld): boolean {
  return record?.variant === 'InPlace';
}

/** No client at the provider that nobody can find: only lost answers of a provider that chooses the id leave one, and they are counted. */
function checkOrphans(world: ToyWorld): void {
  const { record } = world;
  if (record === undefined) return;
  const held = new Set(record.generations.map(({ clientId }) => clientId));
  const unheld = [...world.clients].filter(([id, { tag }]) => !held.has(id) && tag !== anotherOwner).length;
  const counted = (record.possibleOrphans ?? 0) + (record.intent?.call === 'Register' ? 1 : 0);
  if (unheld > counted + world.admitted + world.strays)
    throw new Error(`${unheld} clients that nobody holds, counted are ${counted}`);
}

/** Everything heals and no more mishaps: the client works, or it is gone. What waits for a person gets that person's one step. */
function settle(world: ToyWorld): void {
  world.outage = false;
  world.stopped = false;
  world.braked = false;
  world.clockAgrees = true;
  world.clockError = 0;
  world.caughtUp();
  world.thaw();
  if (world.window === 'unusable') world.window = 'none';
  if (world.desired.existing !== undefined) world.handIn('good');
  if (!world.deleted) world.arrive();
  deleteLostClient(world);
  runUntilQuiet(world);
  for (let i = 0; i < 60 && (!isAtRest(world) || isBroken(world) || isLeaked(world)); i += 1) {
    const { recheckAt, reason } = world.decision;
    if (reason === 'RegistrationAccessTokenLost' || (world.record !== undefined && isUnmanaged(world.record))) {
      if (!lostAnAnswer(world) && !world.removed)
        throw new Error('the management token was lost without a lost answer');
      world.fallback = true;
    }
    const { intent, generations = [] } = world.record ?? {};
    const lost = intent?.call === 'Register' && generations.find(({ n }) => n === intent.generation)?.credential;
    // A secret that was lost with its answer: a person asks again, which gives the attempt up.
    if (lost && lost.type !== 'PrivateKeyJwt') world.desired = { ...world.desired, rotateRequest: `again-${i}` };
    // A client that somebody deleted, or a leaked credential that nothing else replaces: the person says that a new subject is all right.
    if (isMissed(world) || isLeaked(world)) world.desired = { ...world.desired, allowSubjectChange: true };
    // Whether it was deleted or switched off nobody can see without its management token: the message says that a rotation helps.
    if (isMissed(world) && reason === 'CredentialRefused')
      world.desired = { ...world.desired, rotateRequest: `refused-${i}` };
    deleteLostClient(world);
    world.advance(recheckAt === undefined ? hour : Math.max(1, recheckAt - world.ours));
    runUntilQuiet(world);
  }
  if (world.deleted) {
    if (world.stored !== undefined) throw new Error('the record of a deleted pool stays');
    if (world.desired.existing !== undefined) return;
    world.arrive();
    const left = world.clients.size;
    if (left > world.admitted + world.strays)
      throw new Error(`${left} clients of a deleted pool stay, told of ${world.admitted}`);
    return;
  }
  const states = world.record?.generations.map(({ state }) => state).join(' ');
  if (states !== 'Current') throw new Error(`ends with generations: ${states}`);
  if (workingCurrent(world) === undefined) throw new Error('ends with a Current that does not work');
  if (isLeaked(world)) throw new Error('the credential mints on that an emergency was to replace');
}

/** The client has the id that we chose and a secret that was lost with the answer: a person deletes it, as the message asks. */
function deleteLostClient({ record, clients }: ToyWorld): void {
  const planned = record?.generations.find(({ state }) => state === 'Planned');
  const known = record?.generations.some((one) => one !== planned && one.clientId === planned?.clientId);
  const id = planned?.clientId;
  if (known === false && id !== undefined && planned?.credential.type !== 'PrivateKeyJwt') clients.delete(id);
}

function isAtRest({ record, deleted }: ToyWorld): boolean {
  const states = record?.generations.map(({ state }) => state).join(' ') ?? '';
  return states === (deleted ? '' : 'Current') && record?.revoking === undefined;
}

/** The credential that minted when somebody asked for an emergency mints still. */
function isLeaked({ record, deleted, leaked = 0 }: ToyWorld): boolean {
  const current = currentOf(record);
  return !deleted && current !== undefined && current.n <= leaked;
}

/** What minted does not work any more, which a session meets: see {@link ToyWorld.meetRefusal}. */
function isBroken(world: ToyWorld): boolean {
  return !world.deleted && workingCurrent(world) === undefined;
}

/** A client that somebody deleted is told as such, and only a new one helps. */
function isMissed(world: ToyWorld): boolean {
  return world.removed && isBroken(world);
}

function lostAnAnswer(world: ToyWorld): boolean {
  return world.trail.some((line) => /(Register|Update|Deregister) \((lost|late|frozen|crash-answer)\)/.test(line));
}

function runUntilQuiet(world: ToyWorld): void {
  for (let i = 0; i < 200; i += 1) {
    const before = workingCurrent(world);
    const acted = world.step('none');
    world.sweep();
    world.meetRefusal();
    check(world, before);
    if (!acted) return;
  }
  throw new Error('never comes to rest');
}
