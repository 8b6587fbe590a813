import type { Condition } from '../api/meta.ts';
import type { Reason } from '../api/reasons.ts';
import type { Read } from './cluster.ts';
import { type Check, type Finding, checked, info, problem, warning } from './doctor-findings.ts';
import type { Facts } from './doctor-facts.ts';

interface Conditioned {
  readonly kind: string;
  readonly metadata: { readonly name: string; readonly namespace?: string; readonly generation?: number };
  readonly status?: {
    readonly conditions?: readonly Condition[];
    readonly observedGeneration?: number;
    /** Of a CiIdentity. */
    readonly denials?: readonly { readonly reason: string }[];
  };
}

/** Denials that the owners of policies and pools meant; any other one points at a mistake. */
const decisions: readonly string[] = ['NoRule', 'OutsideCeiling', 'NarrowedAway'] satisfies readonly Reason[];

/** Told of whatever stops it. */
const suspended: Reason = 'Suspended';

/** What the operator itself says is wrong: also how it gets on with the provider. */
function conditions(subject: string, of: (facts: Facts) => Read<readonly Conditioned[]>): Check {
  return (facts) => checked(subject, of(facts), (objects) => objects.flatMap(conditionFindings));
}

function conditionFindings({ kind, metadata, status }: Conditioned): readonly Finding[] {
  const { name, namespace, generation = 0 } = metadata;
  const subject = `${kind} ${namespace === undefined ? '' : `${namespace}/`}${name}`;
  const describe = `see kubectl describe ${kind.toLowerCase()} ${namespace === undefined ? '' : `-n ${namespace} `}${name}`;
  if (status?.observedGeneration === undefined || status.observedGeneration < generation) {
    return [
      warning(subject, 'was not looked at since its last change', 'the operator is behind, or does not run', describe),
    ];
  }
  const denials = status.denials ?? [];
  const isDecided = (why: string): boolean =>
    denials.every(({ reason }) => decisions.includes(reason)) &&
    (decisions.includes(why) || (why === 'NothingGranted' && denials.length > 0));
  const all = status.conditions ?? [];
  const summary = all.find(({ type }) => type === 'Ready');
  return all.flatMap(({ type, status: is, reason, message }) => {
    if (type === 'Exclusive' && is === 'False')
      return [warning(subject, 'is shared with other namespaces', message, describe)];
    if (type !== 'Ready') {
      // Where it is not Ready, the summary says why.
      const isNews = summary?.status === 'True' && is === 'False' && reason !== suspended;
      return isNews ? [warning(subject, `has condition ${type}=False (${reason})`, message, describe)] : [];
    }
    if (is === 'True') return [];
    if (isDecided(reason)) return [info(subject, `is denied what it asks for (${reason})`, message, describe)];
    return [problem(subject, `is not Ready (${reason})`, message, describe)];
  });
}

export const conditionChecks: readonly Check[] = [
  conditions('IdentityPools', ({ pools }) => pools),
  conditions('ScopePolicies', ({ policies }) => policies),
  conditions('CiIdentities', ({ identities }) => identities),
];
