/** Names that are made of other names: bounded, different, and of characters that every place takes. */
import test from 'ava';
import fc from 'fast-check';
import type { ClientRecord } from '#src/domain/client/record.ts';
import { marksOf, requestMark } from '#src/domain/client/requests.ts';
import { desiredOf, retryRequestOf, targetOf } from '#src/domain/client/target.ts';
import { clientRecordName, sessionRecordName } from '#src/domain/record-names.ts';
import { planned } from '#src/domain/client/transitions.ts';
import { deliverySecretName } from '#src/api/names.ts';
import { buildClientRecord, buildDesired, buildKey, noon, omit } from '#test/support/builders.ts';
import { pool } from '../access/objects.ts';

const installation = 'kube-system-uid/ci-identity-system';
const name = fc.stringMatching(/^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$/);
const anyText = fc.string({ maxLength: 300 });

test('records: a hash of the whole key, however long or alike its parts are', (t) => {
  fc.assert(
    fc.property(anyText, anyText, anyText, (a, b, c) => {
      for (const made of [clientRecordName(a, b, c), sessionRecordName(a, b)])
        t.regex(made, /^(client|session)-[0-9a-f]{32}$/);
    }),
  );
  const alike = [
    clientRecordName('a', 'bc', ''),
    clientRecordName('ab', 'c', ''),
    clientRecordName('a', 'b', 'c'),
    clientRecordName('A', 'bc', ''),
    clientRecordName('a', 'bc', ' '),
    clientRecordName('a'.repeat(300), '', ''),
    clientRecordName('a'.repeat(301), '', ''),
  ];
  t.is(new Set(alike).size, alike.length);
});

test('client ids: as long as a pool may be called, and fit every provider', (t) => {
  const uid = '11111111-2222-3333-4444-555555555555';
  fc.assert(
    fc.property(name, name, name, fc.constantFrom('Pool', 'Namespace', 'Identity'), (of, namespace, identity, per) => {
      const whole = pool({ client: { per } }, { name: of });
      const target = targetOf(whole, { namespace, name: identity, uid });
      const id = target === undefined ? '' : desiredOf(whole, target, installation).clientId;
      t.regex(id, /^ci-[0-9a-f]{8}-[-a-z0-9]{1,63}(-[0-9a-f]{16})?$/);
    }),
  );
});

test('delivery Secrets: the first dot ends the identity, so two pairs never share a name', (t) => {
  const podName = fc.stringMatching(/^[a-z0-9]([-.a-z0-9]{0,40}[a-z0-9])?$/);
  fc.assert(
    fc.property(name, podName, name, podName, (a, podA, b, podB) => {
      t.is(deliverySecretName(a, podA) === deliverySecretName(b, podB), a === b && podA === podB);
    }),
  );
});

for (const [what, handled, annotations, expected] of [
  ['the field alone', [], {}, ['git', undefined]],
  ['an annotation that the field in Git does not hide', ['Rotate git'], { rotate: 'INC-1' }, ['INC-1', undefined]],
  ['an empty annotation asks for nothing', ['Rotate git'], { rotate: '', revoke: '' }, ['git', undefined]],
  ['an emergency', ['Rotate git'], { rotate: 'INC-1', revoke: 'INC-1' }, ['INC-1', 'INC-1']],
  [
    'an emergency after a rotation with its id',
    ['Rotate git', 'Rotate INC-1'],
    { rotate: 'INC-1', revoke: 'INC-1' },
    ['INC-1', 'INC-1'],
  ],
  [
    'an emergency that was carried out',
    ['Rotate git', 'INC-1'],
    { rotate: 'INC-1', revoke: 'INC-1' },
    ['git', 'INC-1'],
  ],
  ['an emergency that could only revoke so far', ['Revoke git'], { revoke: 'git' }, ['git', 'git']],
] as const) {
  test(`what is to be carried out next: ${what}`, (t) => {
    const given = Object.entries(annotations).map(([kind, id]) => [`ci-identity.dev/${kind}`, id]);
    const asked = pool({ rotation: { request: 'git' } }, { annotations: Object.fromEntries(given) });
    const target = targetOf(asked, undefined);
    t.truthy(target);
    const desired = target && desiredOf(asked, target, installation, handled);
    t.deepEqual([desired?.rotateRequest, desired?.revokeRequest], [...expected]);
    const standing = desired?.asked?.flatMap(({ id }) => marksOf(id));
    for (const mark of handled) t.true(standing?.includes(mark));
  });
}

for (const [given, expected] of [
  [undefined, undefined],
  ['', undefined],
  ['1700000000', '1700000000'],
] as const) {
  test(`another try is asked for with the annotation: ${given}`, (t) => {
    const asked = pool({}, given === undefined ? {} : { annotations: { 'ci-identity.dev/retry': given } });
    t.is(retryRequestOf(asked), expected);
  });
}

