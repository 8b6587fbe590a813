import type { Reason } from '../api/reasons.ts';
import type { CiIdentity } from '../api/v1alpha1/ci-identity.ts';
import { granted } from '../domain/access/explain.ts';
import type { Answer, Inquiry } from '../domain/access/inquiry.ts';

/**
 * What the operator wrote into the status of an identity, for a caller who may not read what it follows from. A status about an older spec
 * says nothing.
 */
export function answersOfStatus({ status: written, metadata }: CiIdentity, inquiry: Inquiry): readonly Answer[] {
  const status = written?.observedGeneration === metadata.generation ? written : undefined;
  const grants = (status?.grants ?? []).flatMap(({ audience, scopes }) =>
    scopes.map(({ name, policy, rule }): Answer => {
      const by = { policy, rule, generation: 0 };
      return {
        outcome: 'Granted',
        audience,
        scope: name,
        reason: 'Authorized',
        message: granted(audience, name, by),
        by,
      };
    }),
  );
  const denied = (outcome: 'Denied' | 'WouldDeny'): readonly Answer[] =>
    ((outcome === 'Denied' ? status?.denials : status?.wouldDeny) ?? []).map((denial) => ({
      ...denial,
      outcome,
      reason: denial.reason as Reason,
    }));
  const answers = [...grants, ...denied('WouldDeny'), ...denied('Denied')].filter(
    ({ scope, audience }) =>
      (inquiry.scope === undefined || scope === undefined || scope === inquiry.scope) &&
      (inquiry.audience === undefined || audience === undefined || audience === inquiry.audience),
  );
  return answers.length > 0 ? answers : [unmentioned(status, inquiry)];
}

function unmentioned(status: CiIdentity['status'], { scope, audience }: Inquiry): Answer {
  const asked = { ...(scope === undefined ? {} : { scope }), ...(audience === undefined ? {} : { audience }) };
  const message =
    status?.observedGeneration === undefined
      ? 'the operator has not written a status about it as it is now; look again in a moment, or run doctor.'
      : 'the status does not mention it, and you may not read the policies; ask their owner, who can run the same command.';
  return {
    ...asked,
    outcome: 'Denied',
    reason: status?.observedGeneration === undefined ? 'NotSynced' : 'NoRule',
    message,
  };
}
