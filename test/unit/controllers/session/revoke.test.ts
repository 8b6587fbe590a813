/** Why a token cannot be revoked: the sentence names what somebody has to mend. */
import test from 'ava';
import type { Reason } from '#src/api/reasons.ts';
import { Revoker, type RevokerOptions } from '#src/controllers/session/revoke.ts';
import type { ClientRecord } from '#src/domain/client/record.ts';
import { OperatorError } from '#src/errors.ts';
import type { StoredRecord } from '#src/kube/records.ts';
import { buildClientRecord, buildEndedToken, buildLiveSnapshot, buildSessionRecord } from '#test/support/builders.ts';
import { VirtualClock } from '#test/support/virtual-clock.ts';

const s = buildLiveSnapshot({ record: buildSessionRecord({ tokens: [buildEndedToken('Forbidden')] }) });
const secret = { name: 'client-1', uid: 'u', resourceVersion: '1' };

interface Row {
  readonly what: string;
  readonly stored?: StoredRecord<ClientRecord>;
  readonly unlisted?: true;
  readonly then: 'Confirmed' | readonly [reason: Reason, message: RegExp];
}

const rows: readonly Row[] = [
  { what: 'all is well', stored: { ...secret, record: buildClientRecord() }, then: 'Confirmed' },
  {
    what: 'its Secret is damaged, and memory knows the record',
    stored: { ...secret, invalid: 'it is no JSON', record: buildClientRecord() },
    then: 'Confirmed',
  },
  {
    what: 'the issuer is not listed',
    stored: { ...secret, record: buildClientRecord() },
    unlisted: true,
    then: ['IssuerNotConfigured', /^issuer https:\S+ is not listed in the configuration of the operator/],
  },
  {
    what: 'the client record is damaged, or of another installation',
    stored: { ...secret, invalid: 'it is no JSON' },
    then: [
      'RecordInvalid',
      /^a token cannot be revoked, .*: client record client-1 .* left alone: it is no JSON\. Bring/,
    ],
  },
  {
    what: 'the client record is of a newer version',
    stored: { ...secret, newerFormat: true },
    then: ['NewerFormat', /: client record client-1 was written by a newer version/],
  },
  { what: 'the client record is gone', then: ['RecordInvalid', /: client record client-1 is gone from/] },
  {
    what: 'the client record has another credential only',
    stored: { ...secret, record: buildClientRecord({ generations: [] }) },
    then: ['RecordInvalid', /: client record client-1 holds no credential of the client that minted it any more/],
  },
];

for (const { what, stored, unlisted, then } of rows)
  test(`a token is to be revoked, and ${what}: ${typeof then === 'string' ? then : then[0]}`, async (t) => {
    const answered: RevokerOptions['answered'] = new Map();
    const revoker = new Revoker({
      answered,
      clock: new VirtualClock(),
      effects: {
        run: (_name: string, o: { readonly signal: AbortSignal }, call: (signal: AbortSignal) => unknown) =>
          call(o.signal),
      },
      tokensOf: () => (unlisted === true ? undefined : { revoke: () => Promise.resolve('Confirmed') }),
      clientRecord: () => stored,
      audit: { record: () => undefined },
      metrics: { observe: () => undefined, count: () => undefined },
      causes: { seenAt: () => undefined },
    } as unknown as RevokerOptions);
    const outcome = await revoker.revoke('key', s, 'a1', 'InProgress', AbortSignal.any([])).then(
      () => answered.get('key')?.get('a1'),
      (error: unknown) => error,
    );
    if (typeof then === 'string') return t.is(outcome, then);
    if (!(outcome instanceof OperatorError)) return t.fail(String(outcome));
    const [reason, message] = then;
    t.is(outcome.reason, reason);
    return t.regex(outcome.message, message);
  });
