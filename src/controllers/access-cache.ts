import type { CiIdentity } from '../api/v1alpha1/ci-identity.ts';
import type { Known } from '../decision.ts';
import type { Access } from '../domain/access/access.ts';
import { authorize } from '../domain/access/authorize.ts';
import { keyOf } from '../api/meta.ts';
import type { Memory } from './memory.ts';

interface Entry {
  readonly version: string;
  readonly access: Known<Access>;
}

/**
 * What each identity may have, computed once per change of what it depends on: a policy edit that wakes 1,000 sessions of one identity
 * authorizes once.
 */
export class AccessCache {
  readonly #memory: Memory;
  readonly #isConfigured: (issuer: string) => boolean;
  readonly #entries = new Map<string, Entry>();
  #policies = 0;
  #configuration = 0;

  constructor(memory: Memory, isConfigured: (issuer: string) => boolean) {
    this.#memory = memory;
    this.#isConfigured = isConfigured;
    memory.policies.onChange((_name, next, previous) => {
      if (next?.metadata.generation !== previous?.metadata.generation || next?.uid !== previous?.uid)
        this.#policies += 1;
    });
    memory.policies.onSynced(() => (this.#policies += 1));
    memory.identities.onChange((key, next) => {
      if (next === undefined) this.#entries.delete(key);
    });
  }

  /** The configured issuers changed. */
  configurationChanged(): void {
    this.#configuration += 1;
  }

  of(identity: CiIdentity): Known<Access> {
    const key = keyOf(identity.metadata);
    const pool = this.#memory.pool(identity.spec.pool);
    const namespace = this.#memory.namespace(identity.metadata.namespace ?? '');
    const version = [
      identity.metadata.uid,
      identity.metadata.generation,
      pool.is === 'Seen'
        ? `${pool.value.metadata.uid}/${pool.value.metadata.generation}/${pool.value.metadata.deletionTimestamp}`
        : pool.is,
      namespace.is === 'Seen' ? namespace.value.resourceVersion : namespace.is,
      this.#policies,
      this.#configuration,
    ].join(' ');
    const known = this.#entries.get(key);
    if (known?.version === version) return known.access;
    const access = authorize({
      identity,
      pool,
      policies: this.#memory.allPolicies(),
      namespace,
      issuerConfigured: pool.is === 'Seen' && this.#isConfigured(pool.value.spec.provider.issuer),
    });
    this.#entries.set(key, { version, access });
    return access;
  }
}
