import { generation } from '../../domain/client/generations.ts';
import type { ClientRecord } from '../../domain/client/record.ts';
import type { AuditFacts } from '../../telemetry/audit.ts';

/** With whose client and which of its credentials these facts are about. */
export function clientLine(record: ClientRecord, n: number, facts: AuditFacts): AuditFacts {
  const clientId = generation(record, n)?.clientId;
  return {
    pool: record.pool.name,
    issuer: record.issuer,
    generation: n,
    ...(record.namespace === undefined ? {} : { namespace: record.namespace }),
    ...(record.identity === undefined ? {} : { identity: record.identity.name }),
    ...(clientId === undefined ? {} : { client_id: clientId }),
    ...facts,
  };
}
