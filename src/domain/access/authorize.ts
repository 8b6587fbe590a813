import type { CiIdentity } from '../../api/v1alpha1/ci-identity.ts';
import type { IdentityPool } from '../../api/v1alpha1/identity-pool.ts';
import type { ScopePolicy } from '../../api/v1alpha1/scope-policy.ts';
import type { Reason } from '../../api/reasons.ts';
import type { Known } from '../../decision.ts';
import type { Access, Denial } from './access.ts';
import { askHash } from './ask.ts';
import * as explain from './explain.ts';
import { judge, type Verdict } from './judge.ts';
import { consultedOf, type NamespaceFacts, type Question } from './rules.ts';
import { setOf } from './scopes.ts';

export interface AuthorizeInput {
  readonly identity: CiIdentity;
  /** The pool that `identity.spec.pool` names. */
  readonly pool: Known<IdentityPool>;
  /** Where there is no such pool: the one whose name is nearest. */
  readonly nearPool?: string | undefined;
  /** All of them. */
  readonly policies: Known<readonly ScopePolicy[]>;
  /** The identity's namespace. */
  readonly namespace: Known<NamespaceFacts>;
  /** Whether the operator configuration lists the pool's issuer. */
  readonly issuerConfigured: boolean;
}

/**
 * What has to be judged. `Refused`: nothing is granted, whatever the rules say. `Unlisted`: nothing new is, and nobody decided against it, so
 * what was granted is judged by the rules.
 */
export type Asked =
  | { readonly is: 'Question'; readonly question: Question }
  | { readonly is: 'Unlisted'; readonly question: Question; readonly denial: Denial }
  | { readonly is: 'Refused'; readonly denial: Denial; readonly isDecided: boolean }
  | { readonly is: 'Unknown' };

export function askedOf({ identity, pool, nearPool, policies, namespace, issuerConfigured }: AuthorizeInput): Asked {
  const name = identity.spec.pool;
  if (pool.is === 'Unknown' || policies.is === 'Unknown' || namespace.is === 'Unknown') return { is: 'Unknown' };
  if (namespace.is === 'Gone')
    return refuse('NamespaceLeaving', explain.namespaceGone(identity.metadata.namespace ?? ''), { isDecided: false });
  if (pool.is === 'Gone') return refuse('PoolMissing', explain.poolMissing(name, nearPool));
  const { metadata, spec } = pool.value;
  if (metadata.deletionTimestamp !== undefined) return refuse('PoolMissing', explain.poolLeaving(name));
  if (spec.purpose === 'Interactive') return refuse('PurposeMismatch', explain.wrongPurpose(name));
  const rules = policies.is === 'Seen' ? policies.value : [];
  const question = { identity, pool: pool.value, policies: rules, namespace: namespace.value };
  if (issuerConfigured) return { is: 'Question', question };
  const message = explain.issuerNotConfigured(name, spec.provider.issuer);
  return { is: 'Unlisted', question, denial: { reason: 'IssuerNotConfigured', message } };
}

/**
 * What the identity may have now. Default deny. Equal input gives an equal answer in the same order, so it can be kept per identity
 * until one of the objects changes. `Unknown` as long as one of them has not been read: nobody is denied for that.
 */
export function authorize(input: AuthorizeInput): Known<Access> {
  const asked = askedOf(input);
  if (asked.is === 'Unknown') return asked;
  if (asked.is === 'Refused') return seen({ is: 'Denied', lasting: asked.isDecided, denials: [asked.denial] });
  const { verdicts, ask } = judge(asked.question);
  const policies = consultedOf(asked.question);
  // The answer stays in memory for each identity, and in its status once more.
  const denials = listed(verdicts.filter(({ outcome }) => outcome === 'Denied'));
  if (ask === undefined) return seen({ is: 'Denied', lasting: true, denials, policies });
  if (asked.is === 'Unlisted') return seen({ is: 'Denied', lasting: false, ask, denials: [asked.denial] });
  return seen({
    is: 'Granted',
    ask,
    hash: askHash(ask),
    by: verdicts.flatMap(({ outcome, audience, scope, by }) =>
      outcome === 'Granted' && audience !== undefined && scope !== undefined && by !== undefined
        ? [{ audience, scope, by }]
        : [],
    ),
    denials,
    ...audited(verdicts.filter(({ outcome }) => outcome === 'WouldDeny')),
    policies,
  });
}

function seen(access: Access): Known<Access> {
  return { is: 'Seen', value: access };
}

/** `isDecided`: see `lasting` of {@link Access}. */
function refuse(reason: Reason, message: string, { isDecided } = { isDecided: true }): Asked {
  return { is: 'Refused', denial: { reason, message }, isDecided };
}

/** Whoever may write CiIdentities decides how many there are and how long each is. */
const mostDenials = 8;

/** The last place says how many are left, and names a reason that is not among the first. */
function listed(verdicts: readonly Verdict[]): readonly Denial[] {
  if (verdicts.length <= mostDenials) return verdicts.map(denialOf);
  const kept = verdicts.slice(0, mostDenials - 1).map(denialOf);
  const rest = verdicts.slice(kept.length);
  const other = rest.find(({ reason }) => kept.every((one) => one.reason !== reason)) ?? rest[0];
  const message = `${rest.length} more denials are not listed: kubectl ci-identity explain says all.`;
  return [...kept, { reason: other?.reason ?? 'NothingGranted', message }];
}

/** What is listed, and of the rest what conditions and audit lines say. */
function audited(verdicts: readonly Verdict[]): Pick<Extract<Access, { is: 'Granted' }>, 'wouldDeny' | 'audited'> {
  const wouldDeny = listed(verdicts);
  if (wouldDeny.length === 0) return { wouldDeny };
  const scopes = setOf(verdicts.flatMap(({ scope }) => scope ?? []));
  const audiences = setOf(verdicts.flatMap(({ audience }) => audience ?? []));
  return { wouldDeny, audited: { scopes, audiences, pairs: verdicts.length } };
}

function denialOf({ audience, scope, reason, say, by }: Verdict): Denial {
  return {
    ...(audience === undefined ? {} : { audience }),
    ...(scope === undefined ? {} : { scope }),
    reason,
    message: say(),
    ...(by === undefined ? {} : { by }),
  };
}
