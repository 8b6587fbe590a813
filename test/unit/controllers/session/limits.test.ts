/** Which sessions `limits.concurrentSessions` counts. */
import test from 'ava';
import { minute, plus } from '#src/clock.ts';
import { Memory } from '#src/controllers/memory.ts';
import { SessionLimits, type SessionLimitsOptions } from '#src/controllers/session/limits.ts';
import { buildEndedToken, buildSessionRecord, buildToken, noon, omit } from '#test/support/builders.ts';
import { VirtualClock } from '#test/support/virtual-clock.ts';
import { identity } from '../../domain/access/objects.ts';

const one = identity({ limits: { concurrentSessions: 1 } });
const dead = plus(noon, -1 * minute);

for (const [what, pod, tokens, counts] of [
  ['one that runs', 'other', [buildToken()], true],
  ['one that ends, and whose token is not revoked yet', 'other', [buildEndedToken('Forbidden')], true],
  ['one that ends, and whose token nobody can revoke', 'other', [omit(buildEndedToken('Forbidden'), 'value')], true],
  ['one whose token has expired', 'other', [buildToken({ exp: dead })], false],
  ['that of the pod itself', 'own', [buildEndedToken('Forbidden')], false],
] as const)
  test(`${what}: ${counts ? 'counts' : 'does not count'}`, (t) => {
    const memory = new Memory('ci-identity-system');
    const record = buildSessionRecord({ pod: { namespace: 'ci-payments', name: pod, uid: pod }, tokens });
    memory.sessions.put('session', { uid: 's', resourceVersion: '1', name: 'session', record });
    const limits = new SessionLimits({ memory, clock: new VirtualClock() } as unknown as SessionLimitsOptions);
    t.is(limits.breach(one, 'own') !== undefined, counts);
  });
