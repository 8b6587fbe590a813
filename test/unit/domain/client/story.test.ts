import test from 'ava';
import { hour, plus } from '#src/clock.ts';
import type { ProofOutcome } from '#src/domain/client/proofs.ts';
import type { ClientRecord, Generation } from '#src/domain/client/record.ts';
import { type ClientEnd, foundOut, restored, tell } from '#src/domain/client/story.ts';
import type { Telling } from '#src/domain/client/telling.ts';
import { buildClientRecord, buildGeneration, noon } from '#test/support/builders.ts';

const g = buildGeneration;
const of = (generations: readonly Generation[], more: Partial<ClientRecord> = {}): ClientRecord =>
  buildClientRecord({ generations, ...more });
const one = g({ n: 1 });
const other = { is: 'Present', at: noon, drift: [], tag: 'other/owner' } as const;

/** How the event of each step is called where a row says nothing else, and whether it is good news. */
const usual: Readonly<Record<Telling['step'], Pick<Telling, 'reason' | 'good'>>> = {
  Planned: { reason: 'Planned', good: true },
  Activated: { reason: 'CredentialCurrent', good: true },
  Drained: { reason: 'Draining', good: true },
  Retired: { reason: 'Retired', good: true },
  RolledBack: { reason: 'CredentialUnverified', good: false },
  Completed: { reason: 'RequestDone', good: true },
  Restored: { reason: 'RecordRestored', good: false },
  Acknowledged: { reason: 'OrphanAcknowledged', good: true },
  Deregistered: { reason: 'OrphanPossible', good: false },
  Updated: { reason: 'CredentialCurrent', good: true },
};

