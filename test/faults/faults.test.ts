/**
 * The running program against everything that a provider can do to it, all of it at once: each row has a provider, pool, identity and pod of
 * its own. While they suffer the tenants of another provider get their tokens as ever, and so does, where one client alone is in trouble, the
 * pool beside it at the same provider.
 */
import test, { type ExecutionContext } from 'ava';
import { readFileSync, writeFileSync } from 'node:fs';
import { type OidcProvider, startOidcProvider } from '#test/providers/oidc-provider.ts';
import { eventually } from '#test/support/eventually.ts';
import { logOnFailure } from '#test/support/hooks.ts';
import { nextPodName } from '#test/support/jenkins-pod.ts';
import { type Lab, startLab } from '#test/support/lab.ts';
import type { OperatorProcess } from '#test/support/operator-process.ts';
import {
  type Pod,
  condition,
  createPod,
  deliveryOf,
  dies,
  errorOf,
  identity,
  identityReady,
  isLive,
  policy,
  pool,
  refusalOf,
  registry,
  sessionGone,
  sessions,
  team,
  tokenOf,
} from '#test/api/operator-lab.ts';
import {
  type Cure,
  type FaultRow,
  type Told,
  early,
  faultRows,
  outage,
  shared,
  startRows,
  token,
  usedUp,
  workingRows,
} from './rows.ts';

const broken = 'ci-broken';
const patient = { timeoutMs: 90_000 };

let lab: Lab;
let operator: OperatorProcess;

interface Victim {
  readonly row: FaultRow;
  readonly provider?: OidcProvider;
  readonly issuer: string;
  /** When its faults were met: epoch milliseconds. */
  readonly met: number[];
  pod?: Pod;
  /** Since when the pool beside it is Ready, seen before its faults begin. */
  besideReadySince?: string | undefined;
}
const victims = new Map<string, Victim>();
const of = ({ name }: FaultRow): Victim => {
  const found = victims.get(name);
  if (found === undefined) throw new Error(`no victim ${name}`);
  return found;
};

async function victimOf(row: FaultRow): Promise<Victim> {
  const met: number[] = [];
  if (row.issuer?.url !== undefined) return { row, issuer: row.issuer.url, met };
  const provider = await startOidcProvider({
    scopes: ['artifacts:publish', 'deploy:production'],
    resources: [registry],
    ...row.provider,
  });
  if (startRows.includes(row)) for (const fault of row.faults) provider.faults.add(fault, met);
  return { row, provider, issuer: provider.issuer, met };
}

function providerOf(row: FaultRow): OidcProvider {
  const { provider } = of(row);
  if (provider === undefined) throw new Error(`${row.name} has no provider`);
  return provider;
}

/** The clients of a pool at the provider of this row. */
const clientsOf = (row: FaultRow, name: string): readonly string[] =>
  providerOf(row)
    .clients()
    .flatMap((client) => (client.name?.startsWith(`ci-identity ${name} `) === true ? [client.clientId] : []));

/** The pool at the same provider whose client is in no trouble, and its identity. */
const neighbour = ({ name }: FaultRow): string => `${name}-beside`;

const inOperator = (kind: string, name: string, content: object): string =>
  JSON.stringify({ apiVersion: 'v1', kind, metadata: { name, namespace: 'ci-identity-system' }, ...content });

function configurationOf({ row, issuer }: Victim, changed: Cure['issuer'] = {}): object {
  const { name } = row;
  return {
    url: issuer,
    allowPrivateNetwork: true,
    registrationTokenRef: { name: `${name}-registration`, key: 'token' },
    caBundleRef: { name: `${name}-ca`, key: 'ca.crt' },
    ...row.issuer,
    ...changed,
  };
}

const poolOf = ({ row, issuer }: Victim, ceiling: object = {}): string =>
  pool(row.name, issuer, {
    ceiling: { scopes: ['artifacts:publish'], audiences: [registry], ...row.ceiling, ...ceiling },
  });

