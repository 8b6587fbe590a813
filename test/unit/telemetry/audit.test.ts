import { readFileSync } from 'node:fs';
import { Ajv2020 } from 'ajv/dist/2020.js';
import test from 'ava';
import fc from 'fast-check';
import { reasons } from '#src/api/reasons.ts';
import { sha256 } from '#src/digest.ts';
import { Redacted } from '#src/redacted.ts';
import { type AuditFacts, AuditLog, auditEvents } from '#src/telemetry/audit.ts';
import { verifyChain } from '#src/telemetry/audit-chain.ts';
import { VirtualClock } from '#test/support/virtual-clock.ts';
import { everyEvent, sessionFacts, tokenFacts, widest, written } from './audit-lines.ts';

interface Schema {
  readonly properties: Readonly<
    Record<string, { readonly oneOf?: readonly { readonly const: string; readonly description: string }[] }>
  >;
}

const schema = JSON.parse(readFileSync('src/telemetry/audit-schema.json', 'utf8')) as Schema;
/** Readers ignore unknown members; we write none. */
const validate = new Ajv2020({ allErrors: true, strictRequired: false }).compile({
  ...schema,
  additionalProperties: false,
});
const parsed = (line: string | undefined): Record<string, unknown> => JSON.parse(line ?? '') as Record<string, unknown>;

test('the schema documents every event, and each event is tried here', (t) => {
  const documented = schema.properties['event']?.oneOf ?? [];
  t.deepEqual(
    documented.map((event) => event.const),
    [...auditEvents],
  );
  t.deepEqual([...new Set(everyEvent.map(({ event }) => event))].toSorted(), [...auditEvents].toSorted());
  for (const { event, reason } of everyEvent) t.true(reason in reasons, `${event} ${reason}`);
});

test('the schema documents every member that is ever written, and no other', (t) => {
  const members = new Set(written('p', everyEvent).flatMap((line) => Object.keys(parsed(line))));
  t.deepEqual([...members].toSorted(), Object.keys(schema.properties).toSorted());
});

for (const facts of everyEvent) {
  test(`${facts.event} ${facts.outcome} ${facts.reason} fits the schema`, (t) => {
    t.true(validate(parsed(written('p', [facts])[0])), JSON.stringify(validate.errors));
  });
}

const minted = {
  event: 'Minted',
  outcome: 'Success',
  reason: 'NewPod',
  ...tokenFacts,
  expires_at: '2026-11-24T12:15:00Z',
  token_sha256: 'a'.repeat(64),
};
const misfits: readonly (readonly [string, object])[] = [
  ['a token instead of its digest', { ...minted, token_sha256: 'eyJhbGciOi' }],
  ['a time in milliseconds', { ...minted, expires_at: '2026-11-24T12:15:00.000Z' }],
  ['an event of tomorrow', { ...minted, event: 'Rewarded' }],
  ['an outcome that is still open', { ...minted, outcome: 'Pending' }],
  ['a request that is decided', { ...minted, event: 'Requested' }],
  ['a token without its scopes', { ...minted, scopes: undefined }],
  ['a token without its session', { ...minted, session_id: undefined }],
  ['a revocation of no token', { event: 'Revoked', outcome: 'Success', reason: 'PodOver', ...sessionFacts }],
  [
    'a revocation that does not say how long the token would live',
    { ...minted, event: 'Revoked', expires_at: undefined },
  ],
  ['a reason that is a sentence', { ...minted, reason: 'because of this' }],
  ['a member that nobody documented', { ...minted, token: 'x' }],
];

for (const [name, facts] of misfits) {
  test(`the schema refuses ${name}`, (t) => t.false(validate(parsed(written('p', [facts as AuditFacts])[0]))));
}

