import test from 'ava';
import { LostLeaseError, OperatorError } from '#src/errors.ts';
import type { ApiConnection } from '#src/kube/connection.ts';
import { Deliveries, type Delivery, type LastDelivery } from '#src/kube/deliveries.ts';
import { RecordMemory } from '#src/kube/record-memory.ts';
import { type RecordCodec, RecordStore, type StoredRecord, isDamaged } from '#src/kube/records.ts';
import { create, get, kinds, remove, replace } from '#src/kube/resources.ts';
import { records } from '#src/kube/watches.ts';
import type { Source } from '#src/runtime/source.ts';
import { Store } from '#src/runtime/store.ts';
import { agentPod } from '#test/support/jenkins-pod.ts';
import { eventually } from '#test/support/eventually.ts';
import { type AdmissionLab, namespace, startAdmissionLab } from './admission-lab.ts';

interface Note {
  readonly formatVersion: number;
  readonly epoch: number;
  readonly text: string;
}

const codec: RecordCodec<Note> = {
  encode: (record) => JSON.stringify(record),
  decode(text) {
    const record = JSON.parse(text) as Note;
    return record.formatVersion === 1 ? { is: 'Record', record } : { is: 'Newer', formatVersion: record.formatVersion };
  },
  nameOf: () => undefined,
};

const operator = 'ci-identity-system';
const agents = 'ci-payments';
const signal = new AbortController().signal;
let lab: AdmissionLab;
let api: ApiConnection;
let admin: ApiConnection;

test.before(async () => {
  lab = await startAdmissionLab();
  api = lab.as('controller');
  admin = lab.as('cluster-admin');
});
test.after.always(() => lab?.stop());

interface Secret {
  readonly metadata: {
    readonly uid: string;
    readonly resourceVersion: string;
    readonly ownerReferences?: readonly object[];
    readonly labels?: object;
    readonly managedFields?: readonly object[];
  };
  readonly type: string;
  readonly data?: Readonly<Record<string, string>>;
}

const secret = (ns: string, name: string): Promise<Secret | undefined> =>
  get<Secret>(admin, kinds.secrets, { namespace: ns, name }, { signal });

const note = (text: string): Note => ({ formatVersion: 1, epoch: 0, text });

/** One replica: its own memory and its own epoch. */
function replica(
  epoch: number,
  store = new Store<StoredRecord<Note>>('records'),
): { store: Store<StoredRecord<Note>>; records: RecordStore<Note> } {
  const options = { connection: api, store, codec, kind: 'session', namespace: operator, epoch: () => epoch } as const;
  return { store, records: new RecordStore<Note>(options) };
}

const source = (): Source<StoredRecord<Note>> => records(api, { kind: 'session', namespace: operator, codec });

async function sync(store: Store<StoredRecord<Note>>): Promise<void> {
  const page = await source().list({ limit: 500 }, signal);
  store.replaceAll(page.items, page.resourceVersion);
}

/** What a watch tells that is not bookmarks. */
async function watched(store: Store<StoredRecord<Note>>, resourceVersion: string): Promise<void> {
  for await (const event of source().watch({ resourceVersion, timeoutSeconds: 2 }, signal)) {
    if (event.type === 'Put') store.put(event.key, event.value);
    if (event.type === 'Delete') store.remove(event.key, event.uid, event.resourceVersion);
  }
}

/** As a machine does: on condition of what memory held when it decided. */
function write(of: RecordStore<Note>, name: string, next: Note): Promise<Note> {
  return of.write(name, next, of.get(name)?.record, signal);
}

function forget(of: RecordStore<Note>, name: string): Promise<void> {
  return of.remove(name, of.get(name)?.record, signal);
}

async function failureOf(promise: Promise<unknown>): Promise<OperatorError> {
  const error: unknown = await promise.then(
    () => undefined,
    (thrown: unknown) => thrown,
  );
  if (!(error instanceof OperatorError)) throw new Error('no OperatorError', { cause: error });
  return error;
}

