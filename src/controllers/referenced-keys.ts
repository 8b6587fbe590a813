import type { Configuration, IssuerConfiguration, KeyRef } from '../config.ts';
import { Redacted } from '../redacted.ts';

/** Reads one Secret or ConfigMap of the operator's namespace as name → value; `undefined` when it does not exist. */
export type ReadKeys = (name: string, signal: AbortSignal) => Promise<Readonly<Record<string, string>> | undefined>;

/**
 * The keys of Secrets and ConfigMaps that the configuration refers to, held in memory and read again from time to time, because an
 * administrator replaces them without telling us. A key that cannot be read keeps its last value: an API server in trouble must not make
 * us forget a credential.
 */
export class ReferencedKeys {
  readonly #readSecret: ReadKeys;
  readonly #readConfigMap: ReadKeys;
  #secrets = new Map<string, Redacted<string>>();
  #bundles = new Map<string, string>();
  #newest: Configuration | undefined;

  constructor(options: { readonly readSecret: ReadKeys; readonly readConfigMap: ReadKeys }) {
    this.#readSecret = options.readSecret;
    this.#readConfigMap = options.readConfigMap;
  }

  secret(ref: KeyRef | undefined): Redacted<string> | undefined {
    return ref === undefined ? undefined : this.#secrets.get(refKey(ref));
  }

  bundle(ref: KeyRef | undefined): string | undefined {
    return ref === undefined ? undefined : this.#bundles.get(refKey(ref));
  }

  /**
   * Reads everything that the configuration refers to; `true` when something differs from before. Rejects when a read failed. Where another
   * configuration comes meanwhile, what was read for this one is dropped.
   */
  async refresh(configuration: Configuration, signal: AbortSignal): Promise<boolean> {
    this.#newest = configuration;
    const secrets = new Map<string, Redacted<string>>();
    const bundles = new Map<string, string>();
    for (const issuer of configuration.issuers) {
      for (const ref of secretRefs(issuer)) {
        const value = (await this.#readSecret(ref.name, signal))?.[ref.key]?.trim();
        if (value !== undefined && value !== '') secrets.set(refKey(ref), new Redacted(value));
      }
      const ref = issuer.caBundleRef;
      if (ref === undefined) continue;
      const bundle =
        (await this.#readConfigMap(ref.name, signal))?.[ref.key] ??
        (await this.#readSecret(ref.name, signal))?.[ref.key];
      if (bundle !== undefined) bundles.set(refKey(ref), bundle);
    }
    if (this.#newest !== configuration) return false;
    const changed =
      !sameMap(secrets, this.#secrets, (a, b) => a.reveal() === b.reveal()) ||
      !sameMap(bundles, this.#bundles, (a, b) => a === b);
    this.#secrets = secrets;
    this.#bundles = bundles;
    return changed;
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

function sameMap<V>(a: ReadonlyMap<string, V>, b: ReadonlyMap<string, V>, same: (x: V, y: V) => boolean): boolean {
  if (a.size !== b.size) return false;
  for (const [key, value] of a) {
    const other = b.get(key);
    if (other === undefined || !same(value, other)) return false;
  }
  return true;
}
