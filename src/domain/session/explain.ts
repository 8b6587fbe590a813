/** What a build reads in `error.json`: subject – what – why – what to do. A pure function of the state, stable while the state is. */
import { clean } from '../../clean.ts';
import type { Reason } from '../../api/reasons.ts';
import { earliest, formatDuration, toRfc3339 } from '../../clock.ts';
import type { Denial } from '../access/access.ts';
import { stopReason, stopRemedy } from '../access/stops.ts';
import { patience } from './facts.ts';
import type { DeliveredError, SessionSnapshot } from './machine.ts';

const longestMessage = 1_024;

function errorOf(s: SessionSnapshot, reason: Reason, why: string, fix: string): DeliveredError {
  return { reason, message: clean(`${subject(s)}: ${why}`, longestMessage), fix };
}

function subject(s: SessionSnapshot): string {
  const namespace = s.record?.pod.namespace ?? (s.pod.is === 'Seen' ? s.pod.value.namespace : undefined);
  return `CiIdentity ${namespace === undefined ? '' : `${namespace}/`}${s.identityName}`;
}

/** Why nobody may have a token now: a stop, a denial for good, or the missing right of the creator. */
export function forbiddenError(s: SessionSnapshot): DeliveredError {
  if (s.stop !== undefined) return errorOf(s, 'Suspended', stopReason(s.stop), stopRemedy);
  if (s.access.is === 'Seen' && s.access.value.is === 'Denied' && s.access.value.lasting) {
    return deniedError(s, s.access.value.denials);
  }
  const requester = s.record?.requester ?? (s.pod.is === 'Seen' ? s.pod.value.requester : undefined);
  const hasKnownGroups = requester === undefined || requester.startsWith('system:serviceaccount:');
  const groups = hasKnownGroups ? '' : ' by name (what a user holds through a group is not seen)';
  return errorOf(
    s,
    'CreatorMayNotUse',
    `the pod gets no token – its creator ${requester ?? '(unknown)'} does not hold the verb use on this CiIdentity${groups}`,
    'Bind a Role with the verb use on ciidentities.ci-identity.dev to the creator by name in this namespace, then run the build again.',
  );
}

function deniedError(s: SessionSnapshot, denials: readonly Denial[]): DeliveredError {
  const reason = denials[0]?.reason ?? 'NothingGranted';
  const why = [...new Set(denials.map(({ message }) => message))].join(' ') || 'nothing of what it asks for is granted';
  return errorOf(s, reason, why, fixes[reason] ?? askForRule);
}

const askForRule =
  'Ask the owners of the ScopePolicies for a rule, or correct roles, scopes and audiences of the CiIdentity.';
const anotherPool =
  'Ask the owner of the CiIdentity or of the pool; the file token appears by itself as soon as that is right.';
const fixes: Partial<Record<Reason, string>> = {
  IssuerNotConfigured:
    'Ask the administrator of the operator; the file token appears by itself as soon as the issuer is listed.',
  PoolMissing: anotherPool,
  PurposeMismatch: anotherPool,
};

export function untrustedError(s: SessionSnapshot, reason: 'ClaimInvalid' | 'PodOlderThanGuard'): DeliveredError {
  return reason === 'ClaimInvalid'
    ? errorOf(
        s,
        reason,
        'the pod gets no token – its claim was not written by the admission policies for the CiIdentity as it exists now',
        'Run the build again, so that a new pod is admitted; if it happens again, ask the operator of the cluster.',
      )
    : errorOf(
        s,
        reason,
        'the pod gets no token – it was created while the admission policies were not whole, so its creator is not certain',
        'Run the build again: a new pod is checked by the policies as they are now.',
      );
}

export function goneError(s: SessionSnapshot, reason: Reason): DeliveredError {
  return reason === 'SessionTooOld'
    ? errorOf(
        s,
        reason,
        'the pod gets no token – it is older than ceiling.maxSessionAge of its pool',
        'Start a new agent.',
      )
    : errorOf(
        s,
        reason,
        'the pod gets no token – the CiIdentity was deleted',
        'Create it again and run the build again.',
      );
}

