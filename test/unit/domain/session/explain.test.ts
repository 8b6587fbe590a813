import test from 'ava';
import type { Reason } from '#src/api/reasons.ts';
import { plus, second } from '#src/clock.ts';
import {
  forbiddenError,
  fullError,
  goneError,
  guardError,
  limitError,
  untrustedError,
  unreadableError,
  waitingError,
} from '#src/domain/session/explain.ts';
import type { DeliveredError, SessionSnapshot } from '#src/domain/session/machine.ts';
import { saysAlready } from '#src/domain/session/steps.ts';
import { firstTryUntil, secondTryUntil } from '#src/domain/session/successor.ts';
import {
  buildClientFacts,
  buildEndedToken,
  buildLiveSnapshot,
  buildSessionRecord,
  buildSessionSnapshot,
  noon,
  omit,
} from '#test/support/builders.ts';
import { client, denied, failed, pod, unlisted } from './cases.ts';

const outage = { reason: 'ProviderUnavailable', message: 'issuer https://idp.example.com: no answer' } as const;
const s = buildSessionSnapshot;
const createdBy = (requester: string): SessionSnapshot => s({ pod: pod({ requester }) });
const mayNotUse = (who: string): string => `the pod gets no token – its creator ${who} does not hold the verb use`;
const twoEnded = (open: boolean): SessionSnapshot => {
  const [one, other] = [buildEndedToken('Forbidden'), buildEndedToken('Forbidden', { sha256: 'b2' })];
  const [first, ...more] = open ? [omit(one, 'value'), other] : [omit(one, 'value'), omit(other, 'value')];
  return buildLiveSnapshot({ record: buildSessionRecord({ tokens: [first ?? one, ...more] }) });
};

/** What a build reads: the reason, what its message says after the subject, and what the fix says. */
const sentences: readonly (readonly [title: string, DeliveredError, reason: Reason, why: string, fix: string])[] = [
  ['denied for good', forbiddenError(s({ access: denied(true) })), 'NoRule', 'No rule grants', 'Ask the owners of'],
  [
    'denied by several: each sentence once',
    forbiddenError(
      s({
        access: {
          is: 'Seen',
          value: {
            is: 'Denied',
            lasting: true,
            denials: [
              { reason: 'NoRule', message: 'No rule for a.' },
              { reason: 'NoRule', message: 'No rule for a.' },
              { reason: 'NoRule', message: 'No rule for b.' },
            ],
          },
        },
      }),
    ),
    'NoRule',
    'No rule for a. No rule for b.',
    'Ask the owners of',
  ],
  [
    'a creator without the right: a service account',
    forbiddenError(createdBy('system:serviceaccount:jenkins:controller')),
    'CreatorMayNotUse',
    `${mayNotUse('system:serviceaccount:jenkins:controller')} on this CiIdentity`,
    'Bind a Role',
  ],
  [
    'a creator without the right: a person, whose groups are not seen',
    forbiddenError(createdBy('alice')),
    'CreatorMayNotUse',
    `${mayNotUse('alice')} on this CiIdentity by name (what a user holds through a group is not seen)`,
    'Bind a Role',
  ],
  [
    'a creator without the right: the one of the record',
    forbiddenError(s({ record: buildSessionRecord({ requester: 'bob' }), pod: { is: 'Gone' } })),
    'CreatorMayNotUse',
    mayNotUse('bob'),
    'Bind a Role',
  ],
  [
    'a creator that nobody knows',
    forbiddenError(s({ pod: { is: 'Gone' } })),
    'CreatorMayNotUse',
    `${mayNotUse('(unknown)')} on this CiIdentity`,
    'Bind a Role',
  ],
  ['a claim of somebody else', untrustedError(s(), 'ClaimInvalid'), 'ClaimInvalid', 'its claim was not', 'Run the'],
  ['older than the guard', untrustedError(s(), 'PodOlderThanGuard'), 'PodOlderThanGuard', 'were not whole', 'Run the'],
  [
    'too old',
    goneError(s(), 'SessionTooOld'),
    'SessionTooOld',
    'older than ceiling.maxSessionAge',
    'Start a new agent',
  ],
  ['without its identity', goneError(s(), 'IdentityGone'), 'IdentityGone', 'was deleted', 'Create it again'],
  [
    'a record that cannot be read',
    unreadableError(s()),
    'RecordInvalid',
    'cannot be read any more',
    'Ask the operator',
  ],
  [
    'policies that are missing',
    guardError(s({ guard: { is: 'Missing', objects: ['a', 'b'] } })),
    'GuardMissing',
    'are not whole: a, b',
    'restore manifests/admission',
  ],
  ['policies not read', guardError(s({ guard: { is: 'Unknown' } })), 'GuardUnknown', 'not read yet', 'restore'],
  ['a limit', limitError(s({ limit: '5 of 5 sessions' })), 'LimitReached', 'now – 5 of 5 sessions', 'End sessions'],
  [
    'earlier tokens that may still be revoked',
    fullError(twoEnded(true)),
    'TooManyTokens',
    '2 earlier ones were taken from it, which could not be revoked yet and still work',
    'has expired (2026-11-24T12:15:00Z) or is revoked;',
  ],
  [
    'earlier tokens that nobody can revoke',
    fullError(twoEnded(false)),
    'TooManyTokens',
    '2 earlier ones were taken from it, which cannot be revoked at this identity provider and still work',
    'has expired (2026-11-24T12:15:00Z); a new pod',
  ],
  [
    'denied for now',
    waitingError(s({ access: unlisted })),
    'IssuerNotConfigured',
    'Not listed.',
    'as soon as the issuer',
  ],
  [
    'an ask that the provider refuses',
    waitingError(s({ client: client({ refusal: { reason: 'ScopeRefused', message: 'refused x' } }) })),
    'ScopeRefused',
    'refused x',
    'asked again every few minutes',
  ],
  [
    'no client yet',
    waitingError(s({ client: { is: 'Seen', value: omit(buildClientFacts(), 'current') } })),
    'WaitingForClient',
    'is not registered yet',
    'once it is Ready',
  ],
  [
    'no client yet, and why',
    waitingError(
      s({ client: { is: 'Seen', value: { ...omit(buildClientFacts(), 'current'), message: 'no scope x' } } }),
    ),
    'WaitingForClient',
    'no scope x',
    'once it is Ready',
  ],
  ['a failure', waitingError(s(failed('first'))), 'ProviderUnavailable', 'answers 503', 'It is tried again'],
  ['a failure for good', waitingError(s(failed('first', true))), 'ProviderUnavailable', 'answers 503', 'Correct it'],
  [
    'an outage',
    waitingError(s({ client: client({ outage }) })),
    'ProviderUnavailable',
    'no answer',
    'It is tried again',
  ],
  ['patience is over', waitingError(s()), 'ProviderUnavailable', 'no token within 5m', 'It is tried again'],
];