test('a record is created, changed and removed, and memory always holds what is stored', async (t) => {
  const { records: mine, store } = replica(3);
  await write(mine, 'session-a', note('one'));
  t.like(mine.get('session-a'), { name: 'session-a', record: { epoch: 3, text: 'one' } });
  const first = await secret(operator, 'session-a');
  t.like(first, {
    type: 'ci-identity.dev/session-record',
    metadata: { labels: { 'ci-identity.dev/kind': 'session' } },
  });

  await write(mine, 'session-a', note('two'));
  const second = await secret(operator, 'session-a');
  t.is(second?.metadata.uid, first?.metadata.uid);
  t.is(second?.metadata.resourceVersion, mine.get('session-a')?.resourceVersion);
  await write(mine, 'session-a', note('three'));
  t.is((await secret(operator, 'session-a'))?.metadata.managedFields, undefined, 'nobody keeps account of fields');

  const other = replica(3);
  await sync(other.store);
  t.deepEqual(other.store.get('session-a'), store.get('session-a'));

  await forget(mine, 'session-a');
  t.is(mine.get('session-a'), undefined);
  t.is(await secret(operator, 'session-a'), undefined);
  await forget(mine, 'session-a');
  await forget(other.records, 'session-a');
  t.is(other.records.get('session-a'), undefined);
});

test('of two writers the second looks again, and then succeeds', async (t) => {
  const [a, b] = [replica(1), replica(1)];
  await write(a.records, 'session-b', note('a'));
  t.is((await failureOf(write(b.records, 'session-b', note('b')))).class, 'Conflict');
  t.is(b.records.get('session-b')?.record?.text, 'a');
  await write(b.records, 'session-b', note('b'));
  t.is((await failureOf(forget(a.records, 'session-b'))).class, 'Conflict');
  t.is(a.records.get('session-b')?.record?.text, 'b');
  await forget(a.records, 'session-b');
  t.is((await failureOf(write(b.records, 'session-b', note('c')))).class, 'Conflict');
  t.is(b.records.get('session-b'), undefined);
});

test('the higher epoch wins, and the stale leader learns that it is none', async (t) => {
  const [old, next] = [replica(4), replica(5)];
  await write(old.records, 'session-c', note('old'));
  await sync(next.store);
  await write(next.records, 'session-c', note('new'));
  for (const attempt of ['by the server', 'from memory']) {
    await t.throwsAsync(write(old.records, 'session-c', note('stale')), { instanceOf: LostLeaseError }, attempt);
    await t.throwsAsync(forget(old.records, 'session-c'), { instanceOf: LostLeaseError }, attempt);
  }
  await sync(next.store);
  t.like(next.records.get('session-c')?.record, { epoch: 5, text: 'new' });
});

test('a stale leader that creates what exists learns it too', async (t) => {
  const [old, next] = [replica(4), replica(5)];
  await write(next.records, 'session-d', note('new'));
  await t.throwsAsync(write(old.records, 'session-d', note('stale')), { instanceOf: LostLeaseError });
});

test('a record that was deleted and made again is a conflict, not overwritten', async (t) => {
  const [a, b] = [replica(1), replica(1)];
  await write(a.records, 'session-e', note('a'));
  await sync(b.store);
  await forget(b.records, 'session-e');
  await write(b.records, 'session-e', note('b'));
  t.is((await failureOf(write(a.records, 'session-e', note('stale')))).class, 'Conflict');
  t.is(a.records.get('session-e')?.record?.text, 'b');
});

/** What memory hears of that which others did since this version: from the watch, or from a list after the watch broke. */
const hearing: readonly (readonly [
  string,
  (store: Store<StoredRecord<Note>>, since: string) => void | Promise<void>,
])[] = [
  ['the watch', watched],
  ['a list', (store) => sync(store)],
];

