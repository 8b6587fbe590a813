import type { Clock, Instant } from '../clock.ts';
import type { Configuration } from '../config.ts';
import { limitsCodec } from '../domain/access/limits.ts';
import { clocksAgree, clocksDisagree } from '../domain/clocks.ts';
import { clientCodec } from '../domain/client/record-codec.ts';
import type { Credential } from '../domain/client/credential.ts';
import { generation } from '../domain/client/generations.ts';
import type { ClientRecord } from '../domain/client/record.ts';
import { credentialRefused, doubted } from '../domain/client/proofs.ts';
import { lanes } from '../domain/lanes.ts';
import { sessionCodec } from '../domain/session/record-codec.ts';
import type { SessionRecord } from '../domain/session/record.ts';
import type { ApiConnection } from '../kube/connection.ts';
import { Deliveries } from '../kube/deliveries.ts';
import { RecordStore } from '../kube/records.ts';
import type { Effects } from '../runtime/effect.ts';
import type { Loop } from '../runtime/loop.ts';
import type { AuditLog } from '../telemetry/audit.ts';
import type { AuditStream } from '../telemetry/audit-stream.ts';
import type { Logger } from '../telemetry/logger.ts';
import type { Metrics } from '../telemetry/metrics.ts';
import type { AccessCache } from './access-cache.ts';
import type { Causes } from './session/causes.ts';
import type { ClientTargets } from './client/targets.ts';
import type { Auditors } from './telling/auditors.ts';
import type { Brakes } from './brakes.ts';
import { ClientChanges } from './client/changes.ts';
import { ClientMachine } from './client/machine.ts';
import { ProofTokens } from './client/proof-tokens.ts';
import { deadlines } from './deadlines.ts';
import type { Creators } from './session/creators.ts';
import type { EffectName } from './effect-names.ts';
import type { GuardKeeper } from './guard.ts';
import type { HandIns } from './hand-ins.ts';
import { machines } from './machine-names.ts';
import type { Memory } from './memory.ts';
import type { PoolProviders } from './pool-providers.ts';
import type { Reporter } from './telling/reporter.ts';
import type { Reviews } from './session/reviews.ts';
import type { SessionAudit } from './telling/session-audit.ts';
import { SessionLimits } from './session/limits.ts';
import { Minter } from './session/mint.ts';
import { Witness } from './session/witness.ts';
import { SessionMachine } from './session/machine.ts';
import type { DeliveredState } from './session/delivered.ts';
import type { Troubles } from './status/troubles.ts';
import { type ProjectionParts, identityMachine, policyMachine, poolMachine } from './status/machine.ts';

/** Everything that the machines share. */
export interface MachineParts {
  readonly connection: ApiConnection;
  readonly namespace: string;
  readonly clock: Clock;
  readonly random: () => number;
  readonly logger: Logger;
  readonly metrics: Metrics;
  readonly audit: AuditLog;
  readonly auditStream: Pick<AuditStream, 'trouble'>;
  readonly sessionAudit: SessionAudit;
  readonly auditors: Pick<Auditors, 'refused'>;
  readonly memory: Memory;
  readonly providers: PoolProviders;
  readonly handIns: HandIns;
  readonly access: AccessCache;
  readonly targets: ClientTargets;
  readonly creators: Creators;
  readonly reviews: Reviews;
  readonly brakes: Brakes;
  readonly guard: GuardKeeper;
  readonly effects: Effects<EffectName>;
  readonly reporter: Reporter;
  readonly troubles: Troubles;
  readonly causes: Causes;
  readonly epoch: () => number;
  readonly installation: () => string;
  readonly configuration: () => Configuration;
}

/** The records of the machines that act on the outside world, and what is counted from them. */
interface Durable {
  readonly clients: RecordStore<ClientRecord>;
  readonly sessions: RecordStore<SessionRecord>;
  readonly limits: SessionLimits;
}

/** What the rest of the role needs of the machines. */
export interface Registered {
  readonly limits: SessionLimits;
  readonly proofTokens: ProofTokens;
}

/** The two machines that act on the outside world, what one of them leaves for later, and the three projections that write status. */
export function registerMachines(loop: Loop, parts: MachineParts): Registered {
  const { connection, namespace, memory, epoch, effects, clock } = parts;
  const common = { connection, namespace, epoch };
  const limits = new SessionLimits({
    memory,
    records: new RecordStore({ ...common, store: memory.limits, codec: limitsCodec, kind: 'limits' }),
    effects,
    clock,
  });
  const durable: Durable = {
    clients: new RecordStore({ ...common, store: memory.clients, codec: clientCodec, kind: 'client' }),
    sessions: new RecordStore({ ...common, store: memory.sessions, codec: sessionCodec, kind: 'session' }),
    limits,
  };
  const proofTokens = proofTokensOf(loop, parts);
  loop.register(proofTokens);
  loop.register(clientMachine(parts, durable, proofTokens));
  loop.register(sessionMachine(loop, parts, durable));
  const projections = projectionParts(loop, parts, limits);
  loop.register(poolMachine(projections));
  loop.register(policyMachine(projections));
  loop.register(identityMachine(projections));
  return { limits, proofTokens };
}

function proofTokensOf(loop: Loop, { effects, clock, memory, providers }: MachineParts): ProofTokens {
  return new ProofTokens({
    effects,
    clock,
    tokensOf: (issuer) => providers.providerAt(issuer, undefined)?.tokens,
    inUse: (sha256) => memory.isInUse(sha256),
    isBusy: () => [...loop.depth().lanes].some(([lane, size]) => lane < lanes.CleanUp && size > 0),
    wake: (client) => loop.wake(machines.proofToken, client),
  });
}

