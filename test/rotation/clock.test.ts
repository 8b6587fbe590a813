/**
 * Rotations at providers whose clocks are five minutes ahead of the operator's and behind it, with keys, and with secrets that live for less
 * than that: no request is refused, nothing counts as expired, and the old credential stays.
 */
import test from 'ava';
import { readFileSync, writeFileSync } from 'node:fs';
import { minute } from '#src/clock.ts';
import {
  auditOf,
  createPod,
  identity,
  identityReady,
  policy,
  pool,
  registry,
  tokenOf,
} from '#test/api/operator-lab.ts';
import { recordWhere, secret, system } from '#test/clients/support.ts';
import { type OidcProvider, startOidcProvider } from '#test/providers/oidc-provider.ts';
import { eventually } from '#test/support/eventually.ts';
import { logOnFailure } from '#test/support/hooks.ts';
import { nextPodName } from '#test/support/jenkins-pod.ts';
import { type Lab, labResources, labScopes, startLab } from '#test/support/lab.ts';
import type { OperatorProcess } from '#test/support/operator-process.ts';

const patient = { timeoutMs: 120_000 };
/** Of client secrets, in seconds: by a wrong clock they have ended already, or never end. */
const secretTtl = 240;

const sides = [
  { side: 'ahead', clockOffset: 5 * minute },
  { side: 'behind', clockOffset: -5 * minute },
] as const;

const kinds = {
  keys: {},
  secrets: { client: { authentication: 'ClientSecretBasic' } },
} as const;

interface Place {
  readonly name: string;
  readonly provider: OidcProvider;
}

type Stored = Awaited<ReturnType<typeof recordWhere>>[1];

const places: Place[] = [];
let lab: Lab;
let operator: OperatorProcess;

test.before(async (t) => {
  t.timeout(540_000);
  lab = await startLab({ deliveryLag: '2s' });
  for (const { side, clockOffset } of sides) {
    const provider = await startOidcProvider({
      scopes: labScopes,
      resources: labResources,
      tokenTtl: 20,
      secretTtl,
      clockOffset,
    });
    places.push(...Object.keys(kinds).map((kind) => ({ name: `${kind}-${side}`, provider })));
    await addIssuer(side, provider);
  }
  operator = await lab.running();
});

logOnFailure(() => operator);
test.after.always(async () => {
  await lab?.stop();
  for (const provider of new Set(places.map((one) => one.provider))) await provider.stop();
});

async function addIssuer(name: string, { issuer, caPem, initialAccessToken }: OidcProvider): Promise<void> {
  await secret(lab, `registration-${name}`, { token: initialAccessToken });
  const metadata = { name: `ca-${name}`, namespace: system };
  await lab.apply(JSON.stringify({ apiVersion: 'v1', kind: 'ConfigMap', metadata, data: { 'ca.crt': caPem } }));
  const file = JSON.parse(readFileSync(lab.configFile, 'utf8')) as { readonly issuers: readonly object[] };
  const added = {
    ...file.issuers[0],
    url: issuer,
    registrationTokenRef: { name: `registration-${name}`, key: 'token' },
    caBundleRef: { name: `ca-${name}`, key: 'ca.crt' },
  };
  writeFileSync(lab.configFile, JSON.stringify({ ...file, issuers: [...file.issuers, added] }));
}

/** Token requests that the provider refused. */
function refused({ provider: { stats } }: Place): number {
  return stats.count('token') - stats.count('token', 200);
}

const each = (work: (place: Place) => Promise<void>): Promise<unknown> => Promise.all(places.map(work));

/** A new build gets a token that the provider honours, by its own clock. */
async function serves({ name, provider }: Place): Promise<void> {
  const pod = await createPod(lab, nextPodName(), [name]);
  const token = await tokenOf(lab, pod, name, undefined, patient.timeoutMs);
  if (!provider.honours(token)) throw new Error(`${name}: its provider does not honour the token`);
}

test.serial(
  'a clock that is five minutes off: registered, served and rotated, and no request is refused',
  async (t) => {
    t.timeout(540_000);
    await each(async (place) => {
      const { name, provider } = place;
      const [kind] = name.split('-') as [keyof typeof kinds];
      await lab.apply(
        pool(name, provider.issuer, {
          ...kinds[kind],
          ceiling: { scopes: ['artifacts:publish'], audiences: [registry], maxTokenLifetime: '1m' },
          rotation: { every: '2d', overlap: '1m', allowSubjectChange: true },
        }),
        policy(name, { role: name, pool: name, scopes: ['artifacts:publish'] }),
        identity(name, { pool: name, roles: [name] }),
      );
      await eventually(`${name} is ready`, () => identityReady(lab, name), patient);
      await serves(place);
      const began = Date.now();
      await lab.kubectl(['annotate', 'identitypool', name, 'ci-identity.dev/rotate=now']);
      const isRotated = (record: Stored): boolean =>
        record.generations.some(({ n, state }) => n === 2 && state === 'Current');
      const [, { generations }] = await recordWhere(lab, name, 'has rotated', isRotated, patient.timeoutMs);
      t.deepEqual(
        generations.map(({ state }) => state),
        ['Draining', 'Current'],
        name,
      );
      for (const { credential } of generations as unknown as readonly { credential: { expiresAt?: number } }[]) {
        if (kind === 'keys') continue;
        const left = (credential.expiresAt ?? 0) - began;
        t.true(left > 0 && left < secretTtl * 1_000 + 2 * minute, `${name}: ${left} ms`);
      }
      await serves(place);
      t.is(refused(place), 0, name);
      const said = auditOf(operator).filter(({ outcome, pool: of }) => of === name && outcome === 'Failure');
      t.deepEqual(said, []);
    });
  },
);
