import test from 'ava';
import fc from 'fast-check';
import { day, hour, minute, plus, second } from '#src/clock.ts';
import type { ClientFacts } from '#src/domain/session/machine.ts';
import { noon } from '#test/support/builders.ts';
import { ToyWorld } from './toy-world.ts';
import type { Mishap } from './toy-world.ts';

const events = [
  'stop',
  'start',
  'deny',
  'grant',
  'narrow',
  'widen',
  'guard-missing',
  'guard-intact',
  'lose-use',
  'client-away',
  'client-back',
  'revoke-all',
  'clock-back',
  'outage',
  'up',
  'paused',
  'revokes',
  'unsynced',
  'synced',
  'leader',
  'delete-record',
  'run',
  'succeed',
  'delete',
  'gone',
  'wait',
  'second',
  'minute',
  'renewal',
  'hour',
] as const;

interface Turn {
  readonly event: (typeof events)[number];
  readonly mishap: Mishap;
  readonly steps: number;
}

const turn: fc.Arbitrary<Turn> = fc.record({
  event: fc.oneof(
    { weight: 4, arbitrary: fc.constantFrom<Turn['event']>('wait', 'second', 'minute', 'renewal') },
    { weight: 3, arbitrary: fc.constantFrom(...events) },
  ),
  mishap: fc.oneof(
    { weight: 3, arbitrary: fc.constant<Mishap>('none') },
    { weight: 2, arbitrary: fc.constantFrom<Mishap>('failed', 'lost', 'crash-before', 'crash-after') },
  ),
  steps: fc.integer({ min: 1, max: 5 }),
});

const worlds: readonly { readonly revocation: ClientFacts['revocation']; readonly runs: number }[] = [
  { revocation: 'Immediate', runs: 1_200 },
  { revocation: 'ExpiryOnly', runs: 400 },
];

for (const { revocation, runs } of worlds) {
  test(`random histories: revocation ${revocation}`, (t) => {
    const seen = new Set<string>();
    const seed = Number(process.env['WALK_SEED'] ?? 20_261_124);
    fc.assert(
      fc.property(fc.array(turn, { minLength: 1, maxLength: 40 }), (turns) => {
        const world = new ToyWorld(revocation);
        try {
          for (const { event, mishap, steps } of turns) {
            happen(world, event);
            for (let i = 0; i < steps; i += 1) {
              world.step(i === 0 ? mishap : 'none');
              check(world);
            }
          }
          settle(world);
        } catch (error) {
          throw new Error(`${String(error)}\n  ${world.trail.join('\n  ')}`, { cause: error });
        }
        for (const line of world.trail) seen.add(line.split(' ')[0] ?? '');
      }),
      { numRuns: runs, seed, includeErrorInReport: true },
    );
    t.log(`seed ${seed}, ${runs} histories, rows walked: ${[...seen].toSorted((a, b) => (a < b ? -1 : 1)).join(' ')}`);
    for (const row of [
      'expired',
      'unknown',
      'over',
      'clean',
      'stopped',
      'guard',
      'waiting',
      'undelivered',
      'first',
      'withdrawn',
      'narrowed',
      'due',
      'settled',
    ]) {
      t.true(seen.has(row), `no history came through row ${row}`);
    }
    for (const row of ['revoke', 'revoked']) t.is(seen.has(row), revocation === 'Immediate', row);
  });
}

function happen(world: ToyWorld, event: Turn['event']): void {
  const isOver = world.pod === 'Succeeded' || world.pod === 'gone';
  switch (event) {
    case 'stop':
    case 'start':
      world.stopped = event === 'stop';
      return;
    case 'deny':
    case 'grant':
      world.denied = event === 'deny';
      return;
    case 'narrow':
    case 'widen':
      world.scopes = event === 'narrow' ? ['a'] : ['a', 'b'];
      return;
    case 'guard-missing':
      world.guard = { is: 'Missing', objects: ['x'] };
      return;
    case 'guard-intact':
      world.guard = { is: 'Intact', since: plus(noon, -hour) };
      return;
    case 'lose-use':
      world.mayUse = false;
      return;
    case 'client-away':
    case 'client-back':
      world.clientReady = event === 'client-back';
      return;
    case 'revoke-all':
      world.revokeBefore = world.now;
      return;
    case 'clock-back':
      return world.advance(-hour);
    case 'outage':
    case 'up':
      world.outage = event === 'outage';
      return;
    case 'paused':
    case 'revokes':
      world.paused = event === 'paused';
      return;
    case 'unsynced':
    case 'synced':
      world.synced = event === 'synced';
      return;
    case 'leader':
      return world.takeOver();
    case 'delete-record':
      world.damaged = world.stored !== undefined;
      return;
    case 'run':
    case 'succeed':
      if (!isOver) world.pod = event === 'run' ? 'Running' : 'Succeeded';
      return;
    case 'delete':
      if (world.pod !== 'gone') world.pod = 'deleting';
      return;
    case 'gone':
      world.pod = 'gone';
      return;
    case 'wait':
      return;
    case 'second':
      return world.advance(10 * second);
    case 'minute':
      return world.advance(2 * minute);
    case 'renewal':
      return world.advance(450 * second);
    case 'hour':
      return world.advance(hour);
  }
}

