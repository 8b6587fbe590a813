/** What people read, from facts: pure renderings and small readers of the plugin. */
import { readFile } from 'node:fs/promises';
import test from 'ava';
import type { CiIdentity } from '#src/api/v1alpha1/ci-identity.ts';
import { hour, instant, plus } from '#src/clock.ts';
import { explainIdentity, reportsText } from '#src/commands/explain.ts';
import { diffText, refuseTwins, selectorNotes } from '#src/commands/diff.ts';
import { parseManifests } from '#src/commands/manifests.ts';
import type { Objects } from '#src/commands/objects.ts';
import { inputOf } from '#src/commands/objects.ts';
import { newPodFacts, predict, wholeBefore } from '#src/commands/predict.ts';
import { doneBefore, earlierText, requestsWith } from '#src/commands/request.ts';
import { sessionsOf, sessionsText } from '#src/commands/sessions.ts';
import { namespaceOf } from '#src/commands/simulate.ts';
import { type Simulation, isGood, simulationText } from '#src/commands/simulation.ts';
import { CommandError } from '#src/commands/surface.ts';
import { renderJson, renderTable } from '#src/commands/table.ts';
import { doneText, planText, plannedFor } from '#src/commands/uninstall.ts';
import { buildPod } from '#test/support/builders.ts';
import { identity, policy, pool, registry, rule, seen } from '../domain/access/objects.ts';

const now = instant(1_790_000_000_000);
const namespace = { metadata: { name: 'ci-payments', labels: { 'ci-identity.dev/inject': 'enabled' } } };
const livePool = {
  ...pool(),
  status: { observedGeneration: 1, clientId: 'c', clients: { total: 1, ready: 1 } },
} as ReturnType<typeof pool>;
const unlisted = {
  ...livePool,
  metadata: { ...livePool.metadata, generation: 1 },
  status: {
    ...livePool.status,
    conditions: [
      {
        type: 'Ready',
        status: 'False',
        reason: 'IssuerNotConfigured',
        message: '',
        lastTransitionTime: '2026-11-24T12:00:00Z',
        observedGeneration: 1,
      },
    ],
  },
} as ReturnType<typeof pool>;
const objects: Objects = {
  pools: seen([livePool]),
  policies: seen([policy('publishers', [rule()])]),
  namespaces: new Map([['ci-payments', seen(namespace)]]),
  withheld: [],
};
const blind: Objects = { ...objects, pools: { is: 'Unknown' }, policies: { is: 'Unknown' } };

test('explain: what an identity has, lacks and does not ask for', (t) => {
  const one = identity({ scopes: ['artifacts:publish', 'artifacts:read'], suspend: true });
  t.is(
    reportsText([explainIdentity(objects, one, {})]),
    `CiIdentity ci-payments/publisher: role publisher of IdentityPool ci-bots

HAS IT   SCOPE               AUDIENCE                       WHY
yes      artifacts:publish   https://registry.example.com   ScopePolicy publishers (spec.rules[0])
no       artifacts:read      https://registry.example.com   NoRule

- scope artifacts:read at https://registry.example.com is denied: no rule of any ScopePolicy gives it to role publisher of IdentityPool ci-bots in namespace ci-payments. Ask the owner of the policies to add it to a rule, or leave it out of spec.scopes.

It is stopped on purpose by CiIdentity ci-payments/publisher (spec.suspend): no new tokens, and live ones are revoked. Remove what stops it to go on.
`,
  );
});

test('explain: a stop of the whole namespace', (t) => {
  const annotations = { 'ci-identity.dev/emergency-stop': 'INC-1' };
  const stopped = seen({ metadata: { ...namespace.metadata, annotations } });
  const report = explainIdentity({ ...objects, namespaces: new Map([['ci-payments', stopped]]) }, identity(), {});
  t.regex(report.stopped ?? '', /^stopped on purpose by Namespace ci-payments .*INC-1/);
});