for (const [what, hears] of hearing) {
  test.serial(`a label is taken off, says ${what}: the next write puts it back`, async (t) => {
    const { records: mine, store } = replica(1);
    await write(mine, 'session-h', note('one'));
    const body = { ...(await secret(operator, 'session-h')) } as Secret;
    const bare = { ...body, metadata: { ...body.metadata, labels: {} } };
    await replace<Secret>(admin, kinds.secrets, { namespace: operator, name: 'session-h' }, bare, { signal });
    await hears(store, body.metadata.resourceVersion);
    t.true(isDamaged(mine.get('session-h')));
    const { store: fresh, records: next } = replica(2);
    await sync(fresh);
    t.is(next.get('session-h')?.record?.text, 'one', 'also whoever comes anew finds it');
    await write(mine, 'session-h', note('two'));
    t.false(isDamaged(mine.get('session-h')));
    t.deepEqual((await secret(operator, 'session-h'))?.metadata.labels, { 'ci-identity.dev/kind': 'session' });
    await forget(mine, 'session-h');
  });

  for (const kept of [true, false])
    test.serial(
      `a Secret of another type takes the name, says ${what}; what is ${kept ? 'kept' : 'not kept'} of the record: told until it is deleted`,
      async (t) => {
        const store = kept
          ? new RecordMemory<Note>('records', { worthKeeping: () => true, objection: () => undefined })
          : new Store<StoredRecord<Note>>('records');
        const { records: mine } = replica(1, store);
        await write(mine, 'session-j', note('one'));
        const since = mine.get('session-j')?.resourceVersion ?? '';
        const place = { namespace: operator, name: 'session-j' };
        await remove(admin, kinds.secrets, place, {}, { signal });
        const labels = { 'ci-identity.dev/kind': 'session' };
        const stranger = { metadata: { name: 'session-j', labels }, type: 'Opaque' };
        await create(admin, kinds.secrets, { namespace: operator }, stranger, { signal });
        for (const attempt of ['before memory heard of it', 'afterwards']) {
          const error = await failureOf(write(mine, 'session-j', note('two')));
          t.like(error, { class: 'Waiting', reason: 'RecordInvalid' }, attempt);
          t.regex(
            error.message,
            /^Secret session-j .* another type than ci-identity\.dev\/session-record.*; delete it$/,
          );
          await hears(store, since);
          t.is(mine.get('session-j')?.record?.text, kept ? 'one' : undefined);
        }
        await remove(admin, kinds.secrets, place, {}, { signal });
        await write(mine, 'session-j', note('three'));
        t.false(isDamaged(mine.get('session-j')));
        await forget(mine, 'session-j');
      },
    );
}

test('a record in whose place is a Secret of another type is gone, and that Secret stays', async (t) => {
  const { records: mine } = replica(1);
  await write(mine, 'session-k', note('one'));
  await remove(admin, kinds.secrets, { namespace: operator, name: 'session-k' }, {}, { signal });
  const stranger = { metadata: { name: 'session-k' }, type: 'Opaque' };
  await create(admin, kinds.secrets, { namespace: operator }, stranger, { signal });
  await forget(mine, 'session-k');
  t.is(mine.get('session-k'), undefined);
  t.is((await secret(operator, 'session-k'))?.type, 'Opaque');
});

test('what we wrote ourselves is what memory holds, also where it would look old if others had written it', async (t) => {
  const isOlder = (record: Note, known?: Note): boolean => known !== undefined && record.text < known.text;
  const objection = (...notes: readonly [Note, Note?]): string | undefined => (isOlder(...notes) ? 'older' : undefined);
  const { records: mine } = replica(1, new RecordMemory<Note>('records', { worthKeeping: () => true, objection }));
  await write(mine, 'session-i', note('b'));
  await write(mine, 'session-i', note('a'));
  t.is(mine.get('session-i')?.record?.text, 'a');
  t.false(isDamaged(mine.get('session-i')));
});

test('a newer format is left alone; a Secret without a record says so, and one of another type is none', async (t) => {
  const labels = { 'ci-identity.dev/kind': 'session' };
  const type = 'ci-identity.dev/session-record';
  const data = { 'record.json': Buffer.from('{"formatVersion":2,"epoch":9,"text":"x"}').toString('base64') };
  const newer = { metadata: { name: 'session-f', labels }, type, data };
  const empty = { metadata: { name: 'session-g', labels }, type };
  const stranger = { metadata: { name: 'session-l', labels }, type: 'Opaque', data };
  for (const body of [newer, empty, stranger])
    await create(admin, kinds.secrets, { namespace: operator }, body, { signal });
  const { store, records: mine } = replica(1);
  await sync(store);
  t.true(mine.get('session-f')?.newerFormat);
  t.is((await failureOf(write(mine, 'session-f', note('x')))).reason, 'NewerFormat');
  t.is((await failureOf(forget(mine, 'session-f'))).reason, 'NewerFormat');
  t.is(mine.get('session-g')?.invalid, 'it has no key record.json');
  t.is(mine.get('session-l'), undefined);
});

const pod = { name: 'agent-1', uid: '11111111-1111-1111-1111-111111111111' };

function delivery(name: string, data: Readonly<Record<string, string>>, more: Partial<Delivery> = {}): Delivery {
  return { namespace: agents, name, data, pod, labels: { 'ci-identity.dev/identity': 'publisher' }, ...more };
}

/** Deliveries whose pod exists, so that garbage collection leaves them alone. */
async function livePod(name: string): Promise<{ name: string; uid: string }> {
  const body = agentPod({ namespace: agents, name });
  const { metadata } = await create<{ metadata: { uid: string } }>(admin, kinds.pods, { namespace: agents }, body, {
    signal,
  });
  return { name, uid: metadata.uid };
}