test('each line carries its number, its time and the hash of the line before', (t) => {
  const [first, second] = written('p', everyEvent);
  t.like(parsed(first), {
    version: 1,
    process_id: 'p',
    seq: 0,
    previous: '0'.repeat(64),
    time: '2026-11-24T12:00:01Z',
  });
  t.like(parsed(second), {
    version: 1,
    process_id: 'p',
    seq: 1,
    previous: sha256(first ?? ''),
    time: '2026-11-24T12:00:02Z',
  });
});

test('each process has an id of its own', (t) => {
  const lines: string[] = [];
  const options = { write: (line: string) => void lines.push(line), clock: new VirtualClock() };
  for (const log of [new AuditLog(options), new AuditLog(options)])
    log.record({ event: 'Started', outcome: 'Success', reason: 'Ready' });
  t.is(new Set(lines.map((line) => parsed(line)['process_id'])).size, 2);
});

test('text of others stays one line, cannot forge a member, and is cut', (t) => {
  const requester = `a\n{"version":1}\r\u2028\u202e\u0000","outcome":"Success`;
  const [line] = written('p', [
    { event: 'Denied', outcome: 'Failure', reason: 'NoRule', requester, message: 'x'.repeat(5_000), ...sessionFacts },
  ]);
  t.notRegex(line ?? '', /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/u);
  t.like(parsed(line), { outcome: 'Failure', requester: 'a?{"version":1}????","outcome":"Success' });
  t.is((parsed(line)['message'] as string).length, 2_048);
  t.true(validate(parsed(line)), JSON.stringify(validate.errors));
});

test('the widest line is one that a container runtime does not split, and says what is not in it', (t) => {
  const [line = ''] = written('p', [widest]);
  t.true(Buffer.byteLength(line) < 16_000, `${Buffer.byteLength(line)} bytes`);
  const read = parsed(line) as Record<'scopes' | 'audiences' | 'by' | 'denials' | 'policies', unknown[]> & {
    left_out: object;
  };
  t.deepEqual(read.left_out, {
    scopes: 64 - read.scopes.length,
    audiences: 64 - read.audiences.length,
    by: 64 - read.by.length,
    denials: 64 - read.denials.length,
    policies: 64 - read.policies.length,
  });
  t.deepEqual(read.scopes, widest.scopes.slice(0, 11));
  t.deepEqual(read.denials, widest.denials.slice(0, 4));
});

test('what a list may take of a line is counted in bytes, also where letters take two', (t) => {
  const line = (more: string): Record<string, unknown> => {
    const scope = `${'é'.repeat(748)}${more}`;
    return parsed(written('p', [{ ...minted, scopes: [scope, scope] } as AuditFacts])[0]);
  };
  t.false('left_out' in line('a'));
  t.deepEqual(line('aa')['left_out'], { scopes: 1 });
});

test('a usual line is whole', (t) => {
  const scopes = Array.from({ length: 64 }, (_, n) => `artifacts:publish-${n}`);
  const [line] = written('p', [{ ...minted, scopes } as AuditFacts]);
  t.deepEqual(parsed(line)['scopes'], scopes);
  t.false('left_out' in parsed(line));
});

test('any text makes a line that fits the schema and a whole chain', (t) => {
  const text = fc.string({ unit: 'binary', maxLength: 40 });
  fc.assert(
    fc.property(fc.array(text, { minLength: 1, maxLength: 4 }), (texts) => {
      const lines = written(
        'p',
        texts.map((message) => ({
          event: 'Denied',
          outcome: 'Failure',
          reason: 'NoRule',
          ...sessionFacts,
          message,
          scopes: [message],
        })),
      );
      t.is(verifyChain(lines).is, 'Whole');
      for (const line of lines) t.true(validate(parsed(line)), JSON.stringify(validate.errors));
    }),
  );
});

test('a secret that slips into a fact is printed as a placeholder', (t) => {
  const message = new Redacted('hunter2') as unknown as string;
  t.false(
    written('p', [{ event: 'Failed', outcome: 'Failure', reason: 'InternalError', message }])
      .join()
      .includes('hunter2'),
  );
});
