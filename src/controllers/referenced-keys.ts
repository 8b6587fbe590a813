import type { Configuration, IssuerConfiguration, KeyRef } from '../config.ts';
import { Redacted } from '../redacted.ts';
import { eachByItself } from '../runtime/each.ts';

/** Reads one Secret or ConfigMap of the operator's namespace as name → value; `undefined` when it does not exist. */
export type ReadKeys = (name: string, signal: AbortSignal) => Promise<Readonly<Record<string, string>> | undefined>;

export interface ReferencedKeysOptions {
  readonly readSecret: ReadKeys;
  readonly readConfigMap: ReadKeys;
  /** Something differs from before. */
  readonly changed: () => void;
}

/**
 * The keys of Secrets and ConfigMaps that the configuration refers to. As what people hand in (`hand-ins.ts`), they are read again from time to
 * time, and one that cannot be read keeps its last value.
 */
export class ReferencedKeys {
  readonly #o: ReferencedKeysOptions;
  #secrets: ReadonlyMap<string, Redacted<string>> = new Map();
  #bundles: ReadonlyMap<string, string> = new Map();
  #newest: Configuration | undefined;

  constructor(options: ReferencedKeysOptions) {
    this.#o = options;
  }

  secret(ref: KeyRef | undefined): Redacted<string> | undefined {
    return ref === undefined ? undefined : this.#secrets.get(refKey(ref));
  }

  bundle(ref: KeyRef | undefined): string | undefined {
    return ref === undefined ? undefined : this.#bundles.get(refKey(ref));
  }

  /**
   * Reads everything that the configuration refers to, each key by itself; rejects at the end where one could not be read. Where another
   * configuration comes meanwhile, what was read for this one is dropped.
   */
  async refresh(configuration: Configuration, signal: AbortSignal): Promise<void> {
    this.#newest = configuration;
    const secrets = new Map(this.#secrets);
    const bundles = new Map(this.#bundles);
    const secretsOf = configuration.issuers.flatMap(secretRefs);
    const bundlesOf = configuration.issuers.flatMap(({ caBundleRef }) => caBundleRef ?? []);
    try {
      await eachByItself(
        [
          ...secretsOf.map((ref) => async () => put(secrets, ref, await this.#readToken(ref, signal))),
          ...bundlesOf.map((ref) => async () => put(bundles, ref, await this.#readBundle(ref, signal))),
        ],
        (read) => read(),
      );
    } finally {
      if (this.#newest === configuration) this.#take(only(secrets, secretsOf), only(bundles, bundlesOf));
    }
  }

  async #readToken({ name, key }: KeyRef, signal: AbortSignal): Promise<Redacted<string> | undefined> {
    const value = (await this.#o.readSecret(name, signal))?.[key]?.trim();
    return value === undefined || value === '' ? undefined : new Redacted(value);
  }

  async #readBundle({ name, key }: KeyRef, signal: AbortSignal): Promise<string | undefined> {
    return (await this.#o.readConfigMap(name, signal))?.[key] ?? (await this.#o.readSecret(name, signal))?.[key];
  }

  #take(secrets: ReadonlyMap<string, Redacted<string>>, bundles: ReadonlyMap<string, string>): void {
    const changed =
      !sameMap(secrets, this.#secrets, (a, b) => a.reveal() === b.reveal()) ||
      !sameMap(bundles, this.#bundles, (a, b) => a === b);
    this.#secrets = secrets;
    this.#bundles = bundles;
    if (changed) this.#o.changed();
  }
}

/** Whether the configuration names this key of a Secret as one of the operator's own credentials. */
export function refersTo(configuration: Configuration, { name, key }: KeyRef): boolean {
  return configuration.issuers.flatMap(secretRefs).some((ref) => ref.name === name && ref.key === key);
}

function secretRefs(issuer: IssuerConfiguration): readonly KeyRef[] {
  return [issuer.registrationTokenRef, issuer.managementTokenRef].filter((ref) => ref !== undefined);
}

function refKey(ref: KeyRef): string {
  return `${ref.name}/${ref.key}`;
}

function put<V>(values: Map<string, V>, ref: KeyRef, value: V | undefined): void {
  if (value === undefined) values.delete(refKey(ref));
  else values.set(refKey(ref), value);
}

function only<V>(values: ReadonlyMap<string, V>, refs: readonly KeyRef[]): ReadonlyMap<string, V> {
  const wanted = new Set(refs.map(refKey));
  return new Map([...values].filter(([key]) => wanted.has(key)));
}

function sameMap<V>(a: ReadonlyMap<string, V>, b: ReadonlyMap<string, V>, same: (x: V, y: V) => boolean): boolean {
  if (a.size !== b.size) return false;
  for (const [key, value] of a) {
    const other = b.get(key);
    if (other === undefined || !same(value, other)) return false;
  }
  return true;
}