test('explain: without the right to read policies, the status; without a status, that', (t) => {
  const status = {
    observedGeneration: 1,
    grants: [{ audience: registry, scopes: [{ name: 'artifacts:publish', policy: 'publishers', rule: 0 }] }],
    denials: [{ scope: 'artifacts:read', audience: registry, reason: 'NoRule', message: 'no rule gives it.' }],
    wouldDeny: [{ scope: 'artifacts:copy', audience: registry, reason: 'NoRule', message: 'only by Audit.' }],
  };
  const one = { ...identity(), status } as CiIdentity;
  const outcomes = (inquiry: { scope?: string }, of = one): readonly string[] =>
    explainIdentity(blind, of, inquiry).answers.map(
      ({ outcome, scope = '-', reason }) => `${outcome} ${scope} ${reason}`,
    );
  t.deepEqual(outcomes({}), [
    'Granted artifacts:publish Authorized',
    'WouldDeny artifacts:copy NoRule',
    'Denied artifacts:read NoRule',
  ]);
  t.deepEqual(outcomes({ scope: 'artifacts:publish' }), ['Granted artifacts:publish Authorized']);
  t.deepEqual(outcomes({ scope: 'deploy:production' }), ['Denied deploy:production NoRule']);
  t.deepEqual(outcomes({ scope: 'x' }, identity()), ['Denied x NotSynced']);
  const edited = { ...one, metadata: { ...one.metadata, generation: 2 } };
  t.deepEqual(outcomes({ scope: 'artifacts:publish' }, edited), ['Denied artifacts:publish NotSynced']);
});

test('explain: a stop of everything, of which only the status tells', (t) => {
  const stoppedBy = ['ConfigMap ci-identity-system/emergency-stop: "INC-2"', 'IdentityPool ci-bots (spec.suspend)'];
  const report = explainIdentity(objects, { ...identity(), status: { stoppedBy } } as CiIdentity, {});
  t.regex(report.stopped ?? '', /^stopped on purpose by ConfigMap ci-identity-system\/emergency-stop: "INC-2": no new/);
});

test('explain: a namespace without the label, whatever is granted', (t) => {
  const bare = new Map([['ci-payments', seen({ metadata: { name: 'ci-payments' } })]]);
  const report = explainIdentity({ ...objects, namespaces: bare }, identity(), {});
  t.regex(
    reportsText([report]),
    /^yes [^]*\n\nAll the same namespace ci-payments lacks the label .*=enabled, so its pods start without an identity\. Apply /m,
  );
  const unseen = explainIdentity({ ...objects, namespaces: new Map() }, identity(), {});
  for (const known of [explainIdentity(objects, identity(), {}), unseen]) t.is(known.withoutLabel, undefined);
});

test('explain: admission policies that are not whole, of which the status tells', (t) => {
  const message =
    'no token is minted, because admission policies of the operator are missing or were edited: x. Restore.';
  const condition = { type: 'Issuing', status: 'False', reason: 'GuardMissing', message, lastTransitionTime: 'then' };
  const report = explainIdentity(objects, { ...identity(), status: { conditions: [condition] } } as CiIdentity, {});
  t.is(report.unguarded, message);
  t.true(reportsText([report]).endsWith(`\n\nAll the same ${message}\n`));
});

test('what moves a terminal gets there neither in tables nor in JSON', (t) => {
  const name = 'a\u001b[2J\u009b2J\u202e\u{e0001}\u2028b';
  t.is(renderTable(['NAME'], [[name]]), 'NAME\na?[2J?2J???b\n');
  const text = renderJson({ name });
  t.regex(text, /^[\n\x20-\x7e]+$/);
  t.deepEqual(JSON.parse(text), { name });
});

const futures: readonly {
  readonly name: string;
  readonly given?: Partial<Objects>;
  readonly identity?: CiIdentity;
  readonly mayUse?: boolean;
  /** How long ago the pod was created; default: now. */
  readonly age?: number;
  readonly does: string;
  readonly says?: RegExp;
}[] = [
  { name: 'all is well', does: 'Token first NewPod' },
  { name: 'no rule', given: { policies: seen([]) }, does: 'Error stopped NoRule', says: /no rule of any ScopePolicy/ },
  { name: 'a stop', identity: identity({ suspend: true }), does: 'Error stopped Suspended', says: /spec\.suspend/ },
  {
    name: 'a creator without use',
    mayUse: false,
    does: 'Error untrusted CreatorMayNotUse',
    says: /jenkins does not hold the verb use on this CiIdentity by name \(what a user holds through a group is not seen\)$/,
  },
  {
    name: 'no client yet',
    given: { pools: seen([pool()]) },
    does: 'Wait waiting WaitingForClient',
    says: /not registered/,
  },
  {
    name: 'an issuer that is not configured any more, although a client is ready',
    given: { pools: seen([unlisted]) },
    does: 'Wait waiting IssuerNotConfigured',
    says: /issuer https:\/\/\S+ is not listed in the configuration of the operator/,
  },
  { name: 'a pod that has been running for hours', age: 3 * hour, does: 'Token first NewPod' },
  { name: 'objects that may not be read', given: blind, does: 'Nothing unknown NotSynced' },
  {
    name: 'a namespace that does not opt in',
    given: { namespaces: new Map([['ci-payments', seen({ metadata: { name: 'ci-payments' } })]]) },
    does: 'Nothing over NamespaceLeaving',
  },
];

