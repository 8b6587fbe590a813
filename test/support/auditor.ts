/**
 * An independent auditor: looks at raw objects of the API server, at the provider's own records and at the audit streams, and says which
 * promise is broken. It shares no code with the program on purpose. Everything it says holds for a settled system; ask again until it is.
 */
import type { LiveToken, ProviderClient } from '#test/providers/oidc-provider.ts';
import { clientFindings } from './auditor-clients.ts';
import { deliveryFindings, fileFindings } from './auditor-deliveries.ts';
import { type AuditLine, type Facts, type Raw, type ScopesOf, type World, decode, sha256 } from './auditor-facts.ts';
import { callFindings, chain, lineFindings, outcomeFindings, taleFindings } from './auditor-lines.ts';
import { observedFindings, statusFindings } from './auditor-status.ts';
import { sessionFindings, unknownTokens } from './auditor-tokens.ts';

export interface AuditorSources {
  /** What the API server answers to this path, as an administrator. */
  get(path: string): Promise<unknown>;
  readonly provider: {
    clients(): readonly ProviderClient[];
    liveTokens(): readonly LiveToken[];
    revokedTokens(): readonly { readonly sha256: string }[];
    deregisteredClients(): readonly string[];
  };
  /** The audit stream of each process so far. */
  auditStreams(): readonly string[];
  /** Everything else that the processes wrote. */
  logs(): readonly string[];
  /**
   * What a pod may have of an identity now; an empty list: nothing. Absent: whoever claims an identity is entitled to it, and every object
   * is ready.
   */
  entitled?(world: World, pod: Raw, identity: string): readonly string[];
  /** Uids of pools that left their clients at the provider on purpose. */
  readonly retained?: ReadonlySet<string>;
  /** The provider fails until further notice: pools may say that it is unavailable. */
  away?(): boolean;
}

export class Auditor {
  readonly #sources: AuditorSources;
  /** By owner: the most orphans that a pool's status ever admitted. A deleted pool cannot say it any more. */
  readonly #admitted = new Map<string, number>();
  /** Of every token of a session that the provider ever honoured, so that a look at the streams finds it later. */
  readonly #secrets = new Set<string>();
  /** Hashes of live tokens that somebody accounted for. */
  readonly #pardoned = new Set<string>();

  constructor(sources: AuditorSources) {
    this.#sources = sources;
  }