/** What was stored, what is stored now, and what people hear of it. */
const rows: readonly (readonly [
  what: string,
  before: ClientRecord | undefined,
  after: ClientRecord | undefined,
  ...told: [step: Telling['step'], says: RegExp, reason?: Telling['reason']] | [step?: undefined],
])[] = [
  [
    'the first key',
    undefined,
    of([g({ state: 'Planned' })]),
    'Planned',
    /^credential generation 1 was made and stored; the provider is told next\.$/,
  ],
  [
    "an administrator's new key",
    of([g({ source: 'a' })]),
    of([g({ source: 'a' }), g({ n: 2, state: 'Planned', source: 'b' })]),
    'Planned',
    /^the administrator's Secret was taken over as credential generation 2; it is proven next; generation 1 mints/,
  ],
  [
    "an administrator's old key is not needed any more",
    of([g({ state: 'Draining', retireAfter: noon, source: 'a' }), g({ n: 2, source: 'b' })]),
    of([g({ state: 'Retiring', source: 'a' }), g({ n: 2, source: 'b' })]),
    'Drained',
    /its administrator may take it out at the provider\.$/,
  ],
  [
    "an administrator's old key is forgotten",
    of([g({ state: 'Retiring', source: 'a' }), g({ n: 2, source: 'b' })]),
    of([g({ n: 2, source: 'b' })]),
    'Retired',
    /^credential generation 1 is used no longer/,
  ],
  [
    "an old client that became somebody else's",
    of([g({ state: 'Retiring', clientId: 'old', foreign: true }), g({ n: 2 })]),
    of([g({ n: 2 })]),
    'Retired',
    /^credential generation 1 is used no longer; its client old is somebody else's by now \(software_id\)/,
  ],
  [
    "an old client that a look just showed to be somebody else's",
    of([g({ state: 'Retiring', clientId: 'old' }), g({ n: 2 })], { observed: other }),
    of([g({ n: 2 })], { observed: other }),
    'Retired',
    /^credential generation 1 is used no longer; its client old is somebody else's by now \(software_id\)/,
  ],
  [
    "the tokens of a client are gone that is somebody else's by now",
    of([g({ state: 'Draining', retireAfter: noon }), g({ n: 2 })], { observed: other }),
    of([g({ state: 'Retiring' }), g({ n: 2 })], { observed: other }),
    'Drained',
    /generation 1 is left; its client is somebody else's by now \(software_id\), so it is left as it is\.$/,
  ],
  [
    'a second key',
    of([one]),
    of([one, g({ n: 2, state: 'Planned' })]),
    'Planned',
    /generation 1 mints until it is proven/,
  ],
  [
    'the call is noted',
    of([g({ state: 'Planned' })]),
    of([g({ state: 'Planned' })], { intent: { call: 'Register', generation: 1, at: noon } }),
    undefined,
  ],
  ['the provider knows it', of([g({ state: 'Planned' })]), of([g({ state: 'Created' })]), undefined],
  [
    'the new one mints',
    of([one, g({ n: 2, state: 'Created' })]),
    of([g({ n: 1, state: 'Draining', retireAfter: plus(noon, hour) }), g({ n: 2 })]),
    'Activated',
    /^credential generation 2 was proven .* mints from now on; generation 1 stays until 2026-11-24T13:00:00Z at least and until its last token has ended\.$/,
  ],
  [
    'in place: the gap',
    of([one, g({ n: 2, state: 'Created' })], { variant: 'InPlace' }),
    of([g({ n: 1, state: 'Draining', retireAfter: noon }), g({ n: 2 })], { variant: 'InPlace', gap: 1_250 }),
    'Activated',
    /For 1\.3 s nothing could be minted\.$/,
  ],
  [
    'in place: who mints until when',
    of([one]),
    of([one, g({ n: 2, state: 'Planned' })], { variant: 'InPlace' }),
    'Planned',
    /the provider is told next; generation 1 mints until the provider replaces its secret\.$/,
  ],
  [
    'in place: the new one is refused, and what became of the old one nobody knows',
    of([one, g({ n: 2, state: 'Created', refusedAt: noon })], { variant: 'InPlace' }),
    of([one, g({ n: 2, state: 'Retiring', refusedAt: noon })], { variant: 'InPlace' }),
    'RolledBack',
    /taken out again\. Its secret took the place of the one of generation 1; whether that still works is seen when it mints next\.$/,
    'CredentialRefused',
  ],
  [
    'no token is left',
    of([g({ n: 1, state: 'Draining', retireAfter: noon }), g({ n: 2 })]),
    of([g({ n: 1, state: 'Retiring' }), g({ n: 2 })]),
    'Drained',
    /^no token of credential generation 1 is left; it is taken out at the provider next\.$/,
  ],
  [
    'the old one is refused',
    of([g({ n: 1, state: 'Retiring' }), g({ n: 2 })]),
    of([g({ n: 2 })]),
    'Retired',
    /generation 1 is gone at the provider and is refused there/,
  ],
  [
    'the new one is refused',
    of([one, g({ n: 2, state: 'Created', refusedAt: noon })]),
    of([one, g({ n: 2, state: 'Retiring', refusedAt: noon })]),
    'RolledBack',
    /refused credential generation 2 when it was proven, so it is taken out again\. Generation 1 goes on minting\.$/,
    'CredentialRefused',
  ],
  [
    'the new one is given less',
    of([one, g({ n: 2, state: 'Created', refusedAt: noon, lacks: 'no scope a.' })]),
    of([one, g({ n: 2, state: 'Retiring', refusedAt: noon, lacks: 'no scope a.' })]),
    'RolledBack',
    /^credential generation 2 was not given what the one before it is given \(no scope a\), so it is taken out again\. Generation 1/,
  ],
  [
    'nothing proves the new one',
    of([one, g({ n: 2, state: 'Created' })]),
    of([one, g({ n: 2, state: 'Retiring' })]),
    'RolledBack',
    /^credential generation 2 was given up before anything proved it, so it is taken out again\./,
  ],
  [
    'the new one is given up',
    of([one, g({ n: 2, state: 'Planned' })]),
    of([one]),
    'RolledBack',
    /^credential generation 2 was given up before it came to work\. Generation 1 goes on minting\.$/,
  ],
  [
    'a record goes that counts lost registrations, one of which may still arrive',
    of([g({ state: 'Planned', unheard: true })], { possibleOrphans: 1, highest: 3 }),
    undefined,
    'Deregistered',
    /^the answers to 2 registrations were lost, so 2 clients that nobody uses may be left at the provider as client id ci-\S+: look there for software_id \S+\/\S+, and delete it\.$/,
  ],
  [
    'a record goes that counts one lost registration',
    of([g({ state: 'Retiring' })], { possibleOrphans: 1 }),
    undefined,
    'Deregistered',
    /^the answer to a registration was lost, so a client that nobody uses may be left at the provider: look there for software_id \S+\/\S+, and delete it\.$/,
  ],
  [
    'the provider said that it deleted the client, and has not',
    of([g({ state: 'Retiring', removedAt: noon })]),
    of([g({ state: 'Retiring', stillThere: 1 })]),
    'Deregistered',
    /^the provider said that it deleted client ci-1, and the client is still there\.$/,
    'ProviderMisbehaves',
  ],
  [
    'an old client that nothing of ours can delete',
    of([g({ state: 'Retiring' })]),
    of([g({ state: 'Retiring', stillThere: 1 })]),
    'Deregistered',
    /^client ci-1 mints no more and still works at the provider, where the operator cannot delete it\. Delete it there by hand\.$/,
    'RegistrationRefused',
  ],
  [
    'an old client whose registration access token is lost',
    of([g({ state: 'Retiring' })], { managementLost: true }),
    of([g({ state: 'Retiring', stillThere: 1 })], { managementLost: true }),
    'Deregistered',
    /^client ci-1 mints no more and still works at the provider, where the operator cannot delete it\./,
    'RegistrationAccessTokenLost',
  ],
  [
    'a person has dealt with what may be left',
    of([one], { possibleOrphans: 1 }),
    of([one], { possibleOrphans: 1, acknowledgedOrphans: 1 }),
    'Acknowledged',
    /^somebody acknowledged that the client which a registration without an answer may have left at the provider is dealt with; no more is said of it\.$/,
  ],
  [
    'a person has dealt with some more',
    of([one], { possibleOrphans: 3, acknowledgedOrphans: 1 }),
    of([one], { possibleOrphans: 3, acknowledgedOrphans: 3 }),
    'Acknowledged',
    /the 2 clients which registrations without an answer may have left at the provider are dealt with/,
  ],
  [
    'a record goes with what somebody has dealt with',
    of([g({ state: 'Retiring' })], { possibleOrphans: 1, acknowledgedOrphans: 1 }),
    undefined,
    undefined,
  ],
  ['a record goes and leaves nothing', of([g({ state: 'Retiring' })]), undefined, undefined],
  [
    'the new one is given up, and its registration may have taken effect',
    of([g({ state: 'Planned' })], { intent: { call: 'Register', generation: 1, at: noon } }),
    of([], { possibleOrphans: 1 }),
    'RolledBack',
    /came to work\. The answer to a registration was lost, so a client that nobody uses may be left/,
  ],
  [
    'an emergency is over',
    of([g({ n: 2 })], { emergency: 2, revokeBefore: noon, revoking: { id: 'INC-1', since: plus(noon, -4_200) } }),
    of([g({ n: 2 })], { revokeBefore: noon }),
    'Completed',
    /^request INC-1 was carried out in 4\.2 s: credential generation 2 replaced the one before, which is refused, and every token minted before 2026-11-24T12:00:00Z is revoked or has expired\.$/,
  ],
  [
    "an emergency of an administrator's client is over",
    of([g({ n: 2, source: 'b' })], { emergency: 2, revokeBefore: noon, revoking: { id: 'INC-1', since: noon } }),
    of([g({ n: 2, source: 'b' })], { revokeBefore: noon }),
    'Completed',
    /replaced the one before, which its administrator has to take out at the provider, where it works until then, and every token/,
  ],
  [
    'an emergency is over that left an old client to somebody else',
    of([g({ n: 2 })], { emergency: 2, revokeBefore: noon, revoking: { id: 'INC-1', since: noon, left: 'Foreign' } }),
    of([g({ n: 2 })], { revokeBefore: noon }),
    'Completed',
    /replaced the one before, whose client is somebody else's by now \(software_id\), so that it was left as it is and may still work there, and every token/,
  ],
  [
    "an emergency is over that replaced an administrator's client by one of ours",
    of([g({ n: 2 })], { emergency: 2, revokeBefore: noon, revoking: { id: 'INC-1', since: noon, left: 'External' } }),
    of([g({ n: 2 })], { revokeBefore: noon }),
    'Completed',
    /replaced the one before, which its administrator has to take out at the provider, where it works until then, and every/,
  ],
  [
    'a revocation is over',
    of([one], { revokeBefore: noon, revoking: { id: 'INC-1', since: noon } }),
    of([one], { revokeBefore: noon }),
    'Completed',
    /carried out in 0\.0 s: every token/,
  ],
  ['the record goes', of([g({ state: 'Retiring' })]), undefined, undefined],
];

