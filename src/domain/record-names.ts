/** What the records of the operator are called: by hashes of UIDs, which nobody can edit. */
import { sha256 } from '../digest.ts';

export function clientRecordName(poolUid: string, namespace: string, identityUid: string): string {
  return `client-${sha256(poolUid, namespace, identityUid).slice(0, 32)}`;
}

export function sessionRecordName(podUid: string, identityUid: string): string {
  return `session-${sha256(podUid, identityUid).slice(0, 32)}`;
}

export function limitsRecordName(identityUid: string): string {
  return `limits-${sha256(identityUid).slice(0, 32)}`;
}
