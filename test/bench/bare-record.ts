import { type Api, expectStatus } from './api.ts';

const path = '/api/v1/namespaces/ci-identity-system/secrets';

/** Writes what a floor keeps of one client: of the type of a client record, but of a kind that the operator does not know. */
export async function writeRecord(api: Api, method: 'POST' | 'PUT', pool: string, record: object): Promise<void> {
  const labels = { 'ci-identity.dev/kind': 'floor' };
  // As the operator does: nobody keeps account of who wrote which field.
  const unmanaged = method === 'PUT' ? { managedFields: [{}] } : {};
  const secret = {
    apiVersion: 'v1',
    kind: 'Secret',
    metadata: { name: nameOf(pool), namespace: 'ci-identity-system', labels, ...unmanaged },
    type: 'ci-identity.dev/client-record',
    data: { 'record.json': Buffer.from(JSON.stringify(record)).toString('base64') },
  };
  const to = method === 'POST' ? path : `${path}/${nameOf(pool)}`;
  expectStatus(to, await api.send(method, to, secret), 200, 201);
}

export async function deleteRecord(api: Api, pool: string): Promise<void> {
  const of = `${path}/${nameOf(pool)}`;
  expectStatus(of, await api.send('DELETE', of), 200);
}

function nameOf(pool: string): string {
  return `client-${pool}`;
}
