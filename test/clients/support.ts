/** What the tests of clients say in one line each. */
import { generateKeyPairSync, randomUUID } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import { plus } from '#src/clock.ts';
import type { Condition } from '#src/api/meta.ts';
import type { ClientRecord } from '#src/domain/client/record.ts';
import { condition } from '#test/api/operator-lab.ts';
import { eventually } from '#test/support/eventually.ts';
import type { Lab, LabProvider } from '#test/support/lab.ts';

export const system = 'ci-identity-system';

/** A key as an administrator makes one: the private half as JWK for the Secret, the public half for the provider. */
export function administratorsKey(): { readonly kid: string; readonly secret: string; readonly jwk: object } {
  const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const names = { kid: randomUUID(), alg: 'ES256', use: 'sig' };
  return {
    kid: names.kid,
    secret: JSON.stringify({ ...privateKey.export({ format: 'jwk' }), ...names }),
    jwk: { ...publicKey.export({ format: 'jwk' }), ...names },
  };
}

/** Creates the Secret or replaces it as a whole. */
export async function secret(
  lab: Lab<LabProvider>,
  name: string,
  stringData: Readonly<Record<string, string>>,
  annotations: Readonly<Record<string, string>> = {},
): Promise<void> {
  const metadata = { name, namespace: system, annotations };
  await lab.kubectl(['delete', 'secret', '-n', system, name, '--ignore-not-found']);
  await lab.apply(JSON.stringify({ apiVersion: 'v1', kind: 'Secret', metadata, stringData }));
}

/** The token of the provider's administrator manages every client: `managementTokenRef` of each issuer in the configuration file. */
export async function administratorManages(lab: Lab): Promise<void> {
  await secret(lab, 'administrator', { token: lab.provider.administratorToken });
  const file = JSON.parse(readFileSync(lab.configFile, 'utf8')) as { readonly issuers: readonly object[] };
  const issuers = file.issuers.map((one) => ({ ...one, managementTokenRef: { name: 'administrator', key: 'token' } }));
  writeFileSync(lab.configFile, JSON.stringify({ ...file, issuers }));
}

type Stored = Omit<ClientRecord, 'generations'> & {
  readonly generations: readonly Pick<ClientRecord['generations'][number], 'n' | 'state' | 'since' | 'clientId'>[];
};

interface StoredSecret {
  readonly metadata: { readonly name: string; readonly resourceVersion: string };
  readonly data: Readonly<Record<string, string>>;
}

/** The client records of a pool as they are stored, by name. */
export async function records(
  lab: Lab<LabProvider>,
  pool: string,
): Promise<readonly (readonly [name: string, record: Stored])[]> {
  const args = ['get', 'secrets', '-n', system, '-l', 'ci-identity.dev/kind=client', '-o', 'json'];
  const list = JSON.parse(await lab.kubectl(args)) as { items: readonly StoredSecret[] };
  return list.items
    .map(({ metadata, data }) => [metadata.name, JSON.parse(decoded(data['record.json'])) as Stored] as const)
    .filter(([, record]) => record.pool.name === pool);
}

/** The one record of a pool, once `holds` is true of it. */
export function recordWhere(
  lab: Lab<LabProvider>,
  pool: string,
  what: string,
  holds: (record: Stored) => boolean,
  timeoutMs = 60_000,
): Promise<readonly [name: string, record: Stored]> {
  return eventually(
    `the record of ${pool} ${what}`,
    async () => {
      const [found] = await records(lab, pool);
      if (found !== undefined && holds(found[1])) return found;
      const { generations, managementLost, observed } = found?.[1] ?? {};
      throw new Error(
        JSON.stringify({ generations, managementLost, observed }, (key, value: unknown) =>
          key === 'credential' ? undefined : value,
        ),
      );
    },
    { timeoutMs },
  );
}

/** The last look at the provider was so long ago that another one is due; what a day of waiting would do. */
export const letADayPass = (lab: Lab, pool: string): Promise<void> => letPass(lab, pool, 48 * 3_600_000);

/** The last look at the provider was earlier by so many milliseconds. */
export const letPass = (lab: Lab, pool: string, ms: number): Promise<void> =>
  edit(lab, pool, ({ observed }) =>
    observed === undefined ? {} : { observed: { ...observed, at: plus(observed.at, -ms) } },
  );

/** Its credentials are older by so many milliseconds. */
export const letCredentialsAge = (lab: Lab, pool: string, ms: number): Promise<void> =>
  edit(lab, pool, ({ generations }) => ({
    generations: generations.map((one) => ({ ...one, since: plus(one.since, -ms) })),
  }));

/** Again and again until the operator did not write the record in between. */
async function edit(lab: Lab, pool: string, change: (record: Stored) => Partial<Stored>): Promise<void> {
  for (const [name] of await records(lab, pool))
    await eventually(`record ${name} is edited`, async () => {
      const { metadata, data } = JSON.parse(
        await lab.kubectl(['get', 'secret', '-n', system, name, '-o', 'json']),
      ) as StoredSecret;
      const record = JSON.parse(decoded(data['record.json'])) as Stored;
      const text = JSON.stringify({ ...record, ...change(record) });
      const patch = {
        metadata: { resourceVersion: metadata.resourceVersion },
        data: { 'record.json': Buffer.from(text).toString('base64') },
      };
      await lab.kubectl(['patch', 'secret', '-n', system, name, '--type=merge', '-p', JSON.stringify(patch)]);
      return true;
    });
}

function decoded(text: string | undefined): string {
  return Buffer.from(text ?? '', 'base64').toString('utf8');
}

/** A condition of a pool for which somebody's Secret has to be read again first, or a provider's time to pass. */
export function patiently(
  lab: Lab,
  pool: string,
  type: string,
  want: { readonly status: string; readonly reason?: string },
): Promise<Condition> {
  const all = (): Promise<Condition> => condition(lab, `identitypool/${pool}`, type, want);
  return eventually(`${pool} says ${want.reason ?? want.status}`, all, { timeoutMs: 90_000 });
}