  /**
   * Every broken promise as a sentence; none: all is well. `lostProbes`: how many tokens of proofs may live in no record, because whoever
   * asks killed the process, or lost an answer, before they could be revoked.
   */
  async findings(lostProbes = 0): Promise<readonly string[]> {
    const broken: string[] = [];
    const streams = this.#sources.auditStreams();
    const lines = streams.flatMap((stream) => chain(stream, broken));
    const facts = await this.#look(lines);
    this.#remember(facts);
    for (const [name, { epoch }] of [...facts.clients, ...facts.sessions])
      if (epoch > facts.epoch) broken.push(`record ${name} is of epoch ${epoch}, the lease of ${facts.epoch}`);
    clientFindings(facts, this.#admitted, this.#sources.retained ?? new Set(), broken);
    sessionFindings(facts, this.#scopesOf(facts), broken);
    if (this.#sources.entitled === undefined) statusFindings(facts, this.#sources.away?.() === true, broken);
    else observedFindings(facts, broken);
    lineFindings(facts, this.#sources.provider.revokedTokens(), broken);
    callFindings(facts, this.#sources.provider.deregisteredClients(), broken);
    outcomeFindings(facts, broken);
    taleFindings(facts, broken);
    const strays = unknownTokens(facts).filter(({ sha256: hash }) => !this.#pardoned.has(hash));
    if (strays.length > lostProbes)
      for (const { clientId, sha256: hash } of strays)
        broken.push(`a live token of client ${clientId} is in no record, and no audit line tells of it: ${hash}`);
    deliveryFindings(facts, this.#scopesOf(facts), broken);
    fileFindings(facts, broken);
    // The costly look comes last: every secret that ever was in every text that is not meant for one.
    if (broken.length === 0) this.#leaks([...streams, ...this.#sources.logs(), facts.open], broken);
    return broken;
  }

  #scopesOf(facts: Facts): ScopesOf {
    const entitled = this.#sources.entitled?.bind(this.#sources);
    if (entitled === undefined) return () => undefined;
    const pods = new Map(facts.pods.map((pod) => [pod.metadata.uid, pod]));
    return (podUid, identity) => {
      const pod = pods.get(podUid);
      return pod === undefined ? [] : entitled(facts, pod, identity);
    };
  }

  /** The tokens that were lost with a probe so far count for nothing from now on. */
  async pardonProbes(): Promise<void> {
    const facts = await this.#look(this.#sources.auditStreams().flatMap((stream) => chain(stream, [])));
    for (const { sha256: hash } of unknownTokens(facts)) this.#pardoned.add(hash);
  }

  /** How many clients the provider keeps for this owner. */
  clientsOf(owner: string): number {
    return this.#sources.provider.clients().filter(({ softwareId }) => softwareId?.endsWith(`/${owner}`) === true)
      .length;
  }

  admittedOrphans(owner: string): number {
    return this.#admitted.get(owner) ?? 0;
  }

  async #look(lines: readonly AuditLine[]): Promise<Facts> {
    const list = async (path: string): Promise<readonly Raw[]> =>
      ((await this.#sources.get(path)) as { readonly items: readonly Raw[] }).items;
    const ours = '/apis/ci-identity.dev/v1alpha1';
    const leases = '/apis/coordination.k8s.io/v1/namespaces/ci-identity-system/leases';
    // The provider first: a token that it honours now is in a record or a line that is read later.
    const { provider } = this.#sources;
    const [live, there] = [provider.liveTokens(), provider.clients()];
    const [secrets, pods, pools, identities, policies, held, namespaces, configMaps, events] = await Promise.all([
      list('/api/v1/secrets'),
      list('/api/v1/pods'),
      list(`${ours}/identitypools`),
      list(`${ours}/ciidentities`),
      list(`${ours}/scopepolicies`),
      list(leases),
      list('/api/v1/namespaces'),
      list('/api/v1/namespaces/ci-identity-system/configmaps'),
      list('/apis/events.k8s.io/v1/events'),
    ]);
    const records = <R>(kind: string): ReadonlyMap<string, R> =>
      new Map(
        secrets
          .filter(
            ({ type, metadata }) =>
              type === `ci-identity.dev/${kind}-record` && metadata.namespace === 'ci-identity-system',
          )
          .map((raw) => [raw.metadata.name, JSON.parse(decode(raw.data?.['record.json'])) as R]),
      );
    return {
      pools,
      identities,
      policies,
      namespaces,
      configMaps: configMaps.map(({ metadata }) => metadata.name),
      pods,
      live,
      there,
      lines,
      epoch: held.find(({ metadata }) => metadata.name === 'ci-identity-controller')?.spec?.leaseTransitions ?? 0,
      clients: records('client'),
      sessions: records('session'),
      open: JSON.stringify([pods, pools, identities, policies, held, namespaces, configMaps, events]),
      deliveries: new Map(
        secrets
          .filter(({ type }) => type === 'ci-identity.dev/token')
          .map((raw) => [`${raw.metadata.namespace ?? ''}/${raw.metadata.name}`, raw]),
      ),
    };
  }

  #remember({ pools, clients, sessions, live }: Facts): void {
    for (const { metadata, status } of pools) {
      const orphans = status?.clients?.possibleOrphans ?? 0;
      this.#admitted.set(metadata.uid, Math.max(orphans, this.#admitted.get(metadata.uid) ?? 0));
    }
    for (const { value } of live) this.#secrets.add(value);
    for (const { tokens } of sessions.values())
      for (const { value } of tokens) if (value !== undefined) this.#secrets.add(value);
    for (const { management, generations } of clients.values()) {
      if (management !== undefined) this.#secrets.add(management.token);
      for (const { credential } of generations) {
        const jwk = credential.privateJwk;
        const key = jwk === undefined ? undefined : (JSON.parse(jwk) as { readonly d?: string }).d;
        for (const one of [key, credential.secret]) if (one !== undefined) this.#secrets.add(one);
      }
    }
  }

  #leaks(texts: readonly string[], broken: string[]): void {
    const text = texts.join('\n');
    for (const secret of this.#secrets) {
      if (text.includes(secret))
        broken.push(`a secret is in the open in a log, an audit stream or an object: sha256 ${sha256(secret)}`);
    }
  }
}
