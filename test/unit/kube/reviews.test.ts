/** What an answer of the API server's authorizers means for a right. */
import test from 'ava';
import { Memory } from '#src/controllers/memory.ts';
import { Reviews } from '#src/controllers/session/reviews.ts';
import { Rights } from '#src/controllers/upkeep/rights.ts';
import type { ApiConnection } from '#src/kube/connection.ts';
import { mayUse } from '#src/kube/reviews.ts';
import { buildSessionRecord, noon } from '#test/support/builders.ts';

const never = new AbortController().signal;
const asked = { user: 'jenkins', namespace: 'ci-payments', identity: 'publisher' };
const evaluationError = 'Post "https://authorizer.example.com/authorize": context deadline exceeded';

function answering(status: object): ApiConnection {
  const response = { status: 201, headers: {}, body: { status }, at: noon };
  return { request: () => Promise.resolve(response) } as unknown as ApiConnection;
}

const rows = [
  ['held', { allowed: true }, true],
  ['held, and another authorizer is away', { allowed: true, evaluationError }, true],
  ['not held', { allowed: false }, false],
  ['bound to a Role that is missing', { allowed: false, reason: 'RBAC: role "publisher" not found' }, false],
  ['refused by an authorizer', { allowed: false, denied: true }, false],
  ['an authorizer is away', { allowed: false, evaluationError }, 'Unknown'],
  ['an authorizer is away, which refuses then', { allowed: false, denied: true, evaluationError }, 'Unknown'],
] as const;

for (const [title, status, then] of rows)
  test(`a right, ${title}: ${then}`, async (t) => {
    const answer = mayUse(answering(status), asked, never);
    if (then !== 'Unknown') {
      t.is(await answer, then);
      return;
    }
    const error = await t.throwsAsync(answer, {
      message: /an authorizer cannot say whether jenkins may use CiIdentity/,
    });
    t.like(error, { class: 'Transient', reason: 'ApiServerUnavailable' });
  });

test('while an authorizer is away nobody loses a right', async (t) => {
  const memory = new Memory('ci-identity-system');
  const record = buildSessionRecord();
  memory.sessions.put('session-1', { name: 'session-1', uid: 's', resourceVersion: '1', record });
  let status: object = { allowed: true };
  const clock = { now: () => noon };
  const reviews = new Reviews({ clock: clock as never, ask: (o, signal) => mayUse(answering(status), o, signal) });
  const withdrawn: string[] = [];
  const rights = new Rights({ memory, reviews, withdrawn: (one) => void withdrawn.push(one) });
  const known = (): unknown => reviews.known(record.requester, record.pod.namespace, record.identity.name);
  await rights.look(never);
  status = { allowed: false, evaluationError };
  await t.throwsAsync(rights.look(never));
  t.deepEqual([known(), withdrawn], [{ is: 'Seen', value: true }, []]);
  status = { allowed: false };
  await rights.look(never);
  t.deepEqual([known(), withdrawn], [{ is: 'Seen', value: false }, ['ci-payments/publisher']]);
});
