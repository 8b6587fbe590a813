import type {
  CiIdentityStatus,
  CiIdentityStatusGrant,
  CiIdentityStatusNextAction,
} from '../../api/v1alpha1/ci-identity.ts';
import type { Instant } from '../../clock.ts';
import type { Decision } from '../../decision.ts';
import type { Access, Denial } from '../access/access.ts';
import { cut } from '../access/explain.ts';
import { stoppedBy } from '../access/stops.ts';
import { currentOf } from '../client/generations.ts';
import { setConditions, type Draft } from './conditions.ts';
import { notSynced, statusDecision, type StatusAction } from './decision.ts';
import { identityConditions } from './identity-conditions.ts';
import type { IdentityFacts } from './identity-facts.ts';

/** Status of a CiIdentity: what it would get before any pod exists, and whether the provider really gives it. It has no finalizer. */
export function decideIdentity(facts: IdentityFacts, now: Instant): Decision<StatusAction<CiIdentityStatus>> {
  const { identity, access, client, guard } = facts;
  if (identity.metadata.deletionTimestamp !== undefined) return { row: 'leaving', reason: 'IdentityGone' };
  if (access.is === 'Unknown' || client.is === 'Unknown' || guard.is === 'Unknown') return notSynced();
  return statusDecision(
    {
      current: identity.status,
      next: identityStatus(facts, now),
      counts: ['sessions', 'nextAction'],
      writtenAt: facts.writtenAt,
      group: identity.metadata.namespace ?? '',
    },
    now,
  );
}

export function identityStatus(facts: IdentityFacts, now: Instant): CiIdentityStatus {
  const { identity, access, client, stop } = facts;
  const generation = identity.metadata.generation ?? 0;
  const drafts = identityConditions(facts);
  const clientId = client.is === 'Seen' ? currentOf(client.value.record)?.clientId : undefined;
  const known = access.is === 'Seen' ? access.value : undefined;
  const wouldDeny = known?.is === 'Granted' ? known.wouldDeny : [];
  const grants = known?.is === 'Granted' ? grantsOf(known) : [];
  const denials = (known?.denials ?? []).map(shown);
  return {
    conditions: setConditions(identity.status?.conditions, drafts, generation, now),
    observedGeneration: generation,
    ...(clientId === undefined ? {} : { clientId: cut(clientId, 256) }),
    ...(grants.length === 0 ? {} : { grants }),
    ...(denials.length === 0 ? {} : { denials }),
    ...(wouldDeny.length === 0 ? {} : { wouldDeny: wouldDeny.map(shown) }),
    sessions: facts.sessions,
    nextAction: nextAction(facts, drafts),
    ...(stop === undefined ? {} : { stoppedBy: stoppedBy(stop) }),
  };
}

/** The rule that comes nearest is for the audit log; here the sentence names it. */
function shown(denial: Denial): Omit<Denial, 'by'> {
  const { by: _, ...rest } = denial;
  return rest;
}

function grantsOf({ by }: Extract<Access, { is: 'Granted' }>): readonly CiIdentityStatusGrant[] {
  const audiences = [...new Set(by.map(({ audience }) => audience))];
  return audiences.map((audience) => ({
    audience,
    scopes: by
      .filter((one) => one.audience === audience)
      .map(({ scope, by: { policy, rule } }) => ({ name: scope, policy, rule })),
  }));
}

/** What the operator does next, in words. */
function nextAction(facts: IdentityFacts, drafts: readonly Draft[]): CiIdentityStatusNextAction {
  const has = (type: Draft['type']): boolean => drafts.some((one) => one.type === type && one.status === 'True');
  if (facts.stop !== undefined) return { what: 'none until everything in stoppedBy is lifted' };
  if (has('Stalled')) return { what: 'none until somebody does what condition Stalled says' };
  if (has('Reconciling')) return { what: 'goes on by itself as soon as what condition Ready names is there' };
  return { what: 'a token for each new pod that it selects, and a new one before it expires' };
}