function objectsOf(victim: Victim): readonly string[] {
  const { row, provider } = victim;
  const { name } = row;
  const credentials = [
    inOperator('Secret', `${name}-registration`, { stringData: { token: provider?.initialAccessToken ?? 'none' } }),
    inOperator('ConfigMap', `${name}-ca`, { data: { 'ca.crt': provider?.caPem ?? lab.provider.caPem } }),
  ];
  return [
    ...credentials,
    poolOf(victim),
    policy(name, { role: 'publisher', pool: name, scopes: ['artifacts:publish'], namespaces: [broken] }),
    identity(name, { pool: name, roles: ['publisher'] }, broken),
    ...(row.whose === 'Tenant' ? tenant(neighbour(row), victim) : []),
  ];
}

/** One more pool at the provider of a victim, and an identity of that name. */
function tenant(name: string, { issuer }: Victim): readonly string[] {
  return [
    pool(name, issuer, {
      client: { authentication: 'ClientSecretBasic' },
      ceiling: { scopes: ['artifacts:publish'], audiences: [registry] },
    }),
    policy(name, { role: 'publisher', pool: name, scopes: ['artifacts:publish'], namespaces: [broken] }),
    identity(name, { pool: name, roles: ['publisher'] }, broken),
  ];
}

let configuration: { readonly issuers: readonly object[] };

function configure(entry: (victim: Victim) => object): void {
  const issuers = [...configuration.issuers, ...[...victims.values()].map(entry)];
  writeFileSync(lab.configFile, JSON.stringify({ ...configuration, issuers }));
}

test.before(async () => {
  lab = await startLab({ tokenLifetime: 600, deliveryLag: '2s' });
  await lab.agentNamespace(broken);
  for (const victim of await Promise.all([...faultRows, outage, early, shared, usedUp].map(victimOf)))
    victims.set(victim.row.name, victim);
  configuration = JSON.parse(readFileSync(lab.configFile, 'utf8')) as typeof configuration;
  configure((victim) => configurationOf(victim));
  await lab.apply(
    pool('ci-bots', lab.provider.issuer),
    policy('publishers', { role: 'publisher', pool: 'ci-bots', scopes: ['artifacts:publish', 'artifacts:read'] }),
    identity('publisher', { pool: 'ci-bots', roles: ['publisher'] }),
    ...[...victims.values()].flatMap(objectsOf),
  );
  operator = await lab.running();
  await identityReady(lab, 'publisher');
});

logOnFailure(() => operator);
test.after.always(async () => {
  await lab?.stop();
  for (const { provider } of victims.values()) await provider?.stop();
});

/** The innocent tenant: another provider, another namespace. It gets a token in the time in which it always does. */
async function others(): Promise<void> {
  const pod = await createPod(lab, nextPodName(), ['publisher']);
  await tokenOf(lab, pod, 'publisher', undefined, 10_000);
  await lab.kubectl(['delete', 'pod', '-n', team, pod.name, '--wait=false']);
}

const podOf = (name: string): Promise<Pod> => createPod(lab, nextPodName(), [name], { namespace: broken });
const newPod = ({ name }: FaultRow): Promise<Pod> => podOf(name);

/** So many token requests a provider may get, of whomever, until the pool beside the one in trouble has a token. */
const mostRequests = 20;

async function neighbourIsServed(t: ExecutionContext, row: FaultRow): Promise<void> {
  const { stats } = providerOf(row);
  const [from, before] = [Date.now(), stats.count('token')];
  const pod = await podOf(neighbour(row));
  const value = await tokenOf(lab, pod, neighbour(row), undefined, patient.timeoutMs);
  const requests = stats.count('token') - before;
  t.log(`${neighbour(row)}: a token after ${requests} requests, ${Date.now() - from} ms`);
  t.true(requests <= mostRequests, `${requests} requests`);
  t.true(isLive(providerOf(row), value));
  await lab.kubectl(['delete', 'pod', '-n', broken, pod.name, '--wait=false']);
}

/** Since when the pool beside the one in trouble says so. */
const readySince = async (row: FaultRow): Promise<string | undefined> =>
  (
    await eventually(
      'the pool beside it is Ready',
      () => condition(lab, `identitypool/${neighbour(row)}`, 'Ready', { status: 'True' }),
      patient,
    )
  ).lastTransitionTime;

