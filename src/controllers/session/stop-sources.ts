/** What stops whom, from memory. */
import type { CiIdentity } from '../../api/v1alpha1/ci-identity.ts';
import type { IdentityPool } from '../../api/v1alpha1/identity-pool.ts';
import type { Known } from '../../decision.ts';
import type { Stop } from '../../domain/access/access.ts';
import { type StopSources, stopOf } from '../../domain/access/stops.ts';
import type { SessionSnapshot } from '../../domain/session/machine.ts';
import { type SessionRecord, clientsOf } from '../../domain/session/record.ts';
import type { Memory } from '../memory.ts';

/** What may stop this identity, as far as memory knows. */
export function stopSources(
  memory: Memory,
  identity: CiIdentity | undefined,
  pool: Known<IdentityPool>,
  namespaceName: string,
): StopSources {
  const namespace = memory.namespace(namespaceName);
  return {
    ...(identity === undefined ? {} : { identity }),
    ...poolStopSources(memory, pool),
    ...(namespace.is === 'Seen' ? { namespace: namespace.value } : {}),
  };
}

/** The identity names another pool by now, and until that one mints the token is from the pool before. */
export function stopOfBefore(
  memory: Memory,
  record: SessionRecord | undefined,
  poolName: string | undefined,
): Stop | undefined {
  return record === undefined || record.pool.name === poolName
    ? undefined
    : stopOf(poolStopSources(memory, memory.pool(record.pool.name)));
}

export function poolStopSources(memory: Memory, pool: Known<IdentityPool>): StopSources {
  const configMap = memory.emergencyStop();
  return { ...(pool.is === 'Seen' ? { pool: pool.value } : {}), ...(configMap === undefined ? {} : { configMap }) };
}

/** The pool before has minted no longer since, but its last token may still be in use. */
export function stoppedClients(
  memory: Memory,
  record: SessionRecord | undefined,
  poolName: string | undefined,
): Pick<SessionSnapshot, 'stoppedClients'> {
  const stopped = (record === undefined ? [] : clientsOf(record)).filter((client) => {
    const before = memory.clients.get(client)?.record?.pool.name;
    return before !== undefined && before !== poolName && stopOf(poolStopSources(memory, memory.pool(before)));
  });
  return stopped.length === 0 ? {} : { stoppedClients: new Set(stopped) };
}
