import type { Reason } from '../../api/reasons.ts';
import { formatDuration } from '../../clock.ts';
import type { Access, Denial } from '../access/access.ts';
import { capitalised, cut, joinSentences, notOptedIn } from '../access/explain.ts';
import { stopSentence } from '../access/stops.ts';
import { mostProofs } from '../client/invariants.ts';
import { isTriedAhead } from '../client/proofs.ts';
import type { Proof } from '../client/record.ts';
import { nextTryAt } from '../failure.ts';
import { isReady, isRefused } from './clients.ts';
import { draft, longestMessage, marked, summarise, type Draft, type Going } from './conditions.ts';
import { guardDraft } from './guard.ts';
import type { IdentityFacts } from './identity-facts.ts';

/**
 * The conditions of a CiIdentity. Jenkins prints their messages: the API server refuses a pod with the message of `Authorized=False`,
 * `Stalled=True` or `Issuing=False/Suspended` and puts `CiIdentity <name>: ` in front, so none of them begins with its own subject.
 * `Stalled` is therefore only for what no waiting heals and what leaves nothing to issue.
 */
export function identityConditions(facts: IdentityFacts): readonly Draft[] {
  const parts = [authorized(facts), probed(facts), issuing(facts), exclusive(facts)];
  const [authorization, probe, issue] = parts as [Draft, Draft, Draft, Draft];
  if (facts.stop !== undefined) return [draft('Ready', 'True', 'Suspended', stopSentence(facts.stop)), ...parts];
  const dependents = probe.reason === 'NotProbed' ? [authorization, issue] : [authorization, issue, probe];
  const ready = withLabel(summarise(dependents, happy(facts)), facts);
  const missed = ready.status === 'True' ? missedByName(facts) : [];
  if (missed[0] !== undefined) {
    const message = `tokens are issued, but without what spec.scopes asks for: ${sentences(missed)}`;
    return [...marked(draft('Ready', 'False', missed[0].reason, message), 'Neither'), ...parts];
  }
  return [...marked(ready, going(facts)), ...parts];
}

/** Whoever grants something learns at once that the label is missing as well, which no grant brings. */
function withLabel(ready: Draft, { access, optedIn, identity }: IdentityFacts): Draft {
  if (optedIn || !isDenied(access)) return ready;
  return { ...ready, message: `${ready.message} ${capitalised(notOptedIn(identity.metadata.namespace ?? ''))}` };
}

function isDenied(access: IdentityFacts['access']): boolean {
  return access.is === 'Seen' && access.value.is === 'Denied';
}

function authorized({ access }: IdentityFacts): Draft {
  if (access.is !== 'Seen') {
    return draft('Authorized', 'Unknown', 'NotSynced', 'the policies have not been read completely yet.');
  }
  const { value } = access;
  if (value.is === 'Denied') return draft('Authorized', 'False', deniedReason(value.denials), sentences(value.denials));
  const what = value.audited === undefined ? `the policies grant ${carried(value)}.` : audited(value, value.audited);
  if (value.denials.length > 0) {
    return draft('Authorized', 'True', 'PartlyGranted', `${what} Not granted: ${sentences(value.denials)}`);
  }
  return draft('Authorized', 'True', value.audited === undefined ? 'Authorized' : 'ShadowDenied', what);
}

type Granted = Extract<Access, { is: 'Granted' }>;

/** What Enforce would take away, in one sentence; each pair has its own in status.wouldDeny. */
function audited(access: Granted, { scopes }: NonNullable<Granted['audited']>): string {
  const named = `${scopes.length === 1 ? 'scope' : 'scopes'} ${cut(scopes.join(' '), 500)}`;
  return `policies and enforcement Audit of the pool together grant ${carried(access)}; with Enforce, ${named} would be denied, see status.wouldDeny.`;
}

function probed(facts: IdentityFacts): Draft {
  const { access, client, shortLifetime } = facts;
  if (access.is !== 'Seen' || access.value.is === 'Denied') {
    return draft(
      'Probed',
      'Unknown',
      'NothingGranted',
      'nothing is granted, so there is nothing to ask the provider for.',
    );
  }
  const granted = access.value;
  const proof = proofOf(facts);
  if (proof?.outcome === 'Refused') return draft('Probed', 'False', proof.reason ?? 'ScopeRefused', refusal(proof));
  if (proof === undefined) {
    const unknown = (reason: Reason, when: string): Draft =>
      draft('Probed', 'Unknown', reason, `whether the provider gives ${carried(granted)} ${when}.`);
    if (client.is !== 'Seen' || !isReady(client.value))
      return unknown('WaitingForClient', 'is tried as soon as the pool has a working client');
    if (client.value.record !== undefined && !isTriedAhead(client.value.record, granted.hash)) {
      const bound = `only the first pod shows: of the identities that share its client ${mostProofs} different sets of scopes, audiences and lifetime are tried ahead. With client.per: Namespace or Identity fewer share one`;
      return unknown('NotProbed', bound);
    }
    return unknown('Probing', 'is being tried with a token request; the token is revoked at once');
  }
  if (shortLifetime !== undefined) {
    const why = `the provider's tokens live ${formatDuration(shortLifetime)}, hardly longer than the kubelet takes to deliver them, so a build may meet an expired one. Let them live longer at the provider.`;
    return draft('Probed', 'True', 'TokenLifetimeTooShort', why);
  }
  return draft('Probed', 'True', 'Probed', `the provider issued a token with ${carried(granted)}.`);
}

