import test from 'ava';
import fc from 'fast-check';
import { standingRequests } from '#src/domain/client/pool-requests.ts';
import { unlistedRequests } from '#src/domain/status/requests.ts';
import { pool } from '../access/objects.ts';

test('property: status tells of every request that is carried out, and of no other one', (t) => {
  const id = fc.constantFrom(undefined, '', 'INC-1', 'INC-2', 'x'.repeat(300));
  fc.assert(
    fc.property(id, id, id, id, (rotate, rotateNoted, revoke, revokeNoted) => {
      const given = Object.entries({ 'ci-identity.dev/rotate': rotateNoted, 'ci-identity.dev/revoke': revokeNoted });
      const annotations = Object.fromEntries(given.flatMap(([key, text]) => (text === undefined ? [] : [[key, text]])));
      const spec = {
        ...(rotate === undefined ? {} : { rotation: { request: rotate } }),
        ...(revoke === undefined ? {} : { revokeRequest: revoke }),
      };
      const asked = pool(spec, { annotations });
      const carriedOut = standingRequests(asked).flatMap(({ kind, id: of }) =>
        (kind === 'Emergency' ? ['Rotate', 'Revoke'] : [kind]).map((one) => `${one} ${of.slice(0, 63)}`),
      );
      const told = unlistedRequests(asked).map((one) => `${one.kind} ${one.id.slice(0, 63)}`);
      t.deepEqual(told.toSorted(), carriedOut.toSorted());
    }),
  );
});
