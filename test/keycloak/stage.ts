import { type Program, Programs } from '#test/kill/program.ts';
import { type Lab, type LabProvider, startLabWith } from '#test/support/lab.ts';
import { pool, registry } from '#test/api/operator-lab.ts';
import { parseJsonObject } from '#src/providers/fields.ts';
import type { Keycloak } from './keycloak.ts';
import type { Realm } from './realm.ts';

/** Audience → client scope that carries it. */
export const audiences = { [registry]: 'registry-audience' };

export const claimsOf = (token: string): Readonly<Record<string, unknown>> =>
  parseJsonObject(Buffer.from(token.split('.')[1] ?? '', 'base64url').toString('utf8')) ?? {};

/** What the tests of the operator share: a cluster, the running program, and one realm that starts as Keycloak makes it. */
export interface Stage {
  readonly keycloak: Keycloak;
  readonly realm: Realm;
  readonly lab: Lab<LabProvider>;
  readonly programs: Programs;
  program: Program;
  /** `spec.provider` of a pool. */
  readonly provider: Readonly<Record<string, unknown>>;
  /** A pool whose tokens are for {@link registry} and live a minute; an old credential stays at least as long. */
  readonly pool: (name: string, spec?: Readonly<Record<string, unknown>>) => string;
  stop(): Promise<void>;
}

/** `registrations`: clients that may be registered. */
export async function startStage(keycloak: Keycloak, registrations: number): Promise<Stage> {
  const realm = await keycloak.realm('stock-operator');
  const { issuer } = realm;
  const lab = await startLabWith<LabProvider>(
    async () => ({
      issuer,
      caPem: keycloak.caPem,
      initialAccessToken: await realm.initialAccessToken({ count: registrations }),
      stop: () => Promise.resolve(),
    }),
    { profile: 'Keycloak', deliveryLag: '2s' },
  );
  const programs = new Programs(lab);
  const program = programs.program();
  await lab.guarded();
  const provider = { issuer, audience: { by: 'Scope', scopes: audiences } };
  return {
    keycloak,
    realm,
    lab,
    programs,
    program,
    provider,
    pool: (name, spec = {}) =>
      pool(name, issuer, {
        provider,
        ceiling: {
          scopes: ['artifacts:publish', 'artifacts:read'],
          audiences: [registry],
          maxTokenLifetime: '1m',
        },
        rotation: { overlap: '1m' },
        ...spec,
      }),
    async stop() {
      await programs.close();
      await lab.stop();
    },
  };
}
