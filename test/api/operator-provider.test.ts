/** The running program and its providers: a second issuer without a restart, renewal, outages, and what a wrong configuration says. */
import test from 'ava';
import { readFileSync, writeFileSync } from 'node:fs';
import { type OidcProvider, type OidcProviderOptions, startOidcProvider } from '#test/providers/oidc-provider.ts';
import { eventually } from '#test/support/eventually.ts';
import { logOnFailure, stopAfterwards } from '#test/support/hooks.ts';
import { nextPodName } from '#test/support/jenkins-pod.ts';
import { type Lab, startLab } from '#test/support/lab.ts';
import type { OperatorProcess } from '#test/support/operator-process.ts';
import {
  type AuditEntry,
  type Pod,
  auditOf,
  condition,
  createPod,
  deliveryOf,
  dies,
  identity,
  identityReady,
  isLive,
  policy,
  pool,
  refusedPod,
  registry,
  sessions,
  sha256,
  statusOf,
  team,
  tokenOf,
} from './operator-lab.ts';

let lab: Lab;
let operator: OperatorProcess;
/** Tokens of 12 s, so that they are renewed within 6 s. */
let brief: OidcProvider;
/** Its registration credential is wrong at first. */
let wary: OidcProvider;
/** It verifies no assertion but of RS256. */
let old: OidcProvider;

const provider = (tokenTtl: number, more: OidcProviderOptions = {}): Promise<OidcProvider> =>
  startOidcProvider({ scopes: ['artifacts:read', 'artifacts:publish'], resources: [registry], tokenTtl, ...more });

test.before(async () => {
  lab = await startLab({ tokenLifetime: 600, deliveryLag: '2s' });
  [brief, wary, old] = await Promise.all([provider(12), provider(600), provider(600, { keyAlgorithms: ['RS256'] })]);
  operator = await lab.running();
  await lab.apply(
    pool('ci-bots', lab.provider.issuer),
    policy('publishers', { role: 'publisher', pool: 'ci-bots', scopes: ['artifacts:publish', 'artifacts:read'] }),
    identity('publisher', { pool: 'ci-bots', roles: ['publisher'] }),
  );
  await identityReady(lab, 'publisher');
});

logOnFailure(() => operator);
stopAfterwards(() => [lab, brief, wary, old]);

interface Issuer {
  readonly url: string;
  readonly [member: string]: unknown;
}

async function secret(name: string, token: string): Promise<void> {
  const metadata = { name, namespace: 'ci-identity-system' };
  await lab.apply(JSON.stringify({ apiVersion: 'v1', kind: 'Secret', metadata, stringData: { token } }));
}

/** Adds an issuer to the configuration file of the running operator. */
async function addIssuer(name: string, { issuer: url, caPem }: OidcProvider, more: object = {}): Promise<void> {
  const metadata = { name: `${name}-ca`, namespace: 'ci-identity-system' };
  await lab.apply(JSON.stringify({ apiVersion: 'v1', kind: 'ConfigMap', metadata, data: { 'ca.crt': caPem } }));
  const file = JSON.parse(readFileSync(lab.configFile, 'utf8')) as { issuers: Issuer[] };
  const issuer = {
    url,
    allowPrivateNetwork: true,
    registrationTokenRef: { name: `${name}-registration`, key: 'token' },
    caBundleRef: { name: `${name}-ca`, key: 'ca.crt' },
    ...more,
  };
  writeFileSync(lab.configFile, JSON.stringify({ ...file, issuers: [...file.issuers, issuer] }));
}

test.serial(
  'a pool names an issuer that the configuration does not list: IssuerNotConfigured, and nobody calls it',
  async (t) => {
    await lab.apply(
      pool('brief-bots', brief.issuer),
      policy('brief', { role: 'publisher', pool: 'brief-bots', scopes: ['artifacts:publish'] }),
      identity('brief', { pool: 'brief-bots', roles: ['publisher'] }),
    );
    const { message } = await condition(lab, 'identitypool/brief-bots', 'Ready', {
      status: 'False',
      reason: 'IssuerNotConfigured',
    });
    t.true(
      message.startsWith(`IdentityPool brief-bots: issuer ${brief.issuer} is not listed in the configuration`),
      message,
    );
    await condition(lab, 'ciidentity/brief', 'Authorized', { status: 'False', reason: 'IssuerNotConfigured' }, team);
    t.is(brief.stats.count(), 0);
  },
);

