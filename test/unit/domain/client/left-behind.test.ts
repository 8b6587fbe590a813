/** A provider that gives no registration access token: old clients stay until a person deletes them. */
import test from 'ava';
import { day } from '#src/clock.ts';
import { currentOf, inState } from '#src/domain/client/generations.ts';
import { clientCodec } from '#src/domain/client/record-codec.ts';
import { omit } from '#test/support/builders.ts';
import { ToyWorld } from './toy-world.ts';

function settle(world: ToyWorld): void {
  for (let i = 0; i < 100 && world.step('none'); i += 1) {
    const { record } = world;
    if (record?.management !== undefined) world.stored = clientCodec.encode(omit(record, 'management'));
    world.sweep();
  }
}

test('two old clients that nobody can remove hold up rotations, and no emergency', (t) => {
  const world = new ToyWorld({
    capabilities: { variants: ['NewClient'], clientIdBy: 'Us', credentialPropagation: 0 },
    rotatesManagement: false,
    allowSubjectChange: true,
  });
  settle(world);
  for (const id of ['r1', 'r2', 'r3']) {
    world.desired = { ...world.desired, rotateRequest: id, asked: [{ kind: 'Rotate', id }] };
    settle(world);
    world.advance(day);
    settle(world);
  }
  t.is(currentOf(world.record)?.n, 3, 'the third rotation waits');
  for (const [id, n] of [
    ['e1', 4],
    ['e2', 5],
  ] as const) {
    world.desired = { ...world.desired, rotateRequest: id, revokeRequest: id };
    settle(world);
    world.advance(day);
    settle(world);
    t.is(currentOf(world.record)?.n, n, `emergency ${id} brings a new credential`);
    t.is(world.record && inState(world.record, 'Retiring').length, n - 1, 'none that works is forgotten');
  }
  for (const { clientId } of world.record?.generations.slice(0, -1) ?? []) world.clients.delete(clientId ?? '');
  world.advance(day);
  settle(world);
  t.deepEqual(
    world.record?.generations.map(({ n, state }) => [n, state]),
    [[5, 'Current']],
    'a person has deleted them, and the request is done',
  );
  t.is(world.record?.revoking, undefined);
});
