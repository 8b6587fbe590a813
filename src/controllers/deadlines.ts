/**
 * How long an effect may take. What it answers later is dropped, so each is an outer bound: `providers/http.ts`, `providers/oidc/registration.ts`
 * and `kube/connection.ts` end a single request earlier.
 */
import { second } from '../clock.ts';

export const deadlines = {
  /** Registers, changes or looks at a client. A registration alone may take 30 s, and no secret in an answer may be dropped. */
  clientCall: 45 * second,
  /** A token request with the discovery before it. And what comes right before and after: a token that is in no record is one that nobody knows. */
  tokenCall: 30 * second,
  /** Takes one token back. It is idempotent, so who waits behind a slow one gets the worker, and it is tried again. */
  revocation: 20 * second,
  /** Looks whether somebody else revoked a token. Its session waits for that, and goes on as well without. */
  introspection: 10 * second,
  /** Writes the record or the delivery of a session. */
  sessionWrite: 20 * second,
  /** Any other write at the API server. */
  apiWrite: 15 * second,
} as const;
