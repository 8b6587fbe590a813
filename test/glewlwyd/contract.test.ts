import { issuerAt } from '#test/providers/contract-issuer.ts';
import { contractRows } from '#test/providers/contract-rows.ts';
import { runContract } from '#test/providers/contract-run.ts';
import { glewlwydTraits } from '#test/providers/contract-traits.ts';
import { startGlewlwyd } from './glewlwyd.ts';

runContract(
  glewlwydTraits,
  async () => {
    const glewlwyd = await startGlewlwyd();
    const registrationToken = await glewlwyd.registrationToken();
    return {
      issuer: issuerAt(glewlwyd, 'Glewlwyd', registrationToken),
      scopes: ['artifacts:publish', 'artifacts:read'],
      audience: 'https://registry.example.com',
      unknownAudience: 'https://unknown.example.com',
      carrier: 'registry-audience',
      another: (token = registrationToken) => issuerAt(glewlwyd, 'Glewlwyd', token),
      removeClient: (clientId) => glewlwyd.removeClient(clientId),
      renameClient: (clientId, name) => glewlwyd.editClient(clientId, { name }),
      clientIds: () => glewlwyd.clientIds(),
      isLive: (token) => glewlwyd.isLive(token),
      caPem: glewlwyd.caPem,
      stop: () => glewlwyd.stop(),
    };
  },
  contractRows,
);