/** After every effect: no older token may do more than the newest, or it was narrowed and is Forbidden. That the record holds its own invariants is asserted by the transitions and by reading it back. */
function check(world: ToyWorld): void {
  const recorded = new Map(world.record?.tokens.map((token) => [token.sha256, token]));
  for (const sha256 of world.alive.keys()) {
    if (!recorded.has(sha256) && !world.unrecorded.has(sha256))
      throw new Error(`token ${sha256} lives and nobody knows it`);
  }
  const newest = world.record?.tokens.at(-1);
  for (const { sha256, end, ask } of recorded.values())
    if (end === 'Superseded' && newest !== undefined && ask.scopes.some((scope) => !newest.ask.scopes.includes(scope)))
      throw new Error(`token ${sha256} may do more than its successor and is only superseded`);
}

/** No more mishaps and everything is reachable: what is forbidden is gone, and otherwise the pod holds a token that is allowed. */
function settle(world: ToyWorld): void {
  world.outage = false;
  world.paused = false;
  world.synced = true;
  world.clientReady = true;
  world.guard = { is: 'Intact', since: plus(noon, -hour) };
  runUntilQuiet(world);
  // The client machine sees that the clock was set back.
  if (world.revokeBefore !== undefined && world.revokeBefore > world.now) world.revokeBefore = world.now;
  runUntilQuiet(world);
  // Three forbidden tokens that nobody can revoke: the next one waits until the first has expired.
  if (world.record?.tokens.length === 3 && world.record.tokens.every(({ value }) => value === undefined)) {
    world.advance(Math.min(...world.record.tokens.map(({ exp }) => exp)) - world.now);
    runUntilQuiet(world);
  }
  const forbidden = world.stopped || world.denied || !world.mayUse || world.now >= plus(noon, day);
  const over = world.pod === 'Succeeded' || world.pod === 'gone' || world.pod === 'deleting';
  const usable = world.record?.tokens.at(-1);
  if (over || forbidden) {
    if (usable !== undefined && usable.end === undefined) throw new Error('a token stays usable that nobody may have');
    const revocable = world.record?.tokens.filter(({ value }) => value !== undefined) ?? [];
    if (revocable.length > 0) throw new Error('a token stays that could be revoked');
    if (!over && world.file?.content === 'Token' && world.alive.has(world.file.sha256 ?? ''))
      throw new Error('the file holds a live token');
    world.advance(Math.max(0, ...(world.record?.tokens ?? []).map(({ exp }) => exp - world.now)));
    runUntilQuiet(world);
    if (world.stored !== undefined) throw new Error('the record outlived its tokens');
    if (world.pod === 'Succeeded' && world.file?.content === 'Token') throw new Error('the file outlived the session');
    return;
  }
  if (usable === undefined || usable.end !== undefined) throw new Error('a pod that may have a token has none');
  if (world.file?.sha256 !== usable.sha256) throw new Error('the file does not hold the newest token');
  if (!usable.ask.scopes.every((scope) => world.scopes.includes(scope)))
    throw new Error('the token is wider than the grant');
  if (world.revokeBefore !== undefined && usable.minted < world.revokeBefore)
    throw new Error('the token is older than revokeBefore');
  for (const { sha256, minted, value } of world.record?.tokens ?? [])
    if (value !== undefined && world.revokeBefore !== undefined && minted < world.revokeBefore)
      throw new Error(`token ${sha256} is older than revokeBefore and could be revoked`);
}

function runUntilQuiet(world: ToyWorld): void {
  for (let i = 0; i < 60; i += 1) {
    const acted = world.step('none');
    check(world);
    if (!acted) return;
  }
  throw new Error('never comes to rest');
}