test('a delivery is created, replaced whole, and equal bytes change nothing', async (t) => {
  const deliveries = new Deliveries(api);
  const name = 'ci-identity-publisher.agent-1';
  const owner = await livePod('agent-1');
  const first = await deliveries.put(delivery(name, { token: 'ä', header: 'h' }, { pod: owner }), 'Nothing', signal);
  t.like(await secret(agents, name), {
    type: 'ci-identity.dev/token',
    data: { token: Buffer.from('ä').toString('base64'), header: Buffer.from('h').toString('base64') },
    metadata: {
      ownerReferences: [{ apiVersion: 'v1', kind: 'Pod', ...owner }],
      labels: { 'ci-identity.dev/identity': 'publisher' },
    },
  });
  const same = await deliveries.put(delivery(name, { token: 'ä', header: 'h' }, { pod: owner }), first, signal);
  t.is(same.resourceVersion, first.resourceVersion);
  const second = await deliveries.put(delivery(name, { token: 'b' }, { pod: owner }), same, signal);
  t.not(second.resourceVersion, first.resourceVersion);
  t.deepEqual((await secret(agents, name))?.data, { token: Buffer.from('b').toString('base64') });

  const stale = await failureOf(deliveries.put(delivery(name, { token: 'c' }, { pod: owner }), first, signal));
  t.is(stale.class, 'Conflict');
  const takenOver = await deliveries.put(delivery(name, { token: 'b' }, { pod: owner }), 'Nothing', signal);
  t.is(takenOver.resourceVersion, second.resourceVersion);
  const restarted = await deliveries.put(delivery(name, { token: 'b' }, { pod: owner }), 'Written', signal);
  t.is(restarted.resourceVersion, second.resourceVersion);

  await remove(admin, kinds.secrets, { namespace: agents, name }, {}, { signal });
  const healed = await deliveries.put(delivery(name, { token: 'd' }, { pod: owner }), second, signal);
  t.is((await secret(agents, name))?.metadata.resourceVersion, healed.resourceVersion);
  await remove(admin, kinds.secrets, { namespace: agents, name }, {}, { signal });
  await deliveries.put(delivery(name, { token: 'e' }, { pod: owner }), 'Written', signal);
  t.deepEqual((await secret(agents, name))?.data, { token: Buffer.from('e').toString('base64') });
});

test.serial('a delivery is emptied where it is, and none is made for that', async (t) => {
  const deliveries = new Deliveries(api);
  const name = 'ci-identity-publisher.agent-2';
  const owner = await livePod('agent-2');
  const empty = delivery(name, {}, { pod: owner });
  t.is(await deliveries.replace(empty, 'Nothing', signal), undefined);
  t.is(await secret(agents, name), undefined);
  const first = await deliveries.put(delivery(name, { token: 'a' }, { pod: owner }), 'Nothing', signal);
  await deliveries.put(delivery(name, { token: 'b' }, { pod: owner }), 'Written', signal);
  const stale = await failureOf(deliveries.replace(empty, first, signal));
  t.is(stale.class, 'Conflict');
  t.not(await deliveries.replace(empty, 'Written', signal), undefined);
  t.is((await secret(agents, name))?.data, undefined);
});

test('the operator cannot read what it delivers', async (t) => {
  const error = await failureOf(
    get(api, kinds.secrets, { namespace: agents, name: 'ci-identity-publisher.agent-1' }, { signal }),
  );
  t.is(error.reason, 'ApiForbidden');
  t.regex(
    error.message,
    /lacks the verb get on secrets in namespace ci-payments; apply Role and RoleBinding ci-identity-controller of/,
  );
});

