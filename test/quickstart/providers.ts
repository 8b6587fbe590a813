/** The providers that the quickstart can tell its story with, each with the resource server's side of it. */
import { Agent, fetch as fetchWithDispatcher } from 'undici';
import { type LabProvider, labResources, labScopes } from '#test/support/lab.ts';
import { startKeycloak } from '#test/keycloak/keycloak.ts';
import { startOidcProvider } from '#test/providers/oidc-provider.ts';
import { registerResourceServer } from './resource-server.ts';
import { byIntrospection, byJwks, type Fetch } from './validate.ts';

/** Longer than two renewals' worth of waiting; the quickstart's node delivers within ten seconds. */
export const tokenLifetime = 80;

const audience = 'https://registry.example.com';

export interface StoryProvider extends LabProvider {
  /** As the operator's configuration calls it. */
  readonly profile: string;
  /** `spec.provider` of the pool, as YAML on one line. */
  readonly poolProvider: string;
  /** The client of the pool, once it is there. */
  clientId(): Promise<string | undefined>;
  /** How the registry checks tokens, in words and in deed. */
  readonly checkedBy: string;
  check(): Promise<(token: string) => Promise<readonly string[]>>;
  /** What an administrator has to do before the pool can work; absent: nothing. */
  readonly administrator?: { readonly steps: string; take(): Promise<void> };
}

function trusting(caPem: string): Fetch {
  const dispatcher = new Agent({ connect: { ca: caPem } });
  return (url, init) => fetchWithDispatcher(url, { ...init, dispatcher } as never) as unknown as Promise<Response>;
}

export async function oidcProvider(): Promise<StoryProvider> {
  const provider = await startOidcProvider({ scopes: labScopes, resources: labResources, tokenTtl: tokenLifetime });
  return {
    issuer: provider.issuer,
    caPem: provider.caPem,
    initialAccessToken: provider.initialAccessToken,
    profile: 'Generic',
    poolProvider: `{ issuer: '${provider.issuer}' }`,
    clientId: () =>
      Promise.resolve(provider.clients().find(({ name }) => name?.startsWith('ci-identity') === true)?.clientId),
    checkedBy: 'it introspects every token',
    async check() {
      const client = await registerResourceServer(provider);
      return byIntrospection({ issuer: provider.issuer, audience, ...client }, trusting(provider.caPem));
    },
    stop: () => provider.stop(),
  };
}

/** A realm as Keycloak makes it; the steps are those of `src/providers/README.md`. */
export async function keycloak(log: (line: string) => void): Promise<StoryProvider> {
  const server = await startKeycloak({ log });
  const realm = await server.realm();
  const carrier = 'registry-audience';
  const scopes = ['artifacts:publish', 'artifacts:read'];
  const fetch = trusting(server.caPem);
  return {
    issuer: realm.issuer,
    caPem: server.caPem,
    initialAccessToken: await realm.initialAccessToken({ count: 1 }),
    profile: 'Keycloak',
    poolProvider: `{ issuer: '${realm.issuer}', audience: { by: Scope, scopes: { '${audience}': ${carrier} } } }`,
    clientId: async () => (await realm.clientIds())[0],
    checkedBy: "it verifies every token's signature by JWKS, and introspects it",
    async check() {
      const trust = { issuer: realm.issuer, audience, ...(await realm.resourceServer()) };
      const [alone, asking] = [await byJwks(trust, fetch), await byIntrospection(trust, fetch)];
      return async (token) => {
        await alone(token);
        return asking(token);
      };
    },
    administrator: {
      steps: realm.steps({ scopes, audiences: { [audience]: carrier } }),
      take: () => realm.prepare({ scopes, audiences: { [audience]: carrier } }),
    },
    stop: () => server.stop(),
  };
}
