import { issuerAt } from '#test/providers/contract-issuer.ts';
import type { Subject, Traits } from '#test/providers/contract.ts';
import { startHydra } from './hydra.ts';

/** A Hydra of its own for the contract. Nobody asks for a registration token there, so the one that is sent is none. */
export async function hydraSubject({ tokenFormat }: Pick<Traits, 'tokenFormat'>): Promise<Subject> {
  const hydra = await startHydra({ tokenFormat });
  const issuer = () => issuerAt(hydra, 'Hydra', 'not-asked-for');
  return {
    issuer: issuer(),
    scopes: ['artifacts:publish', 'artifacts:read'],
    audience: 'https://registry.example.com',
    unknownAudience: 'https://unknown.example.com',
    carrier: 'registry-audience',
    another: issuer,
    removeClient: (clientId) => hydra.removeClient(clientId),
    renameClient: (clientId, name) => hydra.editClient(clientId, { client_name: name }),
    clientIds: () => hydra.clientIds(),
    isLive: (token) => hydra.isLive(token),
    told: (token) => hydra.introspect(token),
    caPem: hydra.caPem,
    stop: () => hydra.stop(),
  };
}
