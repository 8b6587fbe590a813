/** What a rotation is watched at: the provider's own account of its clients and tokens, and accidents on the way to it. */
import type { OidcProvider } from '#test/providers/oidc-provider.ts';
import type { Glewlwyd } from '#test/glewlwyd/glewlwyd.ts';
import { type Hydra, keyIdsOf } from '#test/hydra/hydra.ts';
import type { FaultProxy, ProxiedRequest } from '#test/support/fault-proxy.ts';

/** Requests that change something at the provider. */
export const calls = ['register', 'update', 'delete', 'token', 'revocation'] as const;
export type Call = (typeof calls)[number];

export interface ClientAtProvider {
  readonly clientId: string;
  /** Ids of the keys with which it may authenticate; none with a secret. */
  readonly kids: readonly string[];
}

/** What the administrator of a provider and its resource servers can see. */
export interface ProviderAccount {
  /** Clients of this pool, whoever made them. */
  clients(pool: { readonly name: string; readonly uid: string }): Promise<readonly ClientAtProvider[]>;
  /** Whether a resource server that asks is told that the token is good. */
  honours(token: string): Promise<boolean>;
}

export interface ProviderView extends ProviderAccount {
  /** How often each call arrived since {@link heal}, those of a load not counted. */
  counts(): Readonly<Record<Call, number>>;
  /** The provider does the work of the nth such call from now on, and its answer is lost. */
  lose(call: Call, time: number): void;
  /** The next such call is refused, one too many. */
  refuse(call: Call): void;
  /** Nothing is lost or refused any more, and counting begins anew. */
  heal(): void;
}

const tooMany = { status: 429, headers: { 'retry-after': '1' } } as const;

/** `clients`: which of its clients are looked at; default those that carry the pool's tag. */
export function viewOfOidcProvider(provider: OidcProvider, theirs?: string): ProviderView {
  const { faults, stats } = provider;
  return {
    async clients({ uid }) {
      const all = provider.clients();
      return theirs === undefined
        ? all.filter(({ softwareId }) => softwareId?.endsWith(`/${uid}`) === true)
        : all.filter(({ clientId }) => clientId === theirs);
    },
    honours: async (token) => provider.honours(token),
    counts: () => Object.fromEntries(calls.map((call) => [call, stats.count(call)])) as Record<Call, number>,
    lose: (endpoint, time) => void faults.add({ endpoint, skip: time - 1, times: 1, dropAnswer: true }),
    refuse: (endpoint) => void faults.add({ endpoint, times: 1, instead: tooMany }),
    heal() {
      faults.clear();
      stats.reset();
    },
  };
}

export function accountOfGlewlwyd(glewlwyd: Glewlwyd): ProviderAccount {
  return {
    async clients({ name }) {
      const all = await Promise.all((await glewlwyd.clientIds()).map((id) => glewlwyd.client(id)));
      const own = all.filter((client) => client['enabled'] === true && String(client['name']).includes(` ${name} `));
      return Promise.all(
        own.map(async ({ client_id: clientId }) => ({ clientId, kids: await glewlwyd.keyIdsOf(clientId) })),
      );
    },
    honours: (token) => glewlwyd.isLive(token),
  };
}

export function accountOfHydra(hydra: Hydra): ProviderAccount {
  return {
    async clients({ uid }) {
      const all = await Promise.all((await hydra.clientIds()).map((id) => hydra.client(id)));
      const own = all.filter(({ owner }) => String(owner).endsWith(`/${uid}`));
      return own.map((client) => ({ clientId: client.client_id, kids: keyIdsOf(client) }));
    },
    honours: (token) => hydra.isLive(token),
  };
}

/** Glewlwyd has no faults of its own, so a proxy stands in front of it. */
export function viewOfGlewlwyd(glewlwyd: Glewlwyd, proxy: FaultProxy): ProviderView {
  let seen = 0;
  return {
    ...accountOfGlewlwyd(glewlwyd),
    counts() {
      const fresh = proxy.requests.slice(seen).map(callOf);
      return Object.fromEntries(calls.map((call) => [call, fresh.filter((one) => one === call).length])) as Record<
        Call,
        number
      >;
    },
    lose(call, time) {
      let left = time;
      proxy.on({
        when: (request) => callOf(request) === call && (left -= 1) === 0,
        times: 1,
        fault: { type: 'AnswerLost' },
      });
    },
    refuse(call) {
      proxy.on({ when: (request) => callOf(request) === call, times: 1, fault: { type: 'Answer', ...tooMany } });
    },
    heal() {
      proxy.heal();
      seen = proxy.requests.length;
    },
  };
}

const ofGlewlwyd: readonly (readonly [Call, method: string, path: RegExp])[] = [
  ['register', 'POST', /\/register$/],
  ['update', 'PUT', /\/register\/[^/]+$/],
  ['delete', 'DELETE', /\/register\/[^/]+$/],
  ['token', 'POST', /\/token$/],
  ['revocation', 'POST', /\/revoke$/],
];

function callOf({ method, path, headers }: ProxiedRequest): Call | undefined {
  if (headers['x-load'] !== undefined) return undefined;
  return ofGlewlwyd.find(([, verb, pattern]) => verb === method && pattern.test(path))?.[0];
}