test.serial('the configuration gets that issuer: the running process takes it over', async (t) => {
  await secret('brief-registration', brief.initialAccessToken);
  await addIssuer('brief', brief, { rateLimit: { perSecond: 3, burst: 2 } });
  await identityReady(lab, 'brief');
  t.true(operator.log().includes('configuration reloaded'));
  t.is((await statusOf(lab, 'identitypool/ci-bots')).conditions?.find(({ type }) => type === 'Ready')?.status, 'True');
});

test.serial(
  'a provider that does not verify the algorithm of the first key, which is made before it is asked: another key is made',
  async (t) => {
    await secret('old-registration', old.initialAccessToken);
    await addIssuer('old', old);
    await lab.apply(
      pool('old-bots', old.issuer),
      policy('old', { role: 'publisher', pool: 'old-bots', scopes: ['artifacts:publish'] }),
      identity('old', { pool: 'old-bots', roles: ['publisher'] }),
    );
    await identityReady(lab, 'old');
    t.deepEqual(
      old.clients().map(({ kids }) => kids.length),
      [1],
    );
  },
);

test.serial('an unusable configuration is refused as a whole, and the one before stays in force', async (t) => {
  const good = readFileSync(lab.configFile, 'utf8');
  writeFileSync(lab.configFile, good.replace('"ControllerConfiguration"', '"Nonsense"'));
  await eventually('the log says so', () => (operator.log().includes('the old one stays in force') ? true : undefined));
  const pod = await createPod(lab, nextPodName(), ['brief']);
  t.truthy(await tokenOf(lab, pod, 'brief'));
  writeFileSync(lab.configFile, good);
});

test.serial(
  'a token is renewed under the same Secret, and the superseded one is revoked deliveryLag later',
  async (t) => {
    const pod = await createPod(lab, nextPodName(), ['brief']);
    const first = await tokenOf(lab, pod, 'brief');
    const before = await deliveryOf(lab, pod, 'brief');
    const second = await tokenOf(lab, pod, 'brief', first);
    t.true(isLive(brief, second));
    const after = await deliveryOf(lab, pod, 'brief');
    t.is(after.metadata.uid, before.metadata.uid);
    await dies(brief, first);
    const lineOf = (name: string, token: string): Promise<AuditEntry> =>
      eventually(`the audit says ${name}`, () =>
        auditOf(operator).find(({ event, token_sha256 }) => event === name && token_sha256 === sha256(token)),
      );
    const line = await lineOf('Revoked', first);
    t.like(line, { reason: 'Superseded', outcome: 'Success' });
    const lag = Date.parse(line.time) - Date.parse((await lineOf('Delivered', second)).time);
    t.true(lag >= 2_000, `revoked ${lag} ms after the delivery, while the kubelet might serve it`);
    await eventually(
      'the record forgets it',
      async () =>
        (await sessions(lab))
          .find((record) => record.pod.uid === pod.uid)
          ?.tokens.every(({ sha256: of }) => of !== sha256(first)) || undefined,
    );
    await condition(lab, 'ciidentity/brief', 'Probed', { status: 'True', reason: 'TokenLifetimeTooShort' }, team);
    await lab.kubectl(['delete', 'pod', '-n', team, '--all', '--wait=false']);
  },
);