async function neighbourStaysReady(t: ExecutionContext, row: FaultRow): Promise<void> {
  const { besideReadySince } = of(row);
  if (besideReadySince !== undefined)
    t.is(await readySince(row), besideReadySince, 'it did not say otherwise meanwhile');
}

/** What the provider gave it although it must not be used was given back. */
async function holdsNothing(row: FaultRow): Promise<void> {
  const clients = clientsOf(row, row.name);
  const live = (): number =>
    providerOf(row)
      .liveTokens()
      .filter(({ clientId }) => clients.includes(clientId)).length;
  await eventually('no token of its client lives', () => (live() === 0 ? true : undefined));
  const { pod } = of(row);
  if (pod !== undefined) await sessionGone(lab, pod);
}

async function isTold(row: FaultRow, told: Told): Promise<string> {
  const { reason } = told;
  if (told.on === 'pod') {
    const pod = of(row).pod;
    if (pod === undefined) throw new Error(`${row.name} has no pod`);
    const error = await eventually(
      `error.json of ${row.name} says ${reason}`,
      async () => {
        const said = await errorOf(lab, pod, row.name);
        if (said.reason === reason && told.says.test(said.message) && (told.fix?.test(said.fix) ?? true)) return said;
        throw new Error(JSON.stringify(said));
      },
      patient,
    );
    return error.message;
  }
  const status = told.status ?? (reason === 'Ready' ? 'True' : 'False');
  const where =
    told.on === 'pool' ? ([`identitypool/${row.name}`] as const) : ([`ciidentity/${row.name}`, broken] as const);
  return eventually(
    `${where[0]} has ${told.type}=${status} ${reason} that says ${told.says}`,
    async () => {
      const { message } = await condition(lab, where[0], told.type, { status, reason }, where[1]);
      if (!told.says.test(message)) throw new Error(message);
      return message;
    },
    patient,
  );
}

async function areTold(row: FaultRow): Promise<readonly string[]> {
  const messages: string[] = [];
  for (const one of row.told) messages.push(await isTold(row, one));
  return messages;
}

const told = (row: FaultRow): string => row.told.map(({ on, reason }) => `${on} ${reason}`).join(', ');

function testRow(row: FaultRow): void {
  test.serial(`${row.title}: ${told(row)}; others go on`, async (t) => {
    for (const one of await areTold(row)) t.log(one);
    if (row.told.some(({ on }) => on === 'pod')) await holdsNothing(row);
    if (row.refusesPods === true) {
      const refusal = await eventually('the next pod is refused with that sentence', async () => {
        const text = await refusalOf(newPod(row));
        return row.told[0]?.says.test(text) === true ? text : undefined;
      });
      t.regex(refusal, /[Ff]orbidden/);
    }
    if (row.whose === 'Tenant') {
      await neighbourIsServed(t, row);
      await neighbourStaysReady(t, row);
    }
    await others();
    t.true(row.faults.length === 0 || of(row).met.length > 0, 'its fault was met');
  });
}

for (const row of startRows) testRow(row);

test.serial('providers that fail later work at first', async (t) => {
  const beside = [...workingRows, usedUp].filter(({ whose }) => whose === 'Tenant').map(neighbour);
  const names = [...workingRows, outage, early, shared, usedUp].map(({ name }) => name);
  for (const name of [...names, ...beside])
    await eventually(`${name} is Ready`, () => identityReady(lab, name, broken), patient);
  const ofTenants = workingRows.filter(({ whose }) => whose === 'Tenant');
  for (const row of ofTenants) of(row).besideReadySince = await readySince(row);
  // That others are served shows only lately that one who has to wait for long is not everybody.
  await Promise.all(ofTenants.map((row) => neighbourIsServed(t, row)));
  for (const row of workingRows) {
    const [spares] = row.whose === 'Tenant' ? clientsOf(row, neighbour(row)) : [];
    const { faults } = providerOf(row);
    for (const fault of row.faults) faults.add({ ...fault, ...(spares === undefined ? {} : { spares }) }, of(row).met);
    for (const clientId of clientsOf(row, row.name)) row.befalls?.(providerOf(row), clientId);
    of(row).pod = await newPod(row);
  }
  t.deepEqual(
    ofTenants.filter((row) => of(row).besideReadySince === undefined),
    [],
  );
});

