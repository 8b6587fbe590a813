import test from 'ava';
import { limitsCodec } from '#src/domain/access/limits.ts';
import { clientCodec } from '#src/domain/client/record-codec.ts';
import { sessionCodec } from '#src/domain/session/record-codec.ts';
import { buildClientRecord, buildSessionRecord } from '#test/support/builders.ts';

const identity = { namespace: 'ci-payments', name: 'publisher', uid: 'i1' };

/** What each kind of record is decoded as, by its epoch. */
const kinds: readonly (readonly [kind: string, decoded: (epoch: number) => { readonly is: string }])[] = [
  ['client', (epoch) => clientCodec.decode(clientCodec.encode(buildClientRecord({ epoch })))],
  ['session', (epoch) => sessionCodec.decode(sessionCodec.encode(buildSessionRecord({ epoch })))],
  ['limits', (epoch) => limitsCodec.decode(limitsCodec.encode({ formatVersion: 1, epoch, identity, starts: [] }))],
];

const mostOfLease = 2 ** 31 - 1;

for (const [kind, decoded] of kinds)
  for (const [epoch, is] of [
    [1, 'Record'],
    [2_000_000_000, 'Record'],
    [mostOfLease - 1000, 'Invalid'],
    [mostOfLease, 'Invalid'],
    [mostOfLease + 1, 'Invalid'],
    [Number.MAX_SAFE_INTEGER, 'Invalid'],
  ] as const)
    test(`a ${kind} record of epoch ${epoch}: ${is}, because leaders must be able to follow`, (t) => {
      t.is(decoded(epoch).is, is);
    });
