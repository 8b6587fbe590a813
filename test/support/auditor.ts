/**
 * An independent auditor: looks at raw objects of the API server, at the provider's own records and at the audit streams, and says which
 * promise is broken. It shares no code with the program on purpose. Everything it says holds for a settled system; ask again until it is.
 */
import type { LiveToken, ProviderClient } from '#test/providers/oidc-provider.ts';
import { type AuditLine, type Facts, type Raw, type World, claimPrefix, decode, sha256 } from './auditor-facts.ts';
import { births, callFindings, lineFindings, outcomeFindings, taleFindings } from './auditor-lines.ts';

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

  /** `undefined`: whatever the ceiling allows. */
  #scopesOf(facts: Facts): (podUid: string, identity: string) => readonly string[] | undefined {
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

/** Somebody stops it: a credential that is not there yet is not made. */
function isStopped({ metadata, spec }: Raw, configMaps: readonly string[]): boolean {
  const stop = 'ci-identity.dev/emergency-stop';
  return spec?.suspend === true || metadata.annotations?.[stop] !== undefined || configMaps.includes('emergency-stop');
}

/** How the provider calls the ways to authenticate. */
const methods: Readonly<Record<string, string>> = {
  PrivateKeyJwt: 'private_key_jwt',
  ClientSecretBasic: 'client_secret_basic',
  ClientSecretPost: 'client_secret_post',
};

function clientFindings(
  { pools, clients, there, configMaps, lines }: Facts,
  admitted: ReadonlyMap<string, number>,
  retained: ReadonlySet<string>,
  broken: string[],
): void {
  const known = new Set<string>();
  const said = new Set(lines.map((line) => `${line.event} ${line.pool ?? ''} ${line.generation ?? ''}`));
  const poolOf = new Map(pools.map((pool) => [pool.metadata.uid, pool]));
  for (const [name, { tag, pool, generations, intent }] of clients) {
    const owner = poolOf.get(tag.owner);
    if (owner === undefined) broken.push(`client record ${name} belongs to pool ${pool.name}, which is gone`);
    const current = generations.filter(({ state }) => state === 'Current');
    const waits = owner !== undefined && current.length === 0 && isStopped(owner, configMaps);
    if (owner?.metadata.deletionTimestamp === undefined && current.length !== 1 && !waits)
      broken.push(`client record ${name} has ${current.length} Current credentials instead of one`);
    for (const { n, state } of generations)
      for (const step of state === 'Current' ? ['Planned', 'Activated'] : ['Planned'])
        if (!said.has(`${step} ${pool.name} ${n}`))
          broken.push(`generation ${n} of ${name} is ${state}, and no audit line says ${step}`);
    if (intent !== undefined) broken.push(`client record ${name} has an open ${intent.call}`);
    for (const { clientId } of generations) if (clientId !== undefined) known.add(clientId);
    for (const { clientId, credential, n } of current) {
      const found = there.find((client) => client.clientId === clientId);
      if (found === undefined)
        broken.push(`Current of ${name} names client ${clientId ?? '?'}, which the provider does not know`);
      else if (found.authentication !== methods[credential.type])
        broken.push(`the client of generation ${n} of ${name} authenticates by ${found.authentication}`);
      else if (credential.secret === undefined && !found.kids.includes(credential.kid ?? ''))
        broken.push(`the provider does not know the key of generation ${n} of ${name}`);
      const kids = generations.map((one) => one.credential.kid);
      for (const kid of found?.kids ?? [])
        if (!kids.includes(kid)) broken.push(`client of ${name} has a key that is in no record`);
    }
  }
  for (const pool of pools) {
    const { metadata } = pool;
    if (metadata.deletionTimestamp !== undefined) continue;
    const owned = [...clients.values()].filter(({ tag }) => tag.owner === metadata.uid);
    if (owned.length === 0 && isStopped(pool, configMaps)) continue;
    if (owned.length !== 1) broken.push(`pool ${metadata.name} has ${owned.length} client records instead of one`);
    if (metadata.finalizers?.includes('ci-identity.dev/clients') !== true)
      broken.push(`pool ${metadata.name} has clients and no finalizer`);
  }
  const orphans = new Map<string, number>();
  for (const { clientId, softwareId } of there) {
    const owner = softwareId?.split('/').at(-1);
    if (owner !== undefined && !known.has(clientId)) orphans.set(owner, (orphans.get(owner) ?? 0) + 1);
  }
  for (const [owner, count] of orphans) {
    const counted = admitted.get(owner) ?? 0;
    if (count > counted && !retained.has(owner))
      broken.push(
        `the provider keeps ${count} clients of owner ${owner} that no record knows; status admits ${counted}`,
      );
  }
}

