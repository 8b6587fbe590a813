/** The auditor of the random walk sees a line that is missing: each row is a story with one hole. */
import test from 'ava';
import type { AuditLine, Facts } from '#test/support/auditor-facts.ts';
import { lineFindings, taleFindings } from '#test/support/auditor-lines.ts';

const nothing: Facts = {
  pools: [],
  identities: [],
  policies: [],
  namespaces: [],
  configMaps: [],
  pods: [],
  epoch: 3,
  clients: new Map(),
  sessions: new Map(),
  deliveries: new Map(),
  there: [],
  live: [],
  lines: [],
  open: '',
};

const line = (event: string, more: Partial<AuditLine> = {}): AuditLine => ({
  process_id: 'p',
  seq: 0,
  previous: '',
  outcome: 'Success',
  reason: 'x',
  session_id: 's',
  event,
  ...more,
});
const of = (hash: string) => (event: string, reason: string, scopes?: readonly string[]) =>
  line(event, { token_sha256: hash, reason, ...(scopes === undefined ? {} : { scopes, audiences: ['registry'] }) });
const [one, two] = [of('one'), of('two')];

function said(
  lines: readonly AuditLine[],
  more: Partial<Facts> = {},
  revoked: readonly string[] = [],
): readonly string[] {
  const broken: string[] = [];
  const facts = { ...nothing, ...more, lines };
  lineFindings(
    facts,
    revoked.map((sha256) => ({ sha256 })),
    broken,
  );
  taleFindings(facts, broken);
  return broken;
}

const minted = [one('Minted', 'NewPod', ['a', 'b']), one('Delivered', 'Undelivered')];
const narrowed = [
  ...minted,
  two('Narrowed', 'Narrowed', ['a']),
  one('Forbidden', 'Narrowed'),
  two('Delivered', 'Undelivered'),
  one('Revoked', 'Narrowed'),
];
const renewed = [...minted, two('Renewed', 'RenewalDue', ['a', 'b']), two('Delivered', 'Undelivered')];
const without = (lines: readonly AuditLine[], event: string): readonly AuditLine[] =>
  lines.filter((each) => each.event !== event);

for (const [title, lines, finding] of [
  ['narrowed, told whole', narrowed, undefined],
  ['narrowed, without its line Forbidden', without(narrowed, 'Forbidden'), /no line Forbidden says so/],
  [
    'narrowed, and neither revoked nor forbidden',
    without(without(narrowed, 'Forbidden'), 'Revoked'),
    /replaced by a narrower one/,
  ],
  ['renewed, told whole', [...renewed, one('Revoked', 'Superseded')], undefined],
  [
    'revoked as superseded before its successor was delivered',
    [...minted, one('Revoked', 'Superseded')],
    /nothing was delivered in its place/,
  ],
  [
    'renewed with less, and nobody says that it is narrower',
    [...minted, two('Renewed', 'RenewalDue', ['a']), two('Delivered', 'Undelivered')],
    /was Renewed in place of one with b as well/,
  ],
  [
    'a narrower one that was discarded',
    [...minted, two('Narrowed', 'Narrowed', ['a']), two('Discarded', 'Failed')],
    undefined,
  ],
  ['killed right after it was narrowed', [...minted, two('Narrowed', 'Narrowed', ['a'])], undefined],
  [
    'forbidden, and then a first one with less',
    [...minted, one('Forbidden', 'Narrowed'), one('Revoked', 'Narrowed'), two('Minted', 'NewPod', ['a'])],
    undefined,
  ],
] as const)
  test(`tokens: ${title}`, (t) => {
    const found = said(lines);
    if (finding === undefined) t.deepEqual(found, []);
    else t.regex(found.join('; '), finding);
  });

test('a revoked token without a line, and one with other scopes than its line says', (t) => {
  t.regex(said(minted, {}, ['one']).join(), /was revoked, and no audit line says so/);
  const live = { value: 'v', sha256: 'one', clientId: 'c', scopes: ['a'], exp: 0 };
  t.regex(said(minted, { live: [live] }).join(), /has the scopes a, and its line says a b/);
});

const pool = {
  metadata: { name: 'bots', uid: 'u', annotations: { 'ci-identity.dev/emergency-stop': 'x' } },
  spec: { suspend: true },
};
const started = line('Started', { message: 'epoch 3' });
const halted = (event: string, message: string): AuditLine => line(event, { pool: 'bots', message });

for (const [title, lines, finding] of [
  ['both told', [started, halted('Halted', 'suspend'), halted('Halted', 'annotation')], undefined],
  ['one of two told', [started, halted('Halted', 'suspend')], /2 things stop bots/],
  [
    'one told and taken back',
    [started, halted('Halted', 'suspend'), halted('Halted', 'annotation'), halted('Resumed', 'suspend')],
    /leave 1/,
  ],
  ['told by one who leads no longer', [{ ...started, message: 'epoch 2' }], undefined],
] as const)
  test(`stops: ${title}`, (t) => {
    const found = said(lines, { pools: [pool] });
    if (finding === undefined) t.deepEqual(found, []);
    else t.regex(found.join('; '), finding);
  });

test('stops: what is gone was resumed', (t) => {
  t.regex(said([started, halted('Halted', 'suspend')]).join(), /bots\/\/ is gone, and no line Resumed says so/);
});