for (const { name, given = {}, identity: one = identity(), mayUse = true, age = 0, does, says } of futures) {
  test(`the operator’s own table about a new pod: ${name}`, (t) => {
    const all = { ...objects, ...given };
    const pod = newPodFacts(
      { namespace: 'ci-payments', name: 'p', labels: {}, requester: 'jenkins', identities: [one] },
      plus(now, -age),
    );
    const scene = {
      identity: one,
      input: inputOf(all, one),
      namespace: all.namespaces.get('ci-payments') ?? { is: 'Unknown' as const },
      pod,
      mayUse: seen(mayUse),
      guard: wholeBefore(pod.created),
    };
    const next = predict(scene, now);
    t.is(`${next.does} ${next.row} ${next.reason}`, does);
    if (says !== undefined) t.regex(next.message ?? '', says);
  });
}

test('diff: the losers, the winners, and a sentence for each loss', (t) => {
  t.is(diffText([], 3), 'Nobody loses or gains anything (3 CiIdentities compared).\n');
  const by = { policy: 'p', rule: 1, generation: 2 };
  t.is(
    diffText(
      [
        {
          namespace: 'a',
          identity: 'x',
          pool: 'ci-bots',
          livePods: 2,
          lost: [{ scope: 's', audience: registry, reason: 'NoRule', message: 'scope s is denied.' }],
          gained: [],
        },
        {
          namespace: 'b',
          identity: 'y',
          pool: 'ci-bots',
          lost: [],
          gained: [{ scope: 't', audience: registry, by }],
          lifetime: { before: 900_000, after: 300_000 },
        },
      ],
      9,
    ),
    `           CIIDENTITY   LIVE PODS   SCOPE   AUDIENCE                       WHY
LOSES      a/x          2           s       https://registry.example.com   NoRule
GAINS      b/y          ?           t       https://registry.example.com   ScopePolicy p (spec.rules[1])
LIFETIME   b/y          ?           -       -                              15m → 5m

- CiIdentity a/x: scope s is denied.

1 of 9 CiIdentities lose something; 2 live pods would get a narrower token, or none.
`,
  );
});

test('sessions: a claim counts only for the CiIdentity as it exists now', (t) => {
  const pod = newPodFacts(
    { namespace: 'ci-payments', name: 'p', labels: {}, requester: 'j', identities: [identity()] },
    now,
  );
  const [one, ...more] = sessionsOf(
    [pod, { ...pod, name: 'old', claims: { publisher: 'another uid', gone: 'x' } }],
    [identity()],
    undefined,
  );
  t.deepEqual(more, []);
  t.like(one, { sessionId: 'not-created.publisher', pod: 'p', pool: 'ci-bots', requester: 'j' });
  t.is(sessionsText([], now), 'No running pod holds an identity.\n');
  const token = { sha256: 'x', scopes: ['a', 'b'], audiences: [], expiresAt: 'then' };
  const record = {
    namespace: 'ci-payments',
    identity: 'publisher',
    pool: 'ci-bots',
    requester: 'j',
    since: one?.since ?? '',
  };
  const records = new Map([
    ['not-created.publisher', { ...record, pod: 'p', podUid: 'not-created', tokens: [token] }],
    ['over.publisher', { ...record, pod: 'q', podUid: 'over', tokens: [{ ...token, end: 'Forbidden' }] }],
  ]);
  t.is(
    sessionsText(sessionsOf([pod], [identity()], records), instant(now + 90_000)),
    `NAMESPACE     POD   CIIDENTITY   POOL      PHASE     CREATED BY   SCOPES   EXPIRES                AGE
ci-payments   p     publisher    ci-bots   Pending   j            a b      then                   90s
ci-payments   q     publisher    ci-bots   Gone      j            a b      Forbidden until then   90s
`,
    'of a pod that is gone and whose token may still work the record is what an incident needs',
  );
});