for (const [what, before, after, step, says, reason] of rows)
  test(`told: ${what}`, (t) => {
    const [telling, ...others] = tell(before, after, noon);
    t.deepEqual(others, []);
    if (step === undefined) return t.is(telling, undefined);
    t.like(telling, { step, ...usual[step], ...(reason === undefined ? {} : { reason }) });
    const { message, generation } = telling!;
    t.regex(message, says);
    const [, named = before?.highest] = /credential generation (\d+)/.exec(message) ?? [];
    return t.is(generation, Number(named), 'the generation that it names; of none, the newest there was');
  });

/** The same of a client that is not wanted any longer. */
const ends: readonly (readonly [
  what: string,
  end: ClientEnd,
  before: Generation,
  after: Generation | undefined,
  step: Telling['step'],
  message: string,
])[] = [
  [
    'an old credential of a client that stays',
    'Retained',
    g({ n: 2, state: 'Retiring' }),
    undefined,
    'Retired',
    'credential generation 2 is used no longer; it stays at the provider, where it may still work, because deletionPolicy is Retain.',
  ],
  [
    'one that is removed and refused for its age',
    'Removed',
    g({ n: 2, state: 'Retiring', removedAt: noon }),
    undefined,
    'Retired',
    'credential generation 2 is gone at the provider and is refused there.',
  ],
  [
    'its tokens are gone',
    'Retained',
    g({ n: 2, state: 'Draining', retireAfter: noon }),
    g({ n: 2, state: 'Retiring' }),
    'Drained',
    'no token of credential generation 2 is left; it stays at the provider (deletionPolicy Retain).',
  ],
  [
    'what was not proven yet',
    'Removed',
    g({ n: 2, state: 'Created' }),
    g({ n: 2, state: 'Retiring' }),
    'RolledBack',
    'credential generation 2 was given up before anything proved it, and its client is not wanted any longer.',
  ],
  [
    'what the provider was not told yet',
    'Removed',
    g({ n: 2, state: 'Planned' }),
    undefined,
    'RolledBack',
    'credential generation 2 was given up before it came to work.',
  ],
];