function clientMachine(parts: MachineParts, { clients }: Durable, proofTokens: ProofTokens): ClientMachine {
  const { connection, memory, providers, effects, clock, troubles, reporter } = parts;
  return new ClientMachine({
    sources: {
      ...parts,
      now: () => clock.now(),
      apiServerOffset: () => connection.serverTime()?.offset,
      troubleOf: (issuer, client) => ({
        ...(troubles.arePaused(issuer) ? { outage: true } : {}),
        ...(troubles.outage(issuer, client) === undefined ? {} : { failing: true }),
      }),
    },
    changes: new ClientChanges({ memory, providers, records: clients, effects, clock }),
    proofTokens,
    effects,
    audit: parts.audit,
    refused: (line) => parts.auditors.refused(line),
    clock,
    told: (record, telling) => reporter.credential(record, telling),
  });
}

function sessionMachine(loop: Loop, parts: MachineParts, { clients, sessions, limits }: Durable): SessionMachine {
  const { connection, memory, providers, effects, metrics, clock, troubles, reporter } = parts;
  const audit = parts.sessionAudit;
  const delivered = new Map<string, DeliveredState>();
  const { answered } = memory;
  const seen = new Map<string, Instant>();
  const credentialOf = (client: string, generation: number): Credential | undefined =>
    memory.clients.get(client)?.record?.generations.find(({ n }) => n === generation)?.credential;
  const minter = new Minter({
    memory,
    reviews: parts.reviews,
    records: sessions,
    effects,
    audit,
    auditTrouble: () => parts.auditStream.trouble,
    metrics,
    clock,
    witness: new Witness({ ...parts, audit, credentialOf }),
    providerOf: (pool) => providers.providerOf(pool),
    credentialOf,
    credentialRefused: (name, generation, said, signal) => noteRefusal(parts, clients, name, generation, said, signal),
    askDoubted: (name, hash, signal) => noteDoubt(parts, clients, name, hash, signal),
  });
  return new SessionMachine({
    sources: {
      ...parts,
      existing: (pool) => parts.handIns.existing(pool),
      delivered,
      answered,
      guard: () => parts.guard.current(),
      capabilities: (issuer) => providers.capabilities(issuer),
      deliveryLag: () => parts.configuration().limits.deliveryLag,
      now: () => clock.now(),
      clientFailure: (record) => loop.failure(machines.client, record),
      outage: (issuer, client) => troubles.outage(issuer, client),
      revocationsPaused: (issuer) => troubles.revocationsPaused(issuer),
      clocksDisagree: (issuer) =>
        clocksDisagree(connection.serverTime()?.offset, providers.issuer(issuer)?.clockOffset()),
      limitOf: (identity, podUid) => limits.breach(identity, podUid),
      seenSince: (key) => {
        const since = seen.get(key) ?? clock.now();
        seen.set(key, since);
        return since;
      },
    },
    delivered,
    answered,
    minter,
    limits,
    records: sessions,
    deliveries: new Deliveries(connection),
    effects,
    audit,
    metrics,
    clock,
    written: (namespace, error) => troubles.delivered(namespace, error),
    causes: parts.causes,
    forget: (key) => void seen.delete(key),
    denied: (key, error, isNew) => reporter.denied(key, error, isNew),
    restored: (key, reason, message) => reporter.onPod(key, reason, message),
    clientRecord: (name) => memory.clients.get(name),
    tokensOf: (issuer) => providers.providerAt(issuer, undefined)?.tokens,
  });
}

function projectionParts(loop: Loop, parts: MachineParts, limits: SessionLimits): ProjectionParts {
  const { connection, providers, effects, clock, reporter } = parts;
  return {
    connection,
    effects,
    reporter,
    clock,
    sources: {
      ...parts,
      guard: () => parts.guard.told(),
      now: () => clock.now(),
      deliveryLag: () => parts.configuration().limits.deliveryLag,
      refusedByLimit: (identity) => limits.refusal(identity),
      clientFailure: (record) => loop.failure(machines.client, record),
      clocksAgree: (issuer) => clocksAgree(connection.serverTime()?.offset, providers.issuer(issuer)?.clockOffset()),
    },
  };
}

/** Once per refusal, however many sessions met it; what the record says then is the client table's business. */
async function noteRefusal(
  { effects, clock, memory }: MachineParts,
  clients: RecordStore<ClientRecord>,
  name: string,
  n: number,
  said: string | undefined,
  signal: AbortSignal,
): Promise<void> {
  const record = memory.clients.get(name)?.record;
  const subject = record === undefined ? undefined : generation(record, n);
  if (record === undefined || subject === undefined || subject.refusedAt !== undefined) return;
  await effects.run('client.Refusal.record', { deadline: deadlines.apiWrite, signal }, (bounded) =>
    clients.write(name, credentialRefused(record, n, clock.now(), said), record, bounded),
  );
}

/** Once per proof, however many sessions contradict it: then the row *proof* asks again. */
async function noteDoubt(
  { effects, memory }: MachineParts,
  clients: RecordStore<ClientRecord>,
  name: string,
  hash: string,
  signal: AbortSignal,
): Promise<void> {
  const record = memory.clients.get(name)?.record;
  const next = record === undefined ? undefined : doubted(record, hash);
  if (record === undefined || next === undefined || next === record) return;
  await effects.run('client.Refusal.record', { deadline: deadlines.apiWrite, signal }, (bounded) =>
    clients.write(name, next, record, bounded),
  );
}
