import test from 'ava';
import { ClientChanges } from '#src/controllers/client/changes.ts';
import { ClientMachine } from '#src/controllers/client/machine.ts';
import type { Reason } from '#src/api/reasons.ts';
import type { EffectName } from '#src/controllers/effect-names.ts';
import type { ClientAction, ProofUse } from '#src/domain/client/machine.ts';
import type { ClientRecord, Intent } from '#src/domain/client/record.ts';
import { without } from '#src/domain/client/transitions.ts';
import { OperatorError } from '#src/errors.ts';
import { Redacted } from '#src/redacted.ts';
import { Effects } from '#src/runtime/effect.ts';
import { type AuditFacts, AuditLog } from '#src/telemetry/audit.ts';
import {
  buildAsk,
  buildClientRecord,
  buildClientSnapshot,
  buildGeneration,
  buildKey,
  noon,
  omit,
} from '#test/support/builders.ts';
import { VirtualClock } from '#test/support/virtual-clock.ts';

const present = { is: 'Present', at: noon, drift: [] } as const;
const answer = { clientId: 'ci-1', observed: present };

function answerOr(refusal: OperatorError | undefined): typeof answer {
  if (refusal !== undefined) throw refusal;
  return answer;
}

/** What happened in order: effects that were done, and audit lines. `refused`: the credential is, by the token endpoint. */
async function carryOut({
  record,
  action,
  refused,
  wanted,
  refusal,
  deleted = false,
  said = [],
}: Required<Omit<Row, 'title' | 'order' | 'refusal' | 'deleted'>> &
  Pick<Row, 'refusal' | 'deleted'> & { readonly said?: string[] }): Promise<readonly string[]> {
  const order: string[] = [];
  const clock = new VirtualClock();
  let stored: ClientRecord | undefined = record;
  const effects = new Effects<EffectName>({
    clock,
    held: () => true,
    crash: (name, moment) => void (moment === 'after' && order.push(name)),
  });
  const records = {
    get: () => ({ record: stored }),
    write: async (_key: string, next: ClientRecord) => (stored = next),
  };
  const provider = {
    capabilities: { ignoredScopes: [], carrierScopes: () => [], revocation: 'Immediate' },
    clients: {
      register: async () => answerOr(refusal),
      update: async () => answerOr(refusal),
      deregister: async () => void answerOr(refusal),
      observe: async () => ({ ...present, drift: ['scope'] }),
    },
    tokens: {
      mint: async () => {
        if (refused) throw new OperatorError({ class: 'Terminal', reason: 'CredentialRefused', message: 'no' });
        return { value: new Redacted('token'), sha256: 'a1', tokenType: 'Bearer', expiresIn: 60 };
      },
      revoke: async () => 'Confirmed',
    },
  };
  const pool = { metadata: { uid: deleted ? 'another' : 'pool-uid' }, spec: { provider: {}, ceiling: {} } };
  const memory = { pool: () => ({ is: 'Seen', value: pool }), isInUse: () => false };
  const issuer = { ready: async () => undefined, generateKey: async () => buildKey() };
  const providers = { issuer: () => issuer, providerAt: () => provider };
  const o = { memory, providers, records, effects, clock };
  const write = (line: string): void => {
    const { event, generation, client_id: clientId, message } = JSON.parse(line) as Readonly<Record<string, string>>;
    if (message !== undefined) said.push(message);
    order.push(`${event} ${generation}${clientId === undefined ? '' : ` of ${clientId}`}`);
  };
  const machine = new ClientMachine({
    sources: { memory, providers },
    changes: new ClientChanges(o as unknown as ConstructorParameters<typeof ClientChanges>[0]),
    proofTokens: { defer: () => false, revoked: () => undefined, settle: async () => undefined },
    effects,
    audit: new AuditLog({ write, clock }),
    refused: ({ event, outcome, reason, message, generation: n }: AuditFacts) =>
      order.push(`${event} ${n} ${outcome} ${reason}: ${message}`),
    clock,
    told: () => undefined,
  } as unknown as ConstructorParameters<typeof ClientMachine>[0]);
  const taken = { row: 'row', action, reason: 'InProgress' } as const;
  const snapshot = {
    ...omit(buildClientSnapshot(wanted ? {} : { wanted: { is: 'Gone' } }), 'record'),
    ...(record === undefined ? {} : { record }),
  };
  const carriedOut = machine.apply('client-1', snapshot, taken, new AbortController().signal);
  await carriedOut.catch((error: unknown) => {
    if (error !== refusal) throw error;
  });
  return order.filter((step) => !/metadata|revoke/.test(step));
}

