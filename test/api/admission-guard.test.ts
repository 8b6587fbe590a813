import test, { type ExecutionContext } from 'ava';
import { GuardKeeper } from '#src/controllers/guard.ts';
import { type Instant, instant, plus, second, systemClock } from '#src/clock.ts';
import type { Known } from '#src/decision.ts';
import { brokenPolicies, guardSettles, type ObservedPolicy, type ShippedPolicy } from '#src/domain/access/trust.ts';
import { type ApiConnection, connect } from '#src/kube/connection.ts';
import { probeAdmission } from '#src/kube/guard-probe.ts';
import { guardRecord, readShippedPolicies, trimPolicy } from '#src/kube/guard.ts';
import { SmallRecord } from '#src/kube/small-record.ts';
import { kinds, pathOf } from '#src/kube/resources.ts';
import { admissionKinds } from '#src/kube/watches.ts';
import { eventually } from '#test/support/eventually.ts';
import { startCluster } from '#test/cluster/cluster.ts';
import { type AdmissionLab, installManifests, startAdmissionLab } from './admission-lab.ts';

const signal = new AbortController().signal;
const shipped = readShippedPolicies();
const kindNames = Object.keys(admissionKinds) as (keyof typeof admissionKinds)[];
const operatorNamespace = 'ci-identity-system';

let lab: AdmissionLab;

test.before(async () => {
  lab = await startAdmissionLab();
});

test.after.always(async () => lab?.stop());

/** What the operator's lists hold now, as its own account reads it. */
async function observe(connection: ApiConnection): Promise<readonly ObservedPolicy[]> {
  const lists = await Promise.all(
    kindNames.map(async (kind) => {
      const { status, body } = await connection.request('GET', pathOf(admissionKinds[kind]), { signal });
      if (status !== 200) throw new Error(`list ${kind}: ${status}`);
      return (body as { items: readonly unknown[] }).items.flatMap((item) => trimPolicy(kind, item) ?? []);
    }),
  );
  return lists.flat();
}

/** A keeper as a process has it that starts now, with the API server's lists as memory and a clock of the test's. */
class Process {
  readonly keeper: GuardKeeper;
  #memory: Known<readonly ObservedPolicy[]> = { is: 'Unknown' };
  readonly #connection: ApiConnection;