for (const [what, end, before, after, step, message] of ends)
  test(`told of a client that goes (${end}): ${what}`, (t) => {
    const next = after === undefined ? [one] : [one, after];
    const telling = { step, ...usual[step], generation: 2, message };
    t.deepEqual(tell(of([one, before]), of(next), noon, end), [telling]);
  });

const open = of([one, g({ n: 2, state: 'Planned' })], { intent: { call: 'Update', generation: 2, at: noon } });
const removed = g({ state: 'Retiring', removedAt: noon });
const out = of([removed, g({ n: 2 })], { managementLost: true });
const deleted = of([removed]);
const refusal = { reason: 'TokenRequestRefused', message: 'no', lasting: true } as const;
const unknown = { is: 'CredentialRefused', message: 'no' } as const;

for (const [what, record, n, use, outcome, isWanted, call, says] of [
  ['a token came', open, 2, 'OpenIntent', { is: 'Accepted' }, true, 'Update', /^its answer was lost; .* took effect$/],
  ['the credential authenticates', open, 2, 'OpenIntent', { is: 'AskRefused', ...refusal }, true, 'Update'],
  ['a refusal that says nothing', open, 2, 'OpenIntent', { is: 'Unclear', ...refusal }, true, undefined],
  ['the credential is not known', open, 2, 'OpenIntent', unknown, true, undefined],
  [
    'what was to be taken out is out',
    out,
    1,
    'Retired',
    unknown,
    true,
    'Update',
    /^its answer was lost or refused; .* out$/,
  ],
  ['it still authenticates', out, 1, 'Retired', { is: 'Accepted' }, true, undefined],
  ['the client is gone, as was answered and told', deleted, 1, 'Retired', unknown, false, undefined],
  [
    'the client is gone, of which that had been answered too early',
    of([{ ...removed, stillThere: 1 }]),
    1,
    'Retired',
    unknown,
    false,
    'Deregister',
    /^the provider had said so before, and it was still there$/,
  ],
] as const satisfies readonly (readonly [
  string,
  ClientRecord,
  number,
  'OpenIntent' | 'Retired',
  ProofOutcome,
  boolean,
  unknown,
  RegExp?,
])[])
  test(`of a call whose answer was lost, ${what}: ${call === undefined ? 'nothing is told' : `${call} took effect`}`, (t) => {
    const found = foundOut(record, n, use, outcome, isWanted);
    t.is(found?.call, call);
    if (says !== undefined) t.regex(found?.message ?? '', says);
  });

test('somebody deleted the Secret of a record: a warning that names it, and the credential that mints', (t) => {
  const telling = restored(of([one, g({ n: 2, state: 'Planned' })], { highest: 2 }), 'client-1');
  t.like(telling, { step: 'Restored', ...usual.Restored, generation: 1 });
  t.regex(telling.message, /^somebody deleted or changed Secret client-1, .* written again as it was/);
});