for (const [state, more, phase] of [
  ['is being deleted', { phase: 'Running', deleting: true }, 'Terminating'],
  ['has ended well', { phase: 'Succeeded' }, 'Succeeded'],
  ['has ended badly', { phase: 'Failed' }, 'Failed'],
] as const) {
  test(`sessions: a pod that ${state} is no holder any more, and not gone while its record is left`, (t) => {
    const pod = buildPod({ uid: 'ended', claims: { publisher: identity().metadata.uid ?? '' }, ...more });
    t.deepEqual(sessionsOf([pod], [identity()], undefined), []);
    const record = { namespace: 'ci-payments', pod: pod.name, podUid: 'ended', identity: 'publisher', pool: 'ci-bots' };
    const records = new Map([['ended.publisher', { ...record, requester: 'j', since: 'then', tokens: [] }]]);
    t.deepEqual(
      sessionsOf([pod], [identity()], records).map((one) => one.phase),
      [phase],
    );
  });
}

test('requests: the newest of each kind with this id', (t) => {
  const request = (kind: string, id: string, outcome: string): object => ({ kind, id, outcome, at: 'now' });
  const one = {
    ...pool(),
    status: {
      requests: [
        request('Rotate', 'b', 'Done'),
        request('Revoke', 'a', 'InProgress'),
        request('Rotate', 'a', 'Failed'),
      ],
    },
  } as unknown as ReturnType<typeof pool>;
  t.deepEqual(
    requestsWith(one, 'a', ['Rotate', 'Revoke']).map(({ kind, outcome }) => `${kind} ${outcome}`),
    ['Rotate Failed', 'Revoke InProgress'],
  );
  t.deepEqual(requestsWith(pool(), 'a', ['Rotate']), []);
});

test('requests: what was done with this id is not done again, and that is said', (t) => {
  const request = (kind: string, id: string, outcome: string): object => ({ kind, id, outcome, doneAt: 'noon' });
  const requests = [request('Rotate', 'a', 'Done'), request('Revoke', 'a', 'Failed'), request('Revoke', 'b', 'Done')];
  const one = { ...pool(), status: { requests } } as unknown as ReturnType<typeof pool>;
  t.deepEqual(
    doneBefore(one, 'a', ['Rotate']).map((done) => earlierText('ci-bots', done)),
    [
      'IdentityPool ci-bots: Rotate a was carried out already at noon, so nothing is done again. Use another --id to ask again',
    ],
  );
  t.deepEqual(doneBefore(one, 'a', ['Rotate', 'Revoke']), [], 'an emergency rotates anew');
  t.deepEqual(doneBefore(one, 'c', ['Rotate', 'Revoke']), []);
});

const manifests: readonly (readonly [string, string, readonly string[] | RegExp])[] = [
  [
    'two documents',
    'apiVersion: v1\nkind: Pod\nmetadata: {name: a}\n---\napiVersion: v1\nkind: Pod\nmetadata: {generateName: b-}',
    ['Pod', 'Pod'],
  ],
  ['JSON', '{"apiVersion":"v1","kind":"Pod","metadata":{"name":"a"}}', ['Pod']],
  [
    'a List',
    '{"apiVersion":"v1","kind":"List","items":[{"apiVersion":"v1","kind":"Pod","metadata":{"name":"a"}}]}',
    ['Pod'],
  ],
  ['nothing', '---\n', []],
  ['no YAML', 'a: [hunter2', /^f:\d+: not YAML \(\w+\)$/],
  ['a text', 'hunter2', /^f: holds something that is no Kubernetes object/],
  ...(['kind', 'name', 'generateName', 'namespace'] as const).map((member) => {
    const { kind, ...metadata } = { kind: 'Pod', name: 'a', [member]: 'a\nThe API server admits it.' };
    const text = JSON.stringify({ apiVersion: 'v1', kind, metadata });
    return [`a line end in ${member}`, text, /^f: holds an object with a kind, name or namespace that no API/] as const;
  }),
  [
    'a name that is too long',
    JSON.stringify({ apiVersion: 'v1', kind: 'Pod', metadata: { name: 'a'.repeat(254) } }),
    /no API/,
  ],
  ['a line end in kind, no name', JSON.stringify({ apiVersion: 'v1', kind: 'Pod\n' }), /no API server takes$/],
  ['no name', 'apiVersion: v1\nkind: Pod', /^f: a Pod has no metadata\.name$/],
];