function sessionFindings(
  { pools, pods, sessions, there, lines, live }: Facts,
  scopesOf: (podUid: string, identity: string) => readonly string[] | undefined,
  broken: string[],
): void {
  const uids = new Set(pods.map(({ metadata }) => metadata.uid));
  for (const [name, { pod, pool, tokens, identity }] of sessions) {
    if (!uids.has(pod.uid)) broken.push(`session record ${name} belongs to pod ${pod.name}, which is gone`);
    const id = `${pod.uid}.${identity.name}`;
    if (!lines.some(({ event, session_id }) => event === 'Requested' && session_id === id))
      broken.push(`session ${id} has a token that no audit line requested`);
    const ceiling = pools.find(({ metadata }) => metadata.name === pool.name)?.spec?.ceiling?.scopes ?? [];
    const allowed = scopesOf(pod.uid, identity.name) ?? ceiling;
    if (allowed.length === 0) broken.push(`session ${id} of pod ${pod.name} has a token without a reason`);
    for (const { sha256: hash, clientId, end } of tokens) {
      if (end !== undefined) broken.push(`session record ${name} still holds a token that is ${end}`);
      if (!there.some((client) => client.clientId === clientId)) broken.push(`${name}: the client of a token is gone`);
      const honoured = live.find((token) => token.sha256 === hash);
      if (honoured === undefined) broken.push(`session record ${name} holds a token that the provider does not honour`);
      else if (honoured.clientId !== clientId || honoured.scopes.some((scope) => !allowed.includes(scope)))
        broken.push(`session record ${name}: its token is another client's or wider than it may be`);
    }
  }
}

/**
 * Tokens that the provider honours and no record knows, but for those that a process left when it was killed: one per request without an
 * answer, and the one that it was about to record.
 */
function unknownTokens({ sessions, live, lines }: Facts): readonly LiveToken[] {
  const recorded = new Set([
    ...[...sessions.values()].flatMap(({ tokens }) => tokens.map((token) => token.sha256)),
    ...unfinished(lines),
  ]);
  const explained = new Map<string, number>();
  for (const clientId of unanswered(lines)) explained.set(clientId, (explained.get(clientId) ?? 0) + 1);
  return live.filter(({ sha256: hash, clientId }) => {
    if (recorded.has(hash)) return false;
    const left = explained.get(clientId) ?? 0;
    explained.set(clientId, left - 1);
    return left <= 0;
  });
}

/** What people are shown: everything ready, nothing on its way out. */
function statusFindings({ pools, identities, policies }: Facts, away: boolean, broken: string[]): void {
  const all = [
    ['pool', 'Ready', pools] as const,
    ['identity', 'Ready', identities] as const,
    ['policy', 'Valid', policies] as const,
  ];
  for (const [what, type, objects] of all) {
    for (const { metadata, status } of objects) {
      const condition = status?.conditions?.find((one) => one.type === type);
      if (metadata.deletionTimestamp !== undefined) broken.push(`${what} ${metadata.name} is on its way out`);
      else if (
        condition?.status !== 'True' &&
        !(away && what === 'pool' && condition?.reason === 'ProviderUnavailable')
      )
        broken.push(`${what} ${metadata.name} is not ${type}: ${condition?.message ?? 'no condition'}`);
    }
  }
}

/** Every object has been looked at as it is now. */
function observedFindings({ pools, identities, policies }: Facts, broken: string[]): void {
  for (const { metadata, status } of [...pools, ...identities, ...policies])
    if (status?.observedGeneration !== metadata.generation)
      broken.push(`the status of ${metadata.name} is about generation ${status?.observedGeneration}`);
}

/** The client of every token request that no line answers. Another request of the same session answers none. */
function unanswered(lines: readonly AuditLine[]): readonly string[] {
  const open = new Map<string, string>();
  const lost: string[] = [];
  for (const { event, session_id: session, client_id: client, process_id: process } of lines) {
    if (session === undefined) continue;
    const key = `${process} ${session}`;
    const before = open.get(key);
    if (event === 'Requested') {
      if (before !== undefined) lost.push(before);
      open.set(key, client ?? '');
    } else if (births.includes(event) || event === 'Discarded') open.delete(key);
  }
  return [...lost, ...open.values()];
}

/** Hashes of tokens whose birth is the last that a process said of their session: it would have recorded and delivered them next. */
function unfinished(lines: readonly AuditLine[]): readonly string[] {
  const last = new Map<string, AuditLine>();
  for (const line of lines) if (line.session_id !== undefined) last.set(`${line.process_id} ${line.session_id}`, line);
  return [...last.values()].flatMap(({ event, token_sha256: hash }) =>
    births.includes(event) && hash !== undefined ? [hash] : [],
  );
}