test('a Secret of another type is a refusal with a sentence', async (t) => {
  const name = 'ci-identity-publisher.agent-3';
  // Made where the policy does not look: as it may be left over from before the policies.
  await lab.cluster.kubectlRun(['delete', 'validatingadmissionpolicybinding', 'secrets.ci-identity.dev']);
  await eventually('the policy is off', async () => {
    const body = { metadata: { name }, type: 'Opaque', data: {} };
    return create(admin, kinds.secrets, { namespace: agents }, body, { signal }).then(
      () => true,
      () => undefined,
    );
  });
  const immutable = await failureOf(new Deliveries(api).put(delivery(name, { token: 'x' }), 'Nothing', signal));
  t.is(immutable.reason, 'DeliveryRefused');
  t.regex(
    immutable.message,
    /ci-payments\/ci-identity-publisher\.agent-3: a Secret of another type has this name; delete it/,
  );
  await lab.cluster.kubectlRun([
    'apply',
    '--server-side',
    '-f',
    new URL('../../manifests/admission/secrets.yaml', import.meta.url).pathname,
  ]);
  const unfit = delivery('other.agent-3', { token: 'x' });
  // Until then the Secret is made, or collected between the two calls of `put`, since its pod does not exist: that is a conflict.
  const refused = await eventually('the policy is on', async () => {
    const error: unknown = await new Deliveries(api).put(unfit, 'Nothing', signal).catch((thrown: unknown) => thrown);
    return error instanceof OperatorError && error.reason === 'DeliveryRefused' ? error : undefined;
  });
  t.regex(refused.message, /ValidatingAdmissionPolicy secrets\.ci-identity\.dev refuses it/);
});

test('a quota that is used up refuses new Secrets and lets old ones be renewed', async (t) => {
  const name = 'ci-identity-publisher.agent-4';
  const deliveries = new Deliveries(api);
  const owner = await livePod('agent-4');
  await deliveries.put(delivery(name, { token: 'a' }, { pod: owner }), 'Nothing', signal);
  const quota = { metadata: { name: 'none' }, spec: { hard: { 'count/secrets': '1' } } };
  const quotas = { group: '', version: 'v1', plural: 'resourcequotas' };
  await create(admin, quotas, { namespace: agents }, quota, { signal });
  await eventually('the quota counts', async () => {
    const error = await deliveries
      .put(delivery('ci-identity-publisher.agent-5', { token: 'a' }), 'Nothing', signal)
      .then(
        () => undefined,
        (thrown: unknown) => thrown,
      );
    return error instanceof OperatorError && error.reason === 'QuotaExceeded' ? true : undefined;
  });
  await deliveries.put(delivery(name, { token: 'b' }, { pod: owner }), 'Nothing', signal);
  t.is((await secret(agents, name))?.data?.['token'], Buffer.from('b').toString('base64'));
  await remove(admin, quotas, { namespace: agents, name: 'none' }, {}, { signal });
});

test('a namespace that goes, or is gone, is said to be so', async (t) => {
  const ns = 'ci-leaving';
  await lab.apply(namespace(ns));
  await lab.apply(
    {
      apiVersion: 'rbac.authorization.k8s.io/v1',
      kind: 'ClusterRole',
      metadata: { name: 'write-secrets' },
      rules: [{ apiGroups: [''], resources: ['secrets'], verbs: ['create', 'update'] }],
    },
    {
      apiVersion: 'rbac.authorization.k8s.io/v1',
      kind: 'ClusterRoleBinding',
      metadata: { name: 'write-secrets' },
      roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'ClusterRole', name: 'write-secrets' },
      subjects: [{ kind: 'ServiceAccount', namespace: operator, name: 'controller' }],
    },
    // Keeps the namespace terminating for as long as the test wants.
    {
      apiVersion: 'v1',
      kind: 'ConfigMap',
      metadata: { namespace: ns, name: 'holds', finalizers: ['example.com/hold'] },
    },
  );
  const deliveries = new Deliveries(api);
  const attempt = (last: LastDelivery = 'Nothing'): Promise<OperatorError> =>
    failureOf(
      deliveries.put(delivery('ci-identity-publisher.agent-1', { token: 'a' }, { namespace: ns }), last, signal),
    );
  await lab.cluster.kubectlRun(['delete', 'namespace', ns, '--wait=false']);
  await eventually('the namespace is terminating', async () =>
    (await attempt()).reason === 'NamespaceTerminating' ? true : undefined,
  );
  t.is((await attempt({ resourceVersion: '1' })).reason, 'NamespaceTerminating');

  const held = await get<{ metadata: object }>(admin, kinds.configMaps, { namespace: ns, name: 'holds' }, { signal });
  await replace(
    admin,
    kinds.configMaps,
    { namespace: ns, name: 'holds' },
    { ...held, metadata: { ...held?.metadata, finalizers: [] } },
    { signal },
  );
  await eventually('the namespace is gone', async () =>
    (await get(admin, kinds.namespaces, { name: ns }, { signal })) === undefined ? true : undefined,
  );
  t.is((await attempt()).reason, 'NamespaceTerminating');
  t.is((await attempt({ resourceVersion: '1' })).reason, 'NamespaceTerminating');
});