const held = new Map<Pod, string>();
let long: { readonly pod: Pod; readonly token: string } | undefined;

test.serial(
  'an outage begins while pods hold tokens of 12 s; another pool allows less than its provider gives',
  async (t) => {
    for (let n = 0; n < 3; n += 1) {
      const pod = await newPod(outage);
      held.set(pod, await tokenOf(lab, pod, outage.name));
    }
    of(outage).provider?.faults.add({ dropRequest: true });
    const pod = await newPod(early);
    long = { pod, token: await tokenOf(lab, pod, early.name) };
    t.is(held.size, 3);
  },
);

for (const row of workingRows) testRow(row);

test.serial(
  'onExceed RevokeEarly: the token is used, and revoked before the ceiling although it would live for minutes',
  async (t) => {
    const { provider } = of(early);
    if (provider === undefined || long === undefined) throw new Error('there is no early token');
    await dies(provider, long.token, 90_000);
    const next = await tokenOf(lab, long.pod, early.name, long.token);
    t.true(isLive(provider, next), 'a successor took its place');
  },
);

test.serial(
  'the same token for two pods: the second gets none and is told, the first keeps its own; asked again it gets one of its own',
  async (t) => {
    const { provider } = of(shared);
    if (provider === undefined) throw new Error('there is no provider');
    const first = await newPod(shared);
    const value = await tokenOf(lab, first, shared.name);
    const mend = provider.faults.add(token({ access_token: value }));
    const second = await newPod(shared);
    of(shared).pod = second;
    const says =
      /hands out a token again that another session holds; switch token caching or re-use off for this client/;
    t.log(
      await isTold(shared, { on: 'pod', reason: 'TokenUnusable', says, fix: /Correct it at the identity provider/ }),
    );
    t.true(isLive(provider, value));
    t.is((await deliveryOf(lab, first, shared.name)).files['token'], value);
    mend();
    await lab.kubectl(['annotate', 'identitypool', shared.name, 'ci-identity.dev/retry=mended']);
    t.not(await tokenOf(lab, second, shared.name, undefined, patient.timeoutMs), value);
    await lab.kubectl(['delete', 'pods', '-n', broken, '--wait=false', first.name]);
    await dies(provider, value, 30_000);
  },
);

test.serial('the outage outlives every token: no session is left, the pool says so, no pod got an error', async (t) => {
  const uids = [...held.keys()].map(({ uid }) => uid);
  await eventually('no token of theirs is left', async () =>
    (await sessions(lab)).some(({ pod }) => uids.includes(pod.uid)) ? undefined : true,
  );
  await condition(lab, `identitypool/${outage.name}`, 'Ready', { status: 'False', reason: 'ProviderUnavailable' });
  for (const pod of held.keys()) {
    const { files } = await deliveryOf(lab, pod, outage.name);
    t.false('error.json' in files);
    held.set(pod, files['token'] ?? '');
  }
  await others();
});

const late = ['used-up-third', 'used-up-fourth'] as const;

test.serial(
  'a registration credential that is used up: two new pools are told; the one beside them gets tokens, and is deleted as ever',
  async (t) => {
    await providerOf(usedUp).replaceInitialAccessToken();
    await lab.apply(...late.flatMap((name) => tenant(name, of(usedUp))));
    for (const name of late) {
      const refused = { status: 'False', reason: 'RegistrationCredentialRefused' };
      const { message } = await eventually(
        `${name} is told`,
        () => condition(lab, `identitypool/${name}`, 'Ready', refused),
        patient,
      );
      t.regex(message, /It may have expired or be used up: put a new initial access token into the Secret of registr/);
    }
    await neighbourIsServed(t, usedUp);
    await lab.kubectl(['delete', 'identitypool', neighbour(usedUp), '--timeout=270s']);
    t.deepEqual(clientsOf(usedUp, neighbour(usedUp)), []);
    await others();
  },
);