for (const [name, text, expected] of manifests) {
  test(`manifest: ${name}`, (t) => {
    if (expected instanceof RegExp) t.throws(() => parseManifests(text, 'f'), { message: expected });
    else
      t.deepEqual(
        parseManifests(text, 'f').map(({ kind }) => kind),
        expected,
      );
  });
}

test('simulate and diff quote what somebody else wrote in one line', (t) => {
  const text = 'x\n\u202eThe API server admits it (dry run).';
  const refused = { admitted: false, refusals: [`annotation ${text}`] };
  const verdicts = [{ is: 'Admitted' }, { is: 'NotAsked', message: 'm' }] as const;
  for (const server of verdicts) {
    t.regex(simulationText({ ...simulated, server, expected: refused }), /annotation x\?\?The API server admits/);
  }
  const denial = { scope: 'a', audience: registry, reason: 'NoRule', message: `role ${text}` } as const;
  const shift = { namespace: 'n', identity: 'i', pool: 'p', lost: [denial], gained: [] };
  t.regex(diffText([shift], 1), /- CiIdentity n\/i: role x\?\?The API server admits/);
});

for (const [name, first, second, expected] of [
  ['two pools', 'IdentityPool {name: a}', 'IdentityPool {name: b}', undefined],
  ['a pool and a policy', 'IdentityPool {name: a}', 'ScopePolicy {name: a}', undefined],
  ['identities of two namespaces', 'CiIdentity {name: a}', 'CiIdentity {name: a, namespace: other}', undefined],
  [
    'a pool twice',
    'IdentityPool {name: a}',
    'IdentityPool {name: a, namespace: x}',
    /^IdentityPool a is in the files twice/,
  ],
  ['a policy twice', 'ScopePolicy {name: a}', 'ScopePolicy {name: a}', /^ScopePolicy a is in the files twice/],
  [
    'an identity twice, once without its namespace',
    'CiIdentity {name: a}',
    'CiIdentity {name: a, namespace: ci-payments}',
    /^CiIdentity ci-payments\/a is in the files twice: leave one of them out$/,
  ],
] as const) {
  test(`diff: ${name}`, (t) => {
    const documents = [first, second].map((one) => {
      const [kind = '', ...metadata] = one.split(' ');
      return `apiVersion: ci-identity.dev/v1alpha1\nkind: ${kind}\nmetadata: ${metadata.join(' ')}\n`;
    });
    const look = (): void => refuseTwins(parseManifests(documents.join('---\n'), 'f'), 'ci-payments');
    if (expected === undefined) t.notThrows(look);
    else t.throws(look, { instanceOf: CommandError, message: expected });
  });
}

test('table: columns, and no control character of anybody’s', (t) => {
  t.is(
    renderTable(
      ['A', 'B'],
      [
        ['x\u001b[31m', 'y\nz'],
        ['long', ''],
      ],
    ),
    'A       B\nx?[31m   y?z\nlong\n'.replace('A    ', 'A     '),
  );
});

test('uninstall: what would go and what would stay, before anything is changed', (t) => {
  const one = { issuer: 'https://idp.example.com', clients: 2 };
  const plan = {
    pools: [
      { ...one, name: 'ci-bots', deletionPolicy: 'Delete' },
      { ...one, name: 'kept', deletionPolicy: 'Retain' },
      { ...one, name: 'by-hand', deletionPolicy: 'Delete', existing: true },
    ],
    policies: ['publishers'],
    identities: ['ci-payments/publisher'],
  } as const;
  const text = planText(plan);
  t.regex(text, /^ci-bots +https:\/\/idp\.example\.com +2 +are deleted at the provider$/m);
  t.regex(text, /^kept +https:\/\/idp\.example\.com +2 +stay at the provider \(deletionPolicy Retain\)$/m);
  t.regex(text, /^by-hand +https:\/\/idp\.example\.com +2 +stay at the provider \(client\.existing\)$/m);
  t.regex(text, /^3 IdentityPools, 1 ScopePolicy and 1 CiIdentity would be deleted/m);
  t.regex(text, /Nothing has been changed\. Add --yes/);
  t.notRegex(text, /could not be done/);
  t.regex(planText({ ...plan, blocked: 'it has no leader' }), /^It could not be done now: it has no leader\.$/m);
  t.regex(
    doneText(plan),
    /^Nothing that .* a provider, but for the clients of kept \(deletionPolicy Retain\), by-hand \(client\.existing\)\.$/m,
  );
});