test.serial(
  'every issuer is lost from the configuration by mistake: no build loses its token, renewals wait; put back, all go on',
  async (t) => {
    const good = readFileSync(lab.configFile, 'utf8');
    const [long, short] = [
      await createPod(lab, nextPodName(), ['publisher']),
      await createPod(lab, nextPodName(), ['brief']),
    ];
    const kept = await tokenOf(lab, long, 'publisher');
    await tokenOf(lab, short, 'brief');
    writeFileSync(lab.configFile, JSON.stringify({ ...(JSON.parse(good) as object), issuers: [] }));
    const want = { status: 'False', reason: 'IssuerNotConfigured' };
    for (const name of ['ci-bots', 'brief-bots']) {
      const { message } = await condition(lab, `identitypool/${name}`, 'Ready', want);
      t.regex(message, /Tokens that pods hold stay good until they expire, and none of them is renewed or revoked/);
    }
    const held = await tokenOf(lab, short, 'brief');
    await condition(lab, 'ciidentity/publisher', 'Authorized', want, team);
    const notListed =
      /issuer \S+ is not listed in the configuration of the operator, so it is never called\. Ask .+ to add it under issuers/;
    await refusedPod(lab, 'unlisted', 'publisher', notListed);
    await dies(brief, held, 30_000);
    await eventually('the short token expires by itself', () =>
      auditOf(operator).find(({ event, token_sha256 }) => event === 'Expired' && token_sha256 === sha256(held)),
    );
    t.true(isLive(lab.provider, kept));
    t.is((await deliveryOf(lab, long, 'publisher')).files['token'], kept);
    const ours = [long.uid, short.uid];
    t.deepEqual(
      auditOf(operator).filter(({ event, pod }) => event === 'Forbidden' && ours.includes(pod?.uid ?? '')),
      [],
    );
    writeFileSync(lab.configFile, good);
    t.truthy(await tokenOf(lab, short, 'brief', held, 30_000));
    await identityReady(lab, 'publisher');
    t.is((await deliveryOf(lab, long, 'publisher')).files['token'], kept);
    await lab.kubectl(['delete', 'pod', '-n', team, '--all', '--wait=false']);
  },
);

test.serial(
  'a provider is down while pods are created: other issuers go on, and after recovery the oldest come first, but for the one that found out',
  async (t) => {
    const up = brief.faults.add({ dropRequest: true });
    const pods: Pod[] = [];
    for (let n = 0; n < 4; n += 1) {
      pods.push(await createPod(lab, nextPodName(), ['brief']));
      // Ages of pods are told in whole seconds, so each is born in another one.
      await new Promise((resolve) => setTimeout(resolve, 1_050));
    }
    const other = await createPod(lab, nextPodName(), ['publisher']);
    t.truthy(await tokenOf(lab, other, 'publisher', undefined, 10_000));
    const from = brief.stats.count('token');
    t.true(from < 20, `${from} token requests while the provider was down`);
    up();
    await Promise.all(pods.map((pod) => tokenOf(lab, pod, 'brief', undefined, 60_000)));
    const minted = auditOf(operator)
      .filter(({ event, pod }) => event === 'Minted' && pods.some(({ uid }) => uid === pod?.uid))
      .map(({ pod }) => pod?.name);
    const [, ...others] = minted;
    t.deepEqual(
      others,
      pods.map(({ name }) => name).filter((name) => others.includes(name)),
    );
    t.is(new Set(minted).size, 4);
    await identityReady(lab, 'brief');
  },
);

test.serial(
  'a wrong registration credential: RegistrationCredentialRefused with what to do; corrected, it heals by itself',
  async (t) => {
    await secret('wary-registration', 'not-the-right-one');
    await addIssuer('wary', wary);
    await lab.apply(
      pool('wary-bots', wary.issuer),
      policy('wary', { role: 'publisher', pool: 'wary-bots', scopes: ['artifacts:publish'] }),
      identity('wary', { pool: 'wary-bots', roles: ['publisher'] }),
    );
    const want = { status: 'False', reason: 'RegistrationCredentialRefused' };
    const { message } = await condition(lab, 'identitypool/wary-bots', 'RegistrationCredentialValid', want);
    t.regex(message, /^IdentityPool wary-bots: /);
    t.regex(message, /registrationTokenRef/);
    t.false(message.includes('not-the-right-one'));
    await condition(lab, 'identitypool/wary-bots', 'Ready', want);
    await eventually('the audit says so, without the credential', () =>
      auditOf(operator).find(
        ({ event, outcome, reason, pool: of }) =>
          event === 'Registered' && outcome === 'Failure' && reason === want.reason && of === 'wary-bots',
      ),
    );
    t.false(operator.audit().includes('not-the-right-one'));
    await secret('wary-registration', wary.initialAccessToken);
    await eventually(
      'the identity is Ready',
      async () =>
        (await statusOf(lab, 'ciidentity/wary', team)).conditions?.find(({ type }) => type === 'Ready')?.status ===
          'True' || undefined,
      { timeoutMs: 60_000 },
    );
  },
);