test.serial('everything is mended', async (t) => {
  for (const row of [...faultRows, outage]) {
    const { heals } = row;
    if (heals === undefined) continue;
    const { provider } = of(row);
    provider?.faults.clear();
    if (provider !== undefined) await heals.atProvider?.(provider);
    if (heals.ceiling !== undefined) await lab.apply(poolOf(of(row), heals.ceiling));
  }
  const token = await providerOf(usedUp).replaceInitialAccessToken();
  await lab.apply(inOperator('Secret', `${usedUp.name}-registration`, { stringData: { token } }));
  configure((victim) => configurationOf(victim, victim.row.heals?.issuer));
  const pools = faultRows.filter(({ heals }) => heals?.retry === true).map(({ name }) => name);
  const said = await lab.kubectl(['annotate', 'identitypools', ...pools, 'ci-identity.dev/retry=mended']);
  t.is(said.match(/ annotated$/gm)?.length, pools.length);
});

for (const row of faultRows.filter(({ heals }) => heals !== undefined)) {
  test.serial(`${row.title}: mended, its pods get tokens`, async (t) => {
    await eventually(`${row.name} is Ready`, () => identityReady(lab, row.name, broken), patient);
    const pod = of(row).pod ?? (await eventually('a pod is admitted', () => newPod(row).catch(() => undefined)));
    t.truthy(await tokenOf(lab, pod, row.name, undefined, patient.timeoutMs));
    t.is(clientsOf(row, row.name).length, 1, 'one client');
    for (const { lasts = 0 } of row.faults) t.true(metFor(row) >= lasts / 2, `met for ${metFor(row)} ms`);
  });
}

/** How long its faults were met again and again, in milliseconds. */
const metFor = (row: FaultRow): number => (of(row).met.at(-1) ?? 0) - (of(row).met[0] ?? 0);

test.serial('with a new registration credential the pools that waited for one get their clients', async (t) => {
  for (const name of late) await eventually(`${name} is Ready`, () => identityReady(lab, name, broken), patient);
  t.is(late.flatMap((name) => clientsOf(usedUp, name)).length, late.length);
});

test.serial('after the outage every pod has a new token, and nothing was minted twice', async (t) => {
  for (const [pod, token] of held) t.not(await tokenOf(lab, pod, outage.name, token, patient.timeoutMs), token);
  await eventually(
    'the pool is Ready again',
    () => condition(lab, `identitypool/${outage.name}`, 'Ready', { status: 'True' }),
    patient,
  );
  const uids = [...held.keys()].map(({ uid }) => uid);
  t.is((await sessions(lab)).filter(({ pod }) => uids.includes(pod.uid)).length, 3);
});

test.serial('an outage that ends while nobody asks for tokens: the pool finds out by itself', async (t) => {
  const { provider } = of(outage);
  provider?.faults.add({ endpoint: 'token', dropRequest: true });
  const asks = await newPod(outage);
  const away = { status: 'False', reason: 'ProviderUnavailable' };
  await eventually('the pool says so', () => condition(lab, `identitypool/${outage.name}`, 'Ready', away), patient);
  const pods = [asks, ...held.keys()].map(({ name }) => name);
  await lab.kubectl(['delete', 'pods', '-n', broken, '--wait=false', ...pods]);
  await eventually('nobody is left who could ask', async () =>
    (await sessions(lab)).some(({ pod }) => pods.includes(pod.name)) ? undefined : true,
  );
  provider?.faults.clear();
  const back = { status: 'True', reason: 'Ready' };
  await eventually('it is back', () => condition(lab, `identitypool/${outage.name}`, 'Ready', back), patient);
  const givenBack = eventually('and the token of that one call was given back', () =>
    provider?.liveTokens().length === 0 ? true : undefined,
  );
  await t.notThrowsAsync(givenBack);
});

test.serial('what the program wrote quotes no token', async (t) => {
  const text = `${operator.log()}${operator.audit()}`;
  const secrets = [...victims.values()].flatMap(({ provider }) => provider?.secrets() ?? []);
  t.true(secrets.length > 50);
  t.deepEqual(
    secrets.filter(({ value }) => text.includes(value)).map(({ kind }) => kind),
    [],
  );
});
