import { liveAfter, managementOf, tagText } from '../../domain/client/generations.ts';
import type { Desired } from '../../domain/client/machine.ts';
import type { ClientRecord, Generation } from '../../domain/client/record.ts';
import type { ClientRef, DesiredClient } from '../../providers/port.ts';

/** The whole desired state of the client of `subject`: every credential that shall authenticate after the call. */
export function desiredClient(
  record: ClientRecord,
  desired: Desired,
  subject: Generation,
  without: number | undefined,
): DesiredClient {
  const live = liveAfter(record, { generation: subject.n, ...(without === undefined ? {} : { without }) });
  return {
    ...(subject.clientId === undefined ? {} : { clientId: subject.clientId }),
    name: `${desired.name} ${subject.n}`,
    tag: tagText(record.tag),
    authentication: subject.credential.type,
    keys: live.flatMap(({ credential }) => (credential.type === 'PrivateKeyJwt' ? [credential.publicJwk] : [])),
    scopes: desired.scopes,
    audiences: desired.audiences,
    maxTokenLifetime: desired.maxTokenLifetime,
  };
}

/** Of a client that nobody wants any more only its being there and its tag matter: that it differs from this means nothing. */
export function nothingDesired(record: ClientRecord, subject: Generation): DesiredClient {
  const { type: authentication } = subject.credential;
  const tag = tagText(record.tag);
  return { name: '', tag, authentication, keys: [], scopes: [], audiences: [], maxTokenLifetime: 0 };
}

export function clientRef(record: ClientRecord, subject: Generation): ClientRef {
  const management = managementOf(record, subject);
  return { clientId: subject.clientId ?? '', ...(management === undefined ? {} : { management }) };
}