test('what is to be carried out next: an emergency that could only revoke so far hides no other request to revoke', (t) => {
  const spec = { rotation: { request: 'INC-1' }, revokeRequest: 'INC-1' };
  const asked = pool(spec, { annotations: { 'ci-identity.dev/revoke': 'INC-2' } });
  const target = targetOf(asked, undefined);
  const next = (...handled: readonly string[]): unknown => {
    const desired = target && desiredOf(asked, target, installation, handled);
    return [desired?.rotateRequest, desired?.revokeRequest];
  };
  t.deepEqual(next(), ['INC-1', 'INC-1']);
  t.deepEqual(next('Revoke INC-1'), ['INC-1', 'INC-2']);
  t.deepEqual(next('Revoke INC-1', 'Revoke INC-2'), ['INC-1', 'INC-1']);
});

for (const [what, field, annotations, expected] of [
  ['the field', 'git', {}, ['Rotate git']],
  ['field and annotation', 'git', { rotate: 'INC-1' }, ['Rotate git', 'Rotate INC-1']],
  ['an id that both kinds have is one request', 'git', { revoke: 'git' }, ['git']],
  ['each of its own kind', 'git', { rotate: 'INC-1', revoke: 'INC-2' }, ['Rotate git', 'Rotate INC-1', 'Revoke INC-2']],
] as const) {
  test(`everything that is asked for: ${what}`, (t) => {
    const given = Object.entries(annotations).map(([kind, id]) => [`ci-identity.dev/${kind}`, id]);
    const whole = pool({ rotation: { request: field } }, { annotations: Object.fromEntries(given) });
    const target = targetOf(whole, undefined);
    t.deepEqual(target && desiredOf(whole, target, installation).asked?.map(requestMark), [...expected]);
  });
}

const [registry, deploy] = ['https://registry.example.com', 'https://deploy.example.com'];
for (const [what, audience, carriers] of [
  ['no word about audiences', undefined, []],
  ['by parameter', { by: 'Resource' }, []],
  [
    'by scope: those of the ceiling',
    { by: 'Scope', scopes: { [registry]: 'aud-r', 'https://other.example.com': 'aud-o' } },
    ['aud-r'],
  ],
  ['by scope: one for both', { by: 'Scope', scopes: { [registry]: 'aud', [deploy]: 'aud' } }, ['aud']],
  ['by scope: sorted', { by: 'Scope', scopes: { [registry]: 'aud-r', [deploy]: 'aud-d' } }, ['aud-d', 'aud-r']],
] as const) {
  test(`scopes that carry audiences: ${what}`, (t) => {
    const provider = { issuer: 'https://idp.example.com', ...(audience === undefined ? {} : { audience }) };
    const whole = pool({ provider, ceiling: { scopes: ['a'], audiences: [registry, deploy] } });
    t.deepEqual(desiredOf(whole, targetOf(whole, undefined)!, installation).carriers, carriers);
  });
}

test('client ids: what a pool registers next is not what another pool registers first', (t) => {
  const idOf = (name: string, generation: number): string | undefined => {
    const desired = desiredOf(pool({}, { name }), targetOf(pool({}, { name }), undefined)!, installation);
    const plan = { desired, variant: 'NewClient', credential: buildKey(), clientIdBy: 'Us', handles: [] } as const;
    return planned(undefined, { ...plan, generation }, noon).generations[0]?.clientId;
  };
  t.not(idOf('team', 2), idOf('team-2', 1));
  t.not(idOf('team', 2), idOf('team.2', 1));
});

test('client ids: one that was given up, or may be there without its secret, is not taken again', (t) => {
  const before = omit(buildClientRecord({ generations: [], highest: 1 }), 'management') as ClientRecord;
  const desired = buildDesired();
  const plan = { desired, variant: 'TwoKeys', credential: buildKey(), clientIdBy: 'Us', handles: [] } as const;
  const idOf = (record: ClientRecord | undefined, generation: number): string | undefined =>
    planned(record, { ...plan, generation }, noon).generations[0]?.clientId;
  t.deepEqual([idOf(undefined, 1), idOf(before, 2)], ['ci-1', 'ci-1_2']);
});

test('an id of any length: what is remembered of it is short, and two of them stay two', (t) => {
  const long = 'x'.repeat(200_000);
  const annotated = (rotate: string, revoke: string) =>
    pool({}, { annotations: { 'ci-identity.dev/rotate': rotate, 'ci-identity.dev/revoke': revoke } });
  const marksFor = (asked: ReturnType<typeof pool>) =>
    desiredOf(asked, targetOf(asked, undefined)!, installation).asked?.flatMap(({ id }) => marksOf(id)) ?? [];
  t.true(marksFor(annotated(`${long}1`, `${long}2`)).every((mark) => mark.length < 300));
  t.is(new Set(marksFor(annotated(`${long}1`, `${long}2`))).size, 6);
  t.is(marksFor(annotated(long, long)).length, 3, 'the same for both is an emergency');
  const asWritten = 'INC-'.padEnd(200, '1');
  t.true(marksFor(annotated(asWritten, '')).includes(`Rotate ${asWritten}`));
});
