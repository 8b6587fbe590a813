import test from 'ava';
import { EventPlaces } from '#src/kube/event-places.ts';

/** As many as there is room for. */
function fill(places: EventPlaces<number>, owner: string): number {
  let n = 0;
  while (places.add(owner, `${n}`, n)) n += 1;
  return n;
}

/** Everything, in the order in which it has its turn. */
function drain(places: EventPlaces<number>): readonly string[] {
  const order: string[] = [];
  for (let next = places.next(); next !== undefined; next = places.next()) {
    order.push(`${next.owner} ${next.key}`);
    places.done(next.owner, next.key);
  }
  return order;
}

test('however many namespaces take all they can get, there is room for one more', (t) => {
  const places = new EventPlaces<number>(1_500);
  t.is(fill(places, 'evil-1'), 750);
  t.is(fill(places, 'evil-2'), 375);
  for (let n = 3; n < 6; n += 1) fill(places, `evil-${n}`);
  t.true(places.add('good', 'a', 0));
  t.false(places.add('evil-1', 'more', 0));
});

test('what is through leaves its place to others', (t) => {
  const places = new EventPlaces<number>(4);
  t.is(fill(places, 'a'), 2);
  places.done('a', '0');
  places.done('a', 'unknown');
  t.true(places.add('a', '2', 2));
  t.false(places.add('a', '3', 3));
});

test('namespaces take turns, and what a namespace has comes in its order', (t) => {
  const places = new EventPlaces<number>(100);
  for (const key of ['1', '2', '3']) places.add('big', key, 0);
  places.add('small', '1', 0);
  places.add('other', '1', 0);
  places.add('other', '2', 0);
  t.is(places.get('big', '3'), 0);
  t.is(places.get('small', '3'), undefined);
  t.deepEqual(drain(places), ['big 1', 'small 1', 'other 1', 'big 2', 'other 2', 'big 3']);
  t.is(fill(places, 'big'), 50);
});