const generation = buildGeneration({ state: 'Planned' });
const planned = omit(buildClientRecord({ generations: [generation] }), 'management', 'observed', 'updatedAt', 'sent');
const rotating = buildClientRecord({ generations: [buildGeneration(), buildGeneration({ n: 2, state: 'Planned' })] });
const retiring = buildClientRecord({
  generations: [buildGeneration({ state: 'Retiring' }), buildGeneration({ n: 2 })],
});
const leaving = buildClientRecord({ generations: [buildGeneration({ state: 'Retiring' })] });
/** The provider refused the management token when it should have taken generation 1 out. */
const takenOut = ({ generations: [first, ...others], ...record }: ClientRecord): ClientRecord => ({
  ...record,
  generations: [...(first === undefined ? [] : [{ ...first, removedAt: noon }]), ...others],
  managementLost: true,
});
const lost = (record: ClientRecord, call: Intent['call'], n: number): ClientRecord => ({
  ...record,
  intent: { call, generation: n, at: noon },
});
const prove = (n: number, settles: ProofUse = 'OpenIntent'): ClientAction => ({
  type: 'Prove',
  generation: n,
  hash: '',
  ask: buildAsk(),
  settles,
});

interface Row {
  readonly title: string;
  /** `undefined`: there is none yet. */
  readonly record: ClientRecord | undefined;
  readonly action: ClientAction;
  readonly refused?: boolean;
  readonly wanted?: boolean;
  /** The pool goes between the decision and the moment when the credential is made. */
  readonly deleted?: boolean;
  /** What the provider says to the call. */
  readonly refusal?: OperatorError;
  readonly order: readonly string[];
}

const change = (call: Intent['call'], line: string): readonly string[] => [
  `client.${call}.intent`,
  `client.${call}.call`,
  line,
  `client.${call}.answer`,
];

const register: ClientAction = { type: 'Register', generation: 1, plan: { variant: 'TwoKeys', handles: [] } };

const rows: readonly Row[] = [
  {
    title: 'Register, with the credential',
    record: undefined,
    action: register,
    order: ['Planned 1 of ci-1', ...change('Register', 'Registered 1 of ci-1')],
  },
  {
    title: 'Register for a pool that is gone meanwhile: nothing is stored, so nothing is left',
    record: undefined,
    action: register,
    deleted: true,
    order: [],
  },
  {
    title: 'Register',
    record: planned,
    action: { type: 'Register', generation: 1 },
    order: change('Register', 'Registered 1 of ci-1'),
  },
  {
    title: 'Update',
    record: rotating,
    action: { type: 'Update', generation: 2 },
    order: change('Update', 'Updated 2 of ci-1'),
  },
  {
    title: 'Deregister',
    record: leaving,
    action: { type: 'Deregister', generation: 1 },
    order: change('Deregister', 'Deregistered 1 of ci-1'),
  },
  {
    title: 'Deregister, of which the provider said before that it was done: a proof has to show it',
    record: buildClientRecord({ generations: [buildGeneration({ state: 'Retiring', stillThere: 1 })] }),
    action: { type: 'Deregister', generation: 1 },
    order: ['client.Deregister.intent', 'client.Deregister.call', 'client.Deregister.answer'],
  },
  {
    title: 'the proof that the provider had only said so',
    record: buildClientRecord({ generations: [buildGeneration({ state: 'Retiring', removedAt: noon })] }),
    action: prove(1, 'Retired'),
    wanted: false,
    order: ['client.Prove.call', 'Proved 1 of ci-1', 'Deregistered 1 of ci-1', 'client.Prove.record'],
  },
  {
    title: 'the proof that it did so in the end',
    record: buildClientRecord({
      generations: [buildGeneration({ state: 'Retiring', removedAt: noon, stillThere: 1 })],
    }),
    action: prove(1, 'Retired'),
    wanted: false,
    refused: true,
    order: ['Proved 1', 'Deregistered 1 of ci-1', 'Retired 1', 'client.Prove.record'],
  },
  {
    title: 'Observe that finds drift',
    record: buildClientRecord(),
    action: { type: 'Observe' },
    order: ['client.Observe.call', 'Drifted 1 of ci-1', 'client.Observe.record'],
  },
  {
    title: 'Observe of an old client, which shows whose it is and nothing of the one that mints',
    record: buildClientRecord({
      variant: 'NewClient',
      generations: [buildGeneration({ state: 'Retiring', clientId: 'old' }), buildGeneration({ n: 2 })],
    }),
    action: { type: 'Observe', generation: 1 },
    order: ['client.Observe.call', 'client.Observe.record'],
  },
  {
    title: 'a proof that a registration whose answer was lost took effect',
    record: lost(planned, 'Register', 1),
    action: prove(1),
    order: ['client.Prove.call', 'Proved 1 of ci-1', 'Registered 1 of ci-1', 'client.Prove.record'],
  },
  {
    title: 'a proof that an update whose answer was lost took effect',
    record: lost(rotating, 'Update', 2),
    action: prove(2),
    order: ['client.Prove.call', 'Proved 2 of ci-1', 'Updated 2 of ci-1', 'client.Prove.record'],
  },
  {
    title: 'a proof that an update took effect whose answer was lost with the management token',
    record: { ...rotating, managementLost: true },
    action: prove(2),
    order: ['client.Prove.call', 'Proved 2 of ci-1', 'Updated 2 of ci-1', 'client.Prove.record'],
  },
  {
    title: 'a proof that a credential is out whose removal nobody heard of',
    record: takenOut(retiring),
    action: prove(1, 'Retired'),
    refused: true,
    order: ['Proved 1', 'Updated 1 of ci-1', 'Retired 1', 'client.Prove.record'],
  },
  {
    title: 'a proof that a client is gone whose deletion nobody heard of',
    record: takenOut(leaving),
    action: prove(1, 'Retired'),
    wanted: false,
    refused: true,
    order: ['Proved 1', 'Deregistered 1 of ci-1', 'Retired 1', 'client.Prove.record'],
  },
  {
    title: 'a proof that a client is gone which somebody else deleted',
    record: { ...leaving, managementLost: true },
    action: prove(1, 'Retired'),
    wanted: false,
    refused: true,
    order: ['Proved 1', 'Retired 1', 'client.Prove.record'],
  },
  {
    title: 'a proof that a credential is out, as the provider had answered',
    record: retiring,
    action: prove(1, 'Retired'),
    refused: true,
    order: ['Proved 1', 'Retired 1', 'client.Prove.record'],
  },
  {
    title: 'a proof that an update had no effect',
    record: lost(rotating, 'Update', 2),
    action: prove(2),
    refused: true,
    order: ['Proved 2 of ci-1', 'client.Prove.record'],
  },
];

