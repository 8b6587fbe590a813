import { apiVersion } from '../api/names.ts';
import type { CiIdentity } from '../api/v1alpha1/ci-identity.ts';
import type { IdentityPool } from '../api/v1alpha1/identity-pool.ts';
import type { ScopePolicy } from '../api/v1alpha1/scope-policy.ts';
import type { Known } from '../decision.ts';
import type { Access } from '../domain/access/access.ts';
import { authorize } from '../domain/access/authorize.ts';
import { nearName } from '../domain/access/near-name.ts';
import type { NamespaceFacts } from '../domain/access/rules.ts';
import type { SessionRecord } from '../domain/session/record.ts';
import { keyOf } from '../api/meta.ts';
import type { Kept } from '../runtime/store.ts';
import type { Memory } from './memory.ts';

interface Entry {
  readonly version: string;
  readonly access: Known<Access>;
}

interface Judged extends Entry {
  /** The spec that was judged. */
  readonly asked: string;
}

/** To judge one takes up to a few milliseconds, and whoever leads has to renew the lease in between. */
const judgedAtOnce = 32;

/**
 * What each identity may have, computed once per change of what it depends on: a policy edit that wakes 1,000 sessions of one identity
 * authorizes once.
 */
export class AccessCache {
  readonly #memory: Memory;
  readonly #isConfigured: (issuer: string) => boolean;
  readonly #entries = new Map<string, Judged>();
  /** Of held sessions: it goes with the record. */
  readonly #held = new WeakMap<SessionRecord, Entry>();
  #policies = 0;
  /** As of that version, so that every identity is judged by the same list. */
  #listed: { readonly version: number; readonly policies: Known<readonly ScopePolicy[]> } | undefined;
  #configuration = 0;
  /** Which pools there are: where one is missing, the nearest name is part of what is said. */
  #poolNames = 0;
  #told: (identity: CiIdentity, policies: ReadonlySet<string>) => void = () => {};