/** Why nothing is minted where the record of the session cannot be read, and what to do. */
export const unreadable = {
  why: 'the pod gets no token – the record of its session cannot be read any more, and a token may be alive that only the record names',
  fix: 'Ask the operator of the cluster to delete the Secret that its log names; a new token appears by itself then.',
} as const;

export function unreadableError(s: SessionSnapshot): DeliveredError {
  return errorOf(s, 'RecordInvalid', unreadable.why, unreadable.fix);
}

/** Somebody deleted the Secret of this record or wrote nonsense into it, and it was written again. `name`: of the Secret. */
export function restoredMessage(name: string): string {
  return `somebody deleted or changed Secret ${name}, which holds the tokens of the session. It was written again as it was, so nothing is lost; leave it alone. To end the session delete its pod.`;
}

export function guardError(s: SessionSnapshot): DeliveredError {
  const objects = s.guard.is === 'Missing' ? s.guard.objects.join(', ') : 'not read yet';
  return errorOf(
    s,
    s.guard.is === 'Missing' ? 'GuardMissing' : 'GuardUnknown',
    `no tokens are issued – the admission policies of the operator are not whole: ${objects}`,
    'Ask the operator of the cluster to restore manifests/admission (kubectl replace, where one was edited), then run the build again.',
  );
}

export function limitError(s: SessionSnapshot): DeliveredError {
  return errorOf(
    s,
    'LimitReached',
    `the pod gets no token now – ${s.limit ?? 'a limit is reached'}`,
    'End sessions that are not needed, or ask the owners of the CiIdentity to raise spec.limits; the token appears by itself when there is room.',
  );
}

/** So many tokens that were taken from the session are still alive that there is no room for another one. */
export function fullError(s: SessionSnapshot): DeliveredError {
  const tokens = s.record?.tokens ?? [];
  const first = earliest(...tokens.map(({ exp }) => exp));
  const open = tokens.some(({ value }) => value !== undefined);
  const why = open ? 'could not be revoked yet' : 'cannot be revoked at this identity provider';
  return errorOf(
    s,
    'TooManyTokens',
    `the pod gets no token now – ${tokens.length} earlier ones were taken from it, which ${why} and still work`,
    `The file token appears by itself when the first of them has expired${first === undefined ? '' : ` (${toRfc3339(first)})`}${open ? ' or is revoked' : ''}; a new pod gets one at once.`,
  );
}

/** The provider (or our own client there) cannot give a token now. */
export function waitingError(s: SessionSnapshot): DeliveredError {
  const client = s.client.is === 'Seen' ? s.client.value : undefined;
  if (s.access.is === 'Seen' && s.access.value.is === 'Denied') return deniedError(s, s.access.value.denials);
  if (client?.refusal !== undefined) {
    const { reason, message } = client.refusal;
    const fix =
      'Correct it at the identity provider or in the pool; it is asked again every few minutes, and the token then appears by itself.';
    return errorOf(s, reason, message, fix);
  }
  if (client?.current === undefined) {
    const why = client?.message ?? 'the client at the identity provider is not registered yet';
    return errorOf(
      s,
      'WaitingForClient',
      why,
      'See kubectl describe identitypool; tokens come by themselves once it is Ready.',
    );
  }
  if (s.failure !== undefined) {
    const fix = s.failure.terminal
      ? 'Correct it at the identity provider or in the pool; the conditions of the CiIdentity say when it works.'
      : 'It is tried again; the file token appears by itself when it works.';
    return errorOf(s, s.failure.reason, s.failure.message, fix);
  }
  if (client.outage !== undefined) {
    const { reason, message } = client.outage;
    return errorOf(s, reason, message, 'It is tried again; the file token appears by itself when it works.');
  }
  return errorOf(
    s,
    'ProviderUnavailable',
    `no token within ${formatDuration(patience)} – the identity provider is not reached or too much is waiting for it`,
    'It is tried again; the file token appears by itself when it works.',
  );
}