  constructor(clock: { now: Instant }, probe = true) {
    this.#connection = lab.as('controller');
    this.keeper = new GuardKeeper({
      shipped,
      observed: () => this.#memory,
      store: new SmallRecord(this.#connection, operatorNamespace, guardRecord),
      probe: (s) =>
        probe
          ? probeAdmission(this.#connection, { namespace: operatorNamespace, agentNamespaces: ['ci-payments'] }, s)
          : Promise.resolve({ is: 'Refused' }),
      now: () => clock.now,
    });
  }

  /** As a watch event does. */
  async see(): Promise<void> {
    this.#memory = { is: 'Seen', value: await observe(this.#connection) };
  }

  async start(): Promise<void> {
    await this.see();
    await this.keeper.probe(signal);
  }
}

function pathOfPolicy(policy: { kind: string; name: string }): string {
  return pathOf(admissionKinds[policy.kind as keyof typeof admissionKinds], { name: policy.name });
}

async function forget(): Promise<void> {
  await lab.send(
    'controller',
    'DELETE',
    pathOf(kinds.secrets, { namespace: operatorNamespace, name: 'guard' }),
    undefined,
    { dryRun: false },
  );
}

/** Something that the API server accepts and that weakens the object. */
function weaken(kind: string): object {
  if (kind === 'ValidatingAdmissionPolicyBinding') return { spec: { validationActions: ['Audit'] } };
  if (kind === 'MutatingAdmissionPolicyBinding')
    return { spec: { matchResources: { objectSelector: { matchLabels: { never: 'true' } } } } };
  return { spec: { matchConstraints: { objectSelector: { matchLabels: { never: 'true' } } } } };
}

function sinceOf(t: ExecutionContext, keeper: GuardKeeper): Instant {
  const guard = keeper.current();
  t.is(guard.is, 'Intact');
  return guard.is === 'Intact' ? guard.since : instant(0);
}

/** Writes the whole shipped spec: an apply would leave fields alone that somebody else added. */
async function restore(policy: ShippedPolicy): Promise<void> {
  const path = pathOfPolicy(policy);
  const { status, body } = await lab.send('cluster-admin', 'GET', path);
  const object = {
    apiVersion: 'admissionregistration.k8s.io/v1',
    kind: policy.kind,
    metadata: { name: policy.name },
    spec: policy.spec,
  };
  const { metadata } = body as { metadata: object };
  const answer =
    status === 404
      ? await lab.send('cluster-admin', 'POST', path.slice(0, path.lastIndexOf('/')), object, { dryRun: false })
      : await lab.send('cluster-admin', 'PUT', path, { ...object, metadata }, { dryRun: false });
  // The API server itself writes the status of a policy some time after each change.
  if (answer.status === 409) return restore(policy);
  if (answer.status > 201) throw new Error(`${policy.name}: ${answer.status}`);
}

test.serial('what we ship, with the defaults that we expect, is what the API server returns', async (t) => {
  const observed = await observe(lab.as('controller'));
  t.is(observed.filter(({ name }) => shipped.some((policy) => policy.name === name)).length, 14);
  t.deepEqual(brokenPolicies(shipped, observed), []);
});

test.serial('applying the same files again changes neither uid nor generation', async (t) => {
  const before = await observe(lab.as('controller'));
  await installManifests(lab.cluster);
  t.deepEqual(await observe(lab.as('controller')), before);
});

test.serial('until lists, probe and record are there the guard is unknown', async (t) => {
  await forget();
  const clock = { now: instant(1_795_000_000_000) };
  const first = new Process(clock);
  t.deepEqual(first.keeper.current(), { is: 'Unknown' });
  await first.keeper.refresh(signal);
  t.deepEqual(first.keeper.current(), { is: 'Unknown' });
  await first.see();
  await first.keeper.refresh(signal);
  t.deepEqual(first.keeper.current(), { is: 'Unknown' });
  await first.keeper.probe(signal);
  t.deepEqual(first.keeper.current(), { is: 'Intact', since: plus(clock.now, guardSettles) });
});

test.serial('a restart keeps since; a record that nobody can read does not', async (t) => {
  await forget();
  const clock = { now: instant(1_795_000_000_000) };
  const first = new Process(clock);
  await first.start();
  const since = sinceOf(t, first.keeper);
  clock.now = plus(clock.now, 3600 * second);
  const later = new Process(clock);
  await later.start();
  t.is(sinceOf(t, later.keeper), since);
  const path = pathOf(kinds.secrets, { namespace: operatorNamespace, name: 'guard' });
  const { body } = await lab.send('controller', 'GET', path, undefined, { dryRun: false });
  await lab.send(
    'controller',
    'PUT',
    path,
    { ...(body as object), data: { 'record.json': 'e30=' } },
    { dryRun: false },
  );
  const third = new Process(clock);
  await third.start();
  t.is(sinceOf(t, third.keeper), plus(clock.now, guardSettles));
});

test.serial('two replicas that write at once agree afterwards', async (t) => {
  await forget();
  const clock = { now: instant(1_795_000_000_000) };
  const [a, b] = [new Process(clock, false), new Process(clock, false)];
  await Promise.all([a.start(), b.start()]);
  t.is(sinceOf(t, a.keeper), sinceOf(t, b.keeper));
});

for (const policy of shipped) {
  test.serial(`${policy.kind} ${policy.name}: edited, put right, deleted, put back`, async (t) => {
    await forget();
    const path = pathOfPolicy(policy);
    const named = `${policy.kind} ${policy.name}`;
    const clock = { now: instant(1_795_000_000_000) };
    const running = new Process(clock, false);
    await running.start();
    let since = sinceOf(t, running.keeper);
    const changes: readonly [what: string, make: () => Promise<{ readonly status: number }>][] = [
      [
        'edited',
        () =>
          lab.send('cluster-admin', 'PATCH', path, weaken(policy.kind), {
            dryRun: false,
            contentType: 'application/merge-patch+json',
          }),
      ],
      ['missing', () => lab.send('cluster-admin', 'DELETE', path, undefined, { dryRun: false })],
    ];
    for (const [what, make] of changes) {
      t.is((await make()).status, 200);
      await running.see();
      t.deepEqual(
        running.keeper.current(),
        { is: 'Missing', objects: [`${named} (${what})`] },
        'with the watch event, before anything is written',
      );
      clock.now = plus(clock.now, 60 * second);
      await running.keeper.refresh(signal);
      const successor = new Process(clock, false);
      await successor.start();
      t.deepEqual(successor.keeper.current(), { is: 'Missing', objects: [`${named} (${what})`] });
      await restore(policy);
      await running.see();
      t.is(running.keeper.current().is, 'Unknown', 'whole again, but not on record yet');
      clock.now = plus(clock.now, 60 * second);
      await running.keeper.refresh(signal);
      t.is(sinceOf(t, running.keeper), plus(clock.now, guardSettles));
      t.true(sinceOf(t, running.keeper) > since);
      since = sinceOf(t, running.keeper);
    }
  });
}

test.serial('edited and put right while nobody watched: since moves all the same', async (t) => {
  const clock = { now: instant(1_795_000_000_000) };
  const before = new Process(clock, false);
  await before.start();
  const policy = shipped.find((p) => p.kind === 'ValidatingAdmissionPolicyBinding' && p.name.startsWith('use.'))!;
  await lab.send('cluster-admin', 'PATCH', pathOfPolicy(policy), weaken(policy.kind), {
    dryRun: false,
    contentType: 'application/merge-patch+json',
  });
  await restore(policy);
  clock.now = plus(clock.now, 3600 * second);
  const after = new Process(clock, false);
  await after.start();
  t.is(sinceOf(t, after.keeper), plus(clock.now, guardSettles));
});

test.serial('the probe is refused by all three policies, and stores nothing', async (t) => {
  const asked: { path: string; status: number; message: string }[] = [];
  const listening: Pick<ApiConnection, 'request'> = {
    async request(method, path, o) {
      const answer = await lab.as('controller').request(method, path, o);
      asked.push({ path, status: answer.status, message: (answer.body as { message: string }).message });
      return answer;
    },
  };
  const target = { namespace: operatorNamespace, agentNamespaces: ['ci-payments'] };
  await eventually('the policies are in force again', async () => {
    asked.length = 0;
    return (await probeAdmission(listening, target, signal)).is === 'Refused' ? true : undefined;
  });
  t.deepEqual(
    asked.map(({ status, message }) => [status, /ValidatingAdmissionPolicy '(\w+)/.exec(message)?.[1]]),
    [
      [403, 'pods'],
      [403, 'use'],
      [403, 'secrets'],
    ],
  );
});

test.serial('a probe that the policies do not answer tells nothing', async (t) => {
  const outcome = await probeAdmission(
    lab.as('stranger'),
    { namespace: operatorNamespace, agentNamespaces: ['people'] },
    signal,
  );
  t.is(outcome.is, 'Unclear');
});

test.serial(
  'an API server without the admission plugin is found out, although all fourteen objects are there',
  async (t) => {
    await using cluster = await startCluster({
      apiServerFlags: ['--disable-admission-plugins=ValidatingAdmissionPolicy'],
    });
    await installManifests(cluster);
    const operator = await connect({
      kubeconfig: await cluster.kubeconfigForServiceAccount(operatorNamespace, 'controller'),
      clock: systemClock,
    });
    t.teardown(() => operator.close());
    const observed = await observe(operator);
    t.deepEqual(brokenPolicies(shipped, observed), []);
    const keeper = new GuardKeeper({
      shipped,
      observed: () => ({ is: 'Seen', value: observed }),
      store: new SmallRecord(operator, operatorNamespace, guardRecord),
      probe: (s) => probeAdmission(operator, { namespace: operatorNamespace, agentNamespaces: [] }, s),
      now: () => systemClock.now(),
    });
    await keeper.probe(signal);
    t.deepEqual(keeper.current(), {
      is: 'Missing',
      objects: [
        "admission plugin ValidatingAdmissionPolicy (disabled: the API server admits a pod in ci-identity-system that reads another pod's token Secret)",
        'admission plugin ValidatingAdmissionPolicy (disabled: the API server admits a pod in ci-identity-system with a claim that its creator may not use)',
      ],
    });
  },
);