function deliveryFindings(
  { pods, namespaces, sessions, deliveries, live }: Facts,
  scopesOf: (podUid: string, identity: string) => readonly string[] | undefined,
  broken: string[],
): void {
  for (const { metadata } of pods) {
    if (metadata.deletionTimestamp !== undefined) continue;
    const claims = Object.keys(metadata.annotations ?? {}).filter((key) => key.startsWith(claimPrefix));
    for (const identity of claims.map((key) => key.slice(claimPrefix.length))) {
      const what = `pod ${metadata.name}, identity ${identity}`;
      const session = [...sessions.values()].find(
        ({ pod, identity: of }) => pod.uid === metadata.uid && of.name === identity,
      );
      const secret = deliveries.get(`${metadata.namespace ?? ''}/ci-identity-${identity}.${metadata.name}`);
      const token = decode(secret?.data?.['token']);
      if (scopesOf(metadata.uid, identity)?.length === 0) {
        if (live.some(({ value }) => value === token))
          broken.push(`${what}: a live token is delivered without a reason`);
        // Whose pods nobody watches any more is not written to either.
        else if (token !== '' && isServed(namespaces, metadata.namespace))
          broken.push(`${what}: its file still holds a token that is dead`);
        continue;
      }
      if (session === undefined) broken.push(`${what}: no session record`);
      if (secret === undefined) broken.push(`${what}: no delivery`);
      else if (secret.metadata.ownerReferences?.some(({ uid }) => uid === metadata.uid) !== true)
        broken.push(`${what}: the delivery does not go with the pod`);
      else if (session?.tokens.at(-1)?.sha256 !== sha256(token))
        broken.push(`${what}: the delivery is not the newest token`);
      else if (!live.some(({ value }) => value === token)) broken.push(`${what}: the delivered token is not honoured`);
    }
  }
}

function isServed(namespaces: readonly Raw[], name: string | undefined): boolean {
  const found = namespaces.find(({ metadata }) => metadata.name === name);
  return found?.metadata.labels?.['ci-identity.dev/inject'] === 'enabled';
}

/** Every file goes with its pod, and what is in it has a line: whose token it is, why there is none, or that it was emptied. */
function fileFindings({ pods, deliveries, lines }: Facts, broken: string[]): void {
  const there = new Map(pods.map((pod) => [pod.metadata.uid, pod]));
  const told = new Set(
    lines.flatMap(({ event, session_id: session, namespace, identity, reason, token_sha256: hash }) => {
      if (event === 'Delivered') return [`Delivered ${hash}`];
      if (event === 'Emptied') return [`Emptied ${session}`];
      // Denials that say the same are counted in one line, whatever their pods are.
      return event === 'Denied' ? [`Denied ${namespace}/${identity} ${reason}`] : [];
    }),
  );
  for (const [name, { metadata, data }] of deliveries) {
    const owner = metadata.ownerReferences?.map(({ uid }) => there.get(uid)).find((pod) => pod !== undefined);
    if (owner === undefined) broken.push(`delivery ${name} outlives its pod`);
    const identity = metadata.name.slice('ci-identity-'.length, metadata.name.indexOf('.'));
    if (owner?.metadata.annotations?.[`${claimPrefix}${identity}`] === undefined) continue;
    const [token, error] = [decode(data?.['token']), decode(data?.['error.json'])];
    const wanted =
      token !== ''
        ? `Delivered ${sha256(token)}`
        : error !== ''
          ? `Denied ${metadata.namespace}/${identity} ${(JSON.parse(error) as { readonly reason: string }).reason}`
          : `Emptied ${owner.metadata.uid}.${identity}`;
    if (!told.has(wanted)) broken.push(`delivery ${name} is as no audit line says: ${wanted}`);
  }
}

/** The lines of one process. A last line that is cut short is none; everything else must be numbered and chained without a gap. */
function chain(stream: string, broken: string[]): readonly AuditLine[] {
  const texts = stream.split('\n');
  texts.pop();
  let previous = '0'.repeat(64);
  const lines: AuditLine[] = [];
  for (const [index, text] of texts.entries()) {
    const line = JSON.parse(text) as AuditLine;
    if (line.seq !== index || line.previous !== previous || line.process_id !== (lines[0] ?? line).process_id)
      broken.push(`audit line ${index} of process ${line.process_id} is out of its chain`);
    previous = sha256(text);
    lines.push(line);
  }
  return lines;
}