test('uninstall: of a pool without a client that works nothing is said to be there', (t) => {
  const one = { issuer: 'https://idp.example.com', clients: 0 };
  const pools = [
    { ...one, name: 'new', deletionPolicy: 'Delete' },
    { ...one, name: 'kept', deletionPolicy: 'Retain' },
    { ...one, name: 'by-hand', deletionPolicy: 'Delete', existing: true },
  ] as const;
  const said = planText({ pools, policies: [], identities: [] });
  t.deepEqual(
    said.split('\n', 4).map((row) => row.split(/ {2,}/).at(-1)),
    [
      'WHICH',
      'no client works; what is registered all the same is deleted at the provider',
      'no client works; what is registered all the same stays at the provider (deletionPolicy Retain)',
      'stay at the provider (client.existing)',
    ],
  );
});

test('uninstall: clients that a pool has, not those that it needs; and whose they are', (t) => {
  const credentialRef = { name: 'by-hand', key: 'key.pem' };
  const one = pool({ client: { existing: { clientId: 'by-hand', credentialRef } } });
  t.like(plannedFor({ ...one, status: { clients: { total: 2, ready: 1 } } }), { clients: 1, existing: true });
  t.deepEqual(plannedFor({ ...pool(), status: { clients: { total: 1, ready: 0 } } }), {
    name: 'ci-bots',
    issuer: pool().spec.provider.issuer,
    clients: 0,
    deletionPolicy: 'Delete',
  });
});

test('uninstall: nothing is there any more', (t) => {
  t.is(
    planText({ pools: [], policies: [], identities: [] }),
    'There is no IdentityPool, ScopePolicy or CiIdentity. kubectl delete -k ci-identity && kubectl delete -k manifests/protection takes out the operator (-k ci-identity is the kustomization that you applied).\n',
  );
});

test('uninstall: the operator is taken out with the commands of README.md', async (t) => {
  const readme = await readFile('README.md', 'utf8');
  const commands = doneText({ pools: [], policies: [], identities: [] }).match(/kubectl delete -k \S+/g) ?? [];
  t.deepEqual(
    commands,
    readme
      .slice(readme.indexOf('kubectl ci-identity uninstall --yes'))
      .match(/kubectl delete -k \S+/g)
      ?.slice(0, commands.length),
  );
  t.is(commands.length, 2);
});

test('uninstall: clients of which nobody knows are told before and afterwards', (t) => {
  const one = { issuer: 'https://idp.example.com', clients: 1, deletionPolicy: 'Delete' };
  const pools = [
    { ...one, name: 'ci-bots' },
    { ...one, name: 'lost', possibleOrphans: 2 },
  ];
  for (const tell of [planText, doneText]) {
    const told = tell({ pools, policies: [], identities: [] }).match(/.*may have as many clients.*/g);
    t.deepEqual(told, [
      'IdentityPool lost: 2 registrations had no answer, so https://idp.example.com may have as many clients that the operator does not know: look there for the name ci-identity lost.',
    ]);
  }
});

const simulated: Simulation = {
  namespace: 'ci-payments',
  pod: 'agent',
  creator: 'system:serviceaccount:jenkins:jenkins',
  server: { is: 'Admitted' },
  expected: { admitted: true, refusals: [] },
  identities: [],
};
const token = {
  name: 'publisher',
  pool: 'ci-bots',
  next: { does: 'Token', row: 'first', reason: 'NewPod', scopes: ['a', 'b'], audiences: [registry] },
} as const;
const denied = {
  name: 'deployer',
  pool: 'ci-bots',
  next: { does: 'Error', row: 'stopped', reason: 'Suspended', message: 'it is stopped', fix: 'Lift the stop.' },
} as const;
const unsaid = {
  name: 'reader',
  pool: 'ci-bots',
  next: { does: 'Wait', row: 'guard', reason: 'GuardMissing' },
} as const;
const unseen = {
  name: 'publisher',
  pool: 'ci-bots',
  next: {
    does: 'Error',
    row: 'untrusted',
    reason: 'CreatorMayNotUse',
    message: 'it holds nothing by name.',
    fix: 'Bind it.',
  },
} as const;
const refusal = { is: 'Refused', message: 'no such thing' } as const;
const notAsked = { is: 'NotAsked', message: 'you may not ask' } as const;
const against = { admitted: false, refusals: ['The creator may not use it.', 'Nor may anybody.'] };

