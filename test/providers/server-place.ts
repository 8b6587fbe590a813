import { mkdtemp } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { claimInstance, removeInstance } from '#test/cluster/instances.ts';
import { type Addresses, addressesOf } from '#test/cluster/layout.ts';
import { watchOver } from '#test/cluster/watchdog.ts';
import { makeServerCertificate, type ServerCertificate } from './certificates.ts';

/** Where one server of a product lives. */
export interface ServerPlace {
  readonly dir: string;
  /** Ports that nobody else uses. */
  readonly addresses: Addresses;
  readonly tls: ServerCertificate;
  /** Ends the processes that run there, and removes everything. */
  readonly remove: () => Promise<void>;
}

/**
 * Starts a server on a place of its own, which is in the same register as the clusters, so that it does not outlive this process: the same watchdog
 * removes it. Where `start` fails nothing is left.
 */
export async function startOnPlace<T>(product: string, start: (place: ServerPlace) => Promise<T>): Promise<T> {
  const dir = await mkdtemp(join(tmpdir(), `ci-identity-${product}-`));
  const { owner, index } = await claimInstance(dir, () => {});
  const unwatch = await watchOver(owner);
  const remove = async (): Promise<void> => {
    await removeInstance(dir);
    unwatch();
  };
  try {
    const tls = await makeServerCertificate(dir, ['127.0.0.1', 'localhost']);
    return await start({ dir, addresses: addressesOf(index), tls, remove });
  } catch (error) {
    await remove();
    throw error;
  }
}