for (const [title, said, reason, why, fix] of sentences) {
  test(`error.json: ${title}`, (t) => {
    t.is(said.reason, reason);
    t.true(said.message.startsWith('CiIdentity ') && said.message.includes('publisher: '), said.message);
    t.true(said.message.includes(why), said.message);
    t.true(said.fix.includes(fix), said.fix);
  });
}

const written: DeliveredError = { reason: 'NoRule', message: 'a', fix: 'b' };
const told = s({ delivered: { digest: 'e', content: 'Error', at: noon, error: written } });
const failing = { ...told, ...failed('first') };
const repeats: readonly (readonly [string, SessionSnapshot, Partial<DeliveredError>, boolean])[] = [
  ['nothing is there', omit(buildLiveSnapshot(), 'delivered'), {}, false],
  ['a token is there', buildLiveSnapshot(), {}, false],
  ['an error of a process before this one', s({ delivered: { digest: 'e', content: 'Error', at: noon } }), {}, true],
  ['the same', told, {}, true],
  ['another reason', told, { reason: 'PoolMissing' }, false],
  ['other words', told, { message: 'c' }, false],
  ['another remedy', told, { fix: 'c' }, false],
  ['other words of a failure', failing, { message: 'c', fix: 'c' }, true],
  ['a failure with another reason', failing, { reason: 'PoolMissing' }, false],
];

for (const [title, snapshot, next, expected] of repeats) {
  test(`what the pod reads is said already: ${title}`, (t) => {
    t.is(saysAlready(snapshot, { ...written, ...next }), expected);
  });
}

for (const [title, snapshot, isRefusal, waits] of [
  ['its first try failed', s(), false, 2 * second],
  ['it was refused', s(), true, 0],
  ['its second try failed', s({ successorFailed: true }), false, 0],
  ['nobody gets a token from this issuer', s({ client: client({ outage }) }), false, 0],
] as const) {
  test(`how long a token waits for its successor: ${title}`, (t) => {
    t.is(secondTryUntil(snapshot, isRefusal, noon), plus(noon, waits));
    t.is(firstTryUntil(noon), plus(noon, second));
  });
}