const simulations: readonly { readonly title: string; readonly change: Partial<Simulation>; readonly says: string }[] =
  [
    {
      title: 'admitted, and nothing is given',
      change: {},
      says: 'The API server admits it (dry run).\nNo CiIdentity is given to it.\n',
    },
    {
      title: 'admitted, and every kind of outcome',
      change: { identities: [token, denied, unsaid] },
      says: `The API server admits it (dry run).

CIIDENTITY   POOL      GETS         SCOPES   AUDIENCES
publisher    ci-bots   a token      a b      https://registry.example.com
deployer     ci-bots   error.json   -        -
reader       ci-bots   waits        -        -

- it is stopped. Lift the stop.
- CiIdentity reader: GuardMissing.
`,
    },
    {
      title: 'admitted against our own reading',
      change: { expected: against },
      says: `The API server admits it (dry run).
By our reading the pod should have been refused: are the admission policies whole? Run doctor. The creator may not use it. Nor may anybody.
No CiIdentity is given to it.
`,
    },
    {
      title: 'admitted by a right that the creator has through a group',
      change: { identities: [unseen] },
      says: `The API server admits it (dry run).
The creator may use it through a group, which the operator does not see: name who creates agent pods with --as.

CIIDENTITY   POOL      GETS         SCOPES   AUDIENCES
publisher    ci-bots   error.json   -        -

- it holds nothing by name. Bind it.
`,
    },
    {
      title: 'refused, as we read the policies',
      change: { server: refusal, expected: against, identities: [token] },
      says: 'The API server refuses it (dry run): no such thing\n',
    },
    {
      title: 'refused by somebody else',
      change: { server: refusal, identities: [token] },
      says: `The API server refuses it (dry run): no such thing
By our reading nothing of ours refuses it: another policy, plugin or right does.
`,
    },
    {
      title: 'not asked, admitted as we read the policies',
      change: { server: notAsked },
      says: 'you may not ask. By our reading of the policies it is admitted.\nNo CiIdentity is given to it.\n',
    },
    {
      title: 'not asked, refused as we read the policies',
      change: { server: notAsked, expected: against },
      says: `you may not ask. By our reading of the policies it is refused: The creator may not use it. Nor may anybody.
No CiIdentity is given to it.
`,
    },
  ];
for (const { title, change, says } of simulations) {
  test(`simulate: ${title}`, (t) => {
    const head = 'Pod ci-payments/agent, created by system:serviceaccount:jenkins:jenkins\n';
    t.is(simulationText({ ...simulated, ...change }), `${head}${says}`);
  });
}

test('simulate: a pod that starts without the identities that select it is not well', (t) => {
  const withoutLabel = 'namespace ci-payments lacks the label. Label it.';
  t.true(isGood(simulated));
  t.false(isGood({ ...simulated, withoutLabel }));
  t.regex(
    simulationText({ ...simulated, withoutLabel }),
    /^The API server admits it \(dry run\)\.\nNo CiIdentity is given to it: namespace ci-payments lacks the label\. Label it\.$/m,
  );
});

test('simulate: the namespace of the manifest and of the command line must not differ', (t) => {
  const pod = (namespace?: string): Parameters<typeof namespaceOf>[0] => ({
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name: 'p', ...(namespace === undefined ? {} : { namespace }) },
  });
  t.is(namespaceOf(pod(), undefined), undefined);
  t.is(namespaceOf(pod('a'), undefined), 'a');
  t.is(namespaceOf(pod(), 'b'), 'b');
  t.is(namespaceOf(pod('a'), 'a'), 'a');
  t.throws(() => namespaceOf(pod('a'), 'b'), { instanceOf: CommandError, message: /names namespace a, -n names b/ });
});

test('a selector that matches other pods takes nothing away, and is told', (t) => {
  const edit = identity({ agents: { podSelector: { matchLabels: { no: 'pod' } } } });
  t.regex(selectorNotes([identity()], [edit]).join(), /^CiIdentity \S+ is for other pods \(spec\.agents\)/);
  t.deepEqual(selectorNotes([edit], [edit]), []);
});
