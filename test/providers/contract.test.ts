import type { Traits } from './contract.ts';
import { issuerAt } from './contract-issuer.ts';
import { contractRows } from './contract-rows.ts';
import { runContract } from './contract-run.ts';
import { oidcProviderJwt, oidcProviderOpaque, oidcProviderStock } from './contract-traits.ts';
import { type OidcProviderOptions, startOidcProvider } from './oidc-provider.ts';

const products: readonly (readonly [Traits, OidcProviderOptions])[] = [
  [oidcProviderOpaque, {}],
  [oidcProviderJwt, { tokenFormat: 'jwt' }],
  [oidcProviderStock, { keepSoftwareId: false, rotateManagementToken: false }],
];

for (const [traits, options] of products) {
  runContract(
    traits,
    async () => {
      const provider = await startOidcProvider(options);
      return {
        issuer: issuerAt(provider, traits.profile, provider.initialAccessToken),
        scopes: ['artifacts:publish', 'artifacts:read'],
        audience: 'https://registry.example.com',
        unknownAudience: 'https://unknown.example.com',
        carrier: 'deploy:staging',
        another: (token = provider.initialAccessToken) => issuerAt(provider, traits.profile, token),
        removeClient: (clientId) => provider.removeClient(clientId),
        renameClient: (clientId, name) => provider.editClient(clientId, { client_name: name }),
        clientIds: () => provider.clients().map(({ clientId }) => clientId),
        isLive: (token) => provider.liveTokens().some(({ value }) => value === token),
        caPem: provider.caPem,
        stop: () => provider.stop(),
      };
    },
    contractRows,
  );
}
