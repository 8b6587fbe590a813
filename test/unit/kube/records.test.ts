import test from 'ava';
import { recordKey } from '#src/api/names.ts';
import { limitsCodec } from '#src/domain/access/limits.ts';
import { clientCodec } from '#src/domain/client/record-codec.ts';
import { clientRecordName, limitsRecordName, sessionRecordName } from '#src/domain/record-names.ts';
import { sessionCodec } from '#src/domain/session/record-codec.ts';
import { type RecordCodec, trimRecord } from '#src/kube/records.ts';
import { buildClientRecord, buildSessionRecord } from '#test/support/builders.ts';

const client = buildClientRecord();
const session = buildSessionRecord();
const limits = {
  formatVersion: 1,
  epoch: 1,
  identity: { namespace: 'ci-payments', name: 'a', uid: 'u' },
  starts: [],
} as const;

/** What a Secret of this name says that holds the record; the codec and the record belong together. */
function found<R>(
  name: string,
  codec: RecordCodec<R>,
  record: R,
): { readonly record?: unknown; readonly invalid?: string } {
  const data = { [recordKey]: Buffer.from(codec.encode(record)).toString('base64') };
  return trimRecord({ metadata: { name, uid: 'u', resourceVersion: '1' }, data }, 'client', codec);
}

for (const [what, own, trim] of [
  ['client', clientRecordName(client.pool.uid, '', ''), (name: string) => found(name, clientCodec, client)],
  [
    'client of an identity',
    clientRecordName(client.pool.uid, 'ci-payments', 'identity-uid'),
    (name: string) =>
      found(name, clientCodec, { ...client, namespace: 'ci-payments', identity: { name: 'a', uid: 'identity-uid' } }),
  ],
  [
    'session',
    sessionRecordName(session.pod.uid, session.identity.uid),
    (name: string) => found(name, sessionCodec, session),
  ],
  ['limits', limitsRecordName('u'), (name: string) => found(name, limitsCodec, limits)],
] as const) {
  test(`record of a ${what}: under its own name it is one, under another it is a copy, which nobody goes by`, (t) => {
    t.truthy(trim(own).record);
    t.is(trim(own).invalid, undefined);
    const copy = trim(`${own}-backup`);
    t.is(copy.record, undefined);
    t.is(copy.invalid, `it is a copy: what it says belongs into Secret ${own}`);
  });
}
