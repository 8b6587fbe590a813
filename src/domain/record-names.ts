/** What the records of the operator are called: by hashes of UIDs, which nobody can edit. */
import { sha256 } from '../digest.ts';

export function clientRecordName(poolUid: string, namespace: string, identityUid: string): string {
  return `client-${sha256(poolUid, namespace, identityUid).slice(0, 32)}`;
}

interface ClientOwner {
  readonly pool: { readonly uid: string };
  readonly namespace?: string;
  readonly identity?: { readonly uid: string };
}

/** What the record of this one's client is called. */
export function clientRecordNameOf({ pool, namespace = '', identity }: ClientOwner): string {
  return clientRecordName(pool.uid, namespace, identity?.uid ?? '');
}

export function sessionRecordName(podUid: string, identityUid: string): string {
  return `session-${sha256(podUid, identityUid).slice(0, 32)}`;
}

export function limitsRecordName(identityUid: string): string {
  return `limits-${sha256(identityUid).slice(0, 32)}`;
}