function issuing(facts: IdentityFacts): Draft {
  const { access, stop, optedIn, guard, client, failure, identity } = facts;
  const no = (reason: Reason, message: string): Draft => draft('Issuing', 'False', reason, message);
  if (stop !== undefined) return no('Suspended', stopSentence(stop));
  if (!optedIn) return no('NotOptedIn', notOptedIn(identity.metadata.namespace ?? ''));
  if (isDenied(access)) return { ...authorized(facts), type: 'Issuing' };
  const [unguarded] = guardDraft('Issuing', guard);
  if (unguarded !== undefined) return unguarded;
  if (client.is !== 'Seen' || !isReady(client.value)) {
    const trouble = client.is === 'Seen' ? client.value.failure : undefined;
    if (trouble !== undefined) return no(trouble.reason, `${trouble.message}${nextTryAt(trouble)}`);
    const pool = `IdentityPool ${identity.spec.pool}`;
    return client.is === 'Seen' && isRefused(client.value)
      ? no('CredentialRefused', `${pool}: the provider refuses its credential. Its condition Authenticating says why.`)
      : no('WaitingForClient', `${pool} has no proven client yet; tokens follow by themselves.`);
  }
  const proof = proofOf(facts);
  if (proof?.outcome === 'Refused' && proof.lasting === true) return no(proof.reason ?? 'ScopeRefused', refusal(proof));
  if (failure !== undefined) return no(failure.reason, failure.message);
  return draft('Issuing', 'True', 'Issuing', 'pods that it selects get tokens.');
}

function exclusive({ identity, sharedCreators }: IdentityFacts): Draft {
  const [first] = sharedCreators;
  const own = identity.metadata.namespace ?? '';
  if (first === undefined) {
    return draft(
      'Exclusive',
      'True',
      'Exclusive',
      `no creator of its pods was seen to use identities outside of namespace ${own}.`,
    );
  }
  const others = cut(
    first.namespaces
      .filter((name) => name !== own)
      .toSorted()
      .join(', '),
    400,
  );
  const more = sharedCreators.length === 1 ? '' : ` (and ${sharedCreators.length - 1} more creators)`;
  const why = `${first.creator}${more} may use identities in namespace ${own} and in ${others}, so whoever writes a pipeline in one of them can get the identities of all. Give each namespace a Jenkins cloud with its own service account, and grant use to that one only.`;
  return draft('Exclusive', 'False', 'SharedCreator', why);
}

/** Scopes that the identity asks for by name and does not get, while others are granted. */
function missedByName({ identity, access }: IdentityFacts): readonly Denial[] {
  return identity.spec.scopes !== undefined && access.is === 'Seen' ? access.value.denials : [];
}

function going(facts: IdentityFacts): Going {
  const { access, optedIn, guard, client, failure } = facts;
  if (access.is === 'Seen' && access.value.is === 'Denied') {
    // A pool is often applied right after the identities that name it.
    return deniedReason(access.value.denials) === 'PoolMissing' ? 'Reconciling' : 'Stalled';
  }
  // With Stalled, pods would be refused for as long as the status is behind the label.
  if (!optedIn || guard.is !== 'Intact') return 'Reconciling';
  const trouble = client.is === 'Seen' && !isReady(client.value) ? client.value.failure : failure;
  const proof = proofOf(facts);
  const lasting = trouble?.terminal === true || (proof?.outcome === 'Refused' && proof.lasting === true);
  return lasting ? 'Stalled' : 'Reconciling';
}

function proofOf({ access, client }: IdentityFacts): Proof | undefined {
  if (access.is !== 'Seen' || access.value.is !== 'Granted' || client.is !== 'Seen') return undefined;
  return client.value.record?.proofs[access.value.hash];
}

function refusal(proof: Proof): string {
  return (
    proof.message ??
    'the provider refuses a token with what the policies grant. Allow it for the client at the provider.'
  );
}

function happy({ access }: IdentityFacts): string {
  return access.is === 'Seen' && access.value.is === 'Granted'
    ? `pods that it selects get a token with ${carried(access.value)}.`
    : '';
}

function carried({ ask }: Granted): string {
  const scopes = `${ask.scopes.length === 1 ? 'scope' : 'scopes'} ${cut(ask.scopes.join(' '), 500)}`;
  const audiences = ask.audiences.length === 0 ? '' : ` for ${cut(ask.audiences.join(', '), 500)}`;
  return `${scopes}${audiences}, living at most ${formatDuration(ask.maxLifetime)}`;
}

/** One word for several denials. */
function deniedReason(denials: readonly Denial[]): Reason {
  const reasons = [...new Set(denials.map(({ reason }) => reason))];
  if (reasons.includes('AudiencesDiffer')) return 'AudiencesDiffer';
  return reasons.length === 1 && reasons[0] !== undefined ? reasons[0] : 'NothingGranted';
}

/** The most telling first: with several audiences that is the one remedy for all of them. */
function sentences(denials: readonly Denial[]): string {
  const sorted = denials.toSorted(
    (a, b) => Number(b.reason === 'AudiencesDiffer') - Number(a.reason === 'AudiencesDiffer'),
  );
  return joinSentences([...new Set(sorted.map(({ message }) => message))], longestMessage - 500, 'see status.denials');
}
