import type { Milliseconds } from '../clock.ts';
import type { Part } from '../runtime/manager.ts';
import { ClientTargets } from './client/targets.ts';
import { Definitions } from './definitions.ts';
import { type Registered, registerMachines } from './machines.ts';
import { Memory } from './memory.ts';
import {
  type Leading,
  type LoopSide,
  type OperatorOptions,
  type ProviderSide,
  type Restraints,
  type Role,
  type TellingSide,
  leadingOf,
  loopOf,
  providersOf,
  restraintsOf,
  tellingOf,
} from './sides.ts';
import { Observation } from './telling/observation.ts';
import { upkeep } from './upkeep/upkeep.ts';

/** Everything that the long-running role is made of. */
export interface Parts extends ProviderSide, TellingSide, Leading, LoopSide, Restraints, Registered {
  readonly definitions: Definitions;
  readonly memory: Memory;
  readonly observation: Observation;
  /** What the leader does now and then. */
  readonly upkeep: readonly Part[];
}

/**
 * From the inside out: first the sides, then what works with all of them and takes what its own options name. A part that needs one that is
 * built later asks for it by a function.
 */
export function buildParts(o: OperatorOptions, role: Role): Parts {
  const { connection, namespace } = o;
  const definitions = new Definitions(o);
  const memory: Memory = new Memory(
    namespace,
    () => loopSide.watches.areCurrent && leading.leader.held(),
    (...report) => tellingSide.reporter.listenerFailed(...report),
  );
  const providerSide = providersOf(o, role, memory, (what) => loopSide.wiring.handedIn(what));
  const targets = new ClientTargets(memory);
  const tellingSide = tellingOf(o, memory);
  const leading = leadingOf(o);
  const core = { definitions, memory, targets, ...providerSide, ...tellingSide, ...leading };
  const loopSide: LoopSide = loopOf(o, role, core);
  const apiServerOffset = (): Milliseconds | undefined => connection.serverTime()?.offset;
  const restraints = restraintsOf(o, { ...core, ...loopSide, apiServerOffset });
  const sides = { ...core, ...loopSide, ...restraints };
  const all = { ...o, ...sides, apiServerOffset, epoch: (): number => leading.leader.epoch };
  const observation = new Observation(all);
  const registered = registerMachines(loopSide.loop, {
    ...all,
    sessionAudit: tellingSide.auditors.sessions,
    installation: () => memory.installation ?? '',
    configuration: () => role.configuration(),
  });
  return {
    ...sides,
    ...registered,
    observation,
    upkeep: upkeep({ ...all, resync: (signal) => role.resync(signal) }),
  };
}