for (const { title, record, action, refused = false, wanted = true, deleted = false, order } of rows)
  test(`audit lines come before the record: ${title}`, async (t) => {
    t.deepEqual(await carryOut({ record, action, refused, wanted, deleted }), order);
  });

const refusedAs = (reason: Reason): OperatorError =>
  new OperatorError({ class: 'Terminal', reason, message: 'no', whose: 'Issuer' });

for (const [call, record, generationOf, reason, line] of [
  ['Register', planned, 1, 'RegistrationCredentialRefused', 'Registered 1 Failure RegistrationCredentialRefused: no'],
  ['Update', rotating, 2, 'RegistrationAccessTokenLost', 'Updated 2 Failure RegistrationAccessTokenLost: no'],
  ['Deregister', leaving, 1, 'RegistrationRefused', 'Deregistered 1 Failure RegistrationRefused: no'],
  ['Register', planned, 1, 'RateLimited', undefined],
] as const)
  test(`${call} is refused, ${reason}: ${line === undefined ? 'no line' : 'a line'}`, async (t) => {
    const action: ClientAction = { type: call, generation: generationOf };
    const order = await carryOut({ record, action, refused: false, wanted: true, refusal: refusedAs(reason) });
    t.deepEqual(
      order.filter((step) => !step.startsWith('client.')),
      line === undefined ? [] : [line],
    );
  });

test('a registration is refused whose credential was made for it: two lines', async (t) => {
  const refusal = refusedAs('RegistrationRefused');
  const order = await carryOut({ record: undefined, action: register, refused: false, wanted: true, refusal });
  t.deepEqual(order, [
    'Planned 1 of ci-1',
    'client.Register.intent',
    'client.Register.refusal',
    'Registered 1 Failure RegistrationRefused: no',
  ]);
});

for (const [retain, says] of [
  [true, /^credential generation 1 is used no longer; it stays at the provider/],
  [false, /^credential generation 1 is gone at the provider/],
] as const)
  test(`an old credential is dropped of a client that goes, ${retain ? 'Retain' : 'Delete'}: ${says.source}`, async (t) => {
    const record = { ...retiring, retain };
    const said: string[] = [];
    const action: ClientAction = { type: 'Record', next: without(record, 1) };
    await carryOut({ record, action, refused: false, wanted: false, said });
    t.is(said.length, 1);
    t.regex(said[0] ?? '', says);
  });