  constructor(memory: Memory, isConfigured: (issuer: string) => boolean) {
    this.#memory = memory;
    this.#isConfigured = isConfigured;
    memory.policies.onChange((_name, next, previous) => {
      if (next?.metadata.generation !== previous?.metadata.generation || next?.uid !== previous?.uid)
        this.#policies += 1;
    });
    memory.policies.onSynced(() => (this.#policies += 1));
    memory.pools.onChange((_key, next, previous) => {
      if (next === undefined || previous === undefined) this.#poolNames += 1;
    });
    memory.identities.onChange((key, next, previous) => {
      if (next !== undefined) return;
      const given = policiesIn(this.#entries.get(key)?.access);
      this.#entries.delete(key);
      if (previous !== undefined && given.size > 0) this.#told(previous, given);
    });
  }

  /** The configured issuers changed. */
  configurationChanged(): void {
    this.#configuration += 1;
  }

  /** Called when an identity was judged and gets something else than before, with the policies that gave or give it something. */
  onChange(told: (identity: CiIdentity, policies: ReadonlySet<string>) => void): void {
    this.#told = told;
  }

  of(identity: CiIdentity): Known<Access> {
    return this.#upToDate(identity) ?? this.#judge(identity);
  }

  /**
   * For one look at many identities: few are judged anew in it. The rest are as they were judged last, or `Unknown` where they ask for something
   * else by now; each is judged in its own turn, and {@link onChange} tells of it. `first`: those of which nothing is known yet, as after a start.
   */
  forMany(first: 'Judged' | 'Unknown'): Pick<AccessCache, 'of'> {
    let judged = 0;
    const isDue = (identity: CiIdentity): boolean =>
      (first === 'Judged' && !this.#entries.has(keyOf(identity.metadata))) || (judged += 1) <= judgedAtOnce;
    return {
      of: (identity) =>
        this.#upToDate(identity) ??
        (isDue(identity) ? this.#judge(identity) : (this.#last(identity)?.access ?? { is: 'Unknown' })),
    };
  }

  #upToDate(identity: CiIdentity): Known<Access> | undefined {
    const known = this.#last(identity);
    return known?.version === this.#versionFor(identity) ? known?.access : undefined;
  }

  /** What was found of what it asks for now, under policies that may be old. */
  #last(identity: CiIdentity): Judged | undefined {
    const known = this.#entries.get(keyOf(identity.metadata));
    return known?.asked === askedIn(identity) ? known : undefined;
  }

  #judge(identity: CiIdentity): Known<Access> {
    const key = keyOf(identity.metadata);
    const known = this.#entries.get(key);
    const pool = this.#memory.pool(identity.spec.pool);
    const namespace = this.#memory.namespace(identity.metadata.namespace ?? '');
    const access = this.#authorize(identity, pool, namespace);
    const asked = askedIn(identity);
    this.#entries.set(key, { version: this.#versionFor(identity), asked, access });
    const policies = new Set([...policiesIn(known?.access), ...policiesIn(access)]);
    if (known?.asked === asked ? giftOf(known.access) !== giftOf(access) : policies.size > 0)
      this.#told(identity, policies);
    return access;
  }

  /**
   * Whether what the session holds would still be granted, although its CiIdentity is gone or its pool goes with its kind: only a brake keeps such
   * a session, and policies and pools go on being edited. `undefined` where the record does not say in which roles it was minted, and where the
   * pool was deleted as well: it may have vanished by the same accident.
   */
  ofHeld(record: SessionRecord): Known<Access> | undefined {
    const { pod, identity, pool, tokens } = record;
    const held = tokens.at(-1)?.ask;
    const known = this.#memory.pool(pool.name);
    if (identity.roles === undefined || held === undefined || known.is !== 'Seen') return undefined;
    const { deletionTimestamp, ...metadata } = known.value.metadata;
    if (deletionTimestamp !== undefined && !this.#memory.poolVanishes(pool.name)) return undefined;
    const namespace = this.#memory.namespace(pod.namespace);
    const version = this.#versionOf(known, namespace);
    const before = this.#held.get(record);
    if (before?.version === version) return before.access;
    const { name, uid, roles } = identity;
    const { scopes, audiences } = held;
    const standIn = {
      apiVersion,
      kind: 'CiIdentity',
      metadata: { namespace: pod.namespace, name, uid },
      spec: { pool: pool.name, roles, scopes, audiences },
    } as const;
    const access = this.#authorize(standIn, { is: 'Seen', value: { ...known.value, metadata } }, namespace);
    this.#held.set(record, { version, access });
    return access;
  }

  #versionFor({ spec, metadata }: CiIdentity): string {
    return this.#versionOf(this.#memory.pool(spec.pool), this.#memory.namespace(metadata.namespace ?? ''));
  }

  #nearPool(name: string, pool: Known<IdentityPool>): string | undefined {
    if (pool.is !== 'Gone') return undefined;
    return nearName(
      name,
      [...this.#memory.pools.entries()].map(([one]) => one),
    );
  }

  /** Of everything that decides, but for the identity. */
  #versionOf(pool: Known<IdentityPool>, namespace: Known<NamespaceFacts & Kept>): string {
    return [
      pool.is === 'Seen'
        ? `${pool.value.metadata.uid}/${pool.value.metadata.generation}/${pool.value.metadata.deletionTimestamp}`
        : `${pool.is} ${pool.is === 'Gone' ? this.#poolNames : ''}`,
      namespace.is === 'Seen' ? namespace.value.resourceVersion : namespace.is,
      this.#policies,
      this.#configuration,
    ].join(' ');
  }

  #allPolicies(): Known<readonly ScopePolicy[]> {
    if (this.#listed?.version !== this.#policies)
      this.#listed = { version: this.#policies, policies: this.#memory.allPolicies() };
    return this.#listed.policies;
  }

  #authorize(identity: CiIdentity, pool: Known<IdentityPool>, namespace: Known<NamespaceFacts>): Known<Access> {
    return authorize({
      identity,
      pool,
      nearPool: this.#nearPool(identity.spec.pool, pool),
      policies: this.#allPolicies(),
      namespace,
      issuerConfigured: pool.is === 'Seen' && this.#isConfigured(pool.value.spec.provider.issuer),
    });
  }
}

function askedIn({ metadata: { uid, generation } }: CiIdentity): string {
  return `${uid} ${generation}`;
}

/** The policies that give something. */
function policiesIn(access: Known<Access> | undefined): ReadonlySet<string> {
  return new Set(
    access?.is === 'Seen' && access.value.is === 'Granted' ? access.value.by.map(({ by }) => by.policy) : [],
  );
}

/** What is granted, and by whom; '': nothing. */
function giftOf(access: Known<Access>): string {
  return access.is === 'Seen' && access.value.is === 'Granted'
    ? [access.value.hash, ...policiesIn(access)].join(' ')
    : '';
}
