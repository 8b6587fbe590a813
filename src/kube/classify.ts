import { type Instant, plus, retryAfter, second } from '../clock.ts';
import { OperatorError, type ErrorClass } from '../errors.ts';
import { operatorNamespace } from '../api/names.ts';
import type { Reason } from '../api/reasons.ts';
import { VersionExpiredError } from '../runtime/source.ts';
import type { ApiResponse } from './connection.ts';

/** What a call was about, for the sentence: verb as RBAC knows it (`get`, `list`, `watch`, `create`, `update`, `patch`, `delete`). */
export interface Subject {
  readonly verb: string;
  readonly resource: string;
  readonly namespace?: string;
  readonly name?: string;
}

/** The parts of `metav1.Status` that are read. */
interface Status {
  readonly reason?: string;
  readonly message?: string;
  readonly details?: {
    readonly kind?: string;
    readonly causes?: readonly { readonly reason?: string; readonly field?: string }[];
  };
}

const retryRefused = 30 * second;

/**
 * What an answer other than 2xx means. {@link VersionExpiredError} for 410, otherwise OperatorError. Callers for which 404 is a value look
 * at the status first; here it means that the kind or the namespace does not exist. The message names verb, resource and place and what
 * the server says about rights, policies, quotas and fields in the form that we know; never other text of the server, since that may quote
 * the object that was sent.
 */
export function toError(response: ApiResponse, subject: Subject): OperatorError | VersionExpiredError {
  const status = statusOf(response.body);
  const call = sentence(subject);
  const make = (kind: ErrorClass, reason: Reason, message: string, retryAt?: Instant): OperatorError =>
    new OperatorError({ class: kind, reason, message, ...(retryAt === undefined ? {} : { retryAt }) });
  const later = plus(response.at, retryRefused);
  switch (response.status) {
    case 401:
      return make(
        'Waiting',
        'ApiForbidden',
        `API server: ${call} is refused (401): our credential is not accepted; check the service account token or kubeconfig`,
        later,
      );
    case 403:
      return forbidden(response, status, subject);
    case 404:
      return namespaceMissing(status)
        ? make('Waiting', 'NamespaceTerminating', `API server: ${call} is refused (404): the namespace is gone`, later)
        : make(
            'Waiting',
            'ApiRefused',
            `API server: ${call} is refused (404): there is no such thing; install the custom resource definitions if it is a kind of ours`,
            later,
          );
    case 409:
      return make(
        'Conflict',
        'ApiConflict',
        `API server: ${call} came too late (409): somebody else changed the object first; it is looked at again`,
      );
    case 410:
      return new VersionExpiredError(`API server: ${call}: the resource version is too old (410)`);
    case 429:
      return make(
        'Transient',
        'RateLimited',
        `API server: ${call} has to wait (429)`,
        retryAfter(response.headers['retry-after'], response.at),
      );
    default:
      if (response.status >= 500 || response.status === 408) {
        return make(
          'Transient',
          'ApiServerUnavailable',
          `API server: ${call} failed (${response.status})${storeFull(status)}; it is tried again`,
          retryAfter(response.headers['retry-after'], response.at),
        );
      }
      return make(
        'Terminal',
        'ApiRefused',
        `API server: ${call} is refused (${response.status}${fields(status)}); this version of the operator and the installed definitions do not fit together`,
      );
  }
}

/** True where the namespace of a call does not exist or is being deleted, so that nothing can be created in it. */
export function isNamespaceLeaving(response: ApiResponse): boolean {
  const status = statusOf(response.body);
  if (response.status === 404) return namespaceMissing(status);
  return (
    response.status === 403 && (status.details?.causes ?? []).some((cause) => cause.reason === 'NamespaceTerminating')
  );
}

/** The admission policy that refused, from the API server's sentence. */
export function refusingPolicy(response: ApiResponse): string | undefined {
  return /ValidatingAdmissionPolicy '([a-z0-9.-]{1,253})'/.exec(statusOf(response.body).message ?? '')?.[1];
}

/** The fields that a 422 names. */
export function invalidFields(response: ApiResponse): readonly string[] {
  return (statusOf(response.body).details?.causes ?? []).flatMap((cause) =>
    cause.field === undefined ? [] : [cause.field],
  );
}

function forbidden(response: ApiResponse, status: Status, subject: Subject): OperatorError {
  const call = sentence(subject);
  const waiting = (reason: Reason, message: string): OperatorError =>
    new OperatorError({ class: 'Waiting', reason, message, retryAt: plus(response.at, retryRefused) });
  if (isNamespaceLeaving(response)) {
    return waiting('NamespaceTerminating', `API server: ${call} is refused (403): the namespace is being deleted`);
  }
  const text = status.message ?? '';
  const quota = /exceeded quota: ([a-z0-9.-]{1,253})/.exec(text)?.[1];
  if (quota !== undefined) {
    return waiting(
      'QuotaExceeded',
      `API server: ${call} is refused (403): ResourceQuota ${quota} is used up; raise it or remove objects`,
    );
  }
  const policy = refusingPolicy(response);
  if (policy !== undefined) {
    return waiting('ApiForbidden', `API server: ${call} is refused (403) by ValidatingAdmissionPolicy ${policy}`);
  }
  const right = /cannot [a-z]+ resource "[a-z0-9./-]+" in API group "([a-z0-9.-]*)"/.exec(text);
  if (right !== null) {
    const group = right[1] === '' ? '' : ` of ${right[1] ?? ''}`;
    return waiting(
      'ApiForbidden',
      `API server: ${call} is refused (403): the operator's service account lacks the verb ${subject.verb} on ${subject.resource}${group}${subject.namespace === undefined ? '' : ` in namespace ${subject.namespace}`}; ${bindingOf(subject)}`,
    );
  }
  return waiting(
    'ApiForbidden',
    `API server: ${call} is refused (403) by an admission plugin or authorizer; the API server's audit log names it`,
  );
}

/** What grants the right, as it is shipped. */
function bindingOf({ namespace }: Subject): string {
  return namespace === undefined || namespace === operatorNamespace
    ? 'apply manifests/controller/rbac.yaml'
    : `apply Role and RoleBinding ci-identity-controller of manifests/components/agent-namespace in namespace ${namespace}`;
}

/** The one 5xx that does not pass by itself, as etcd words it. */
function storeFull({ message = '' }: Status): string {
  return message.includes('database space exceeded')
    ? ': etcd is full, so nothing can be written; compact and defragment it, and disarm its alarm'
    : '';
}

function namespaceMissing(status: Status): boolean {
  return status.reason === 'NotFound' && status.details?.kind === 'namespaces';
}

function fields(status: Status): string {
  const named = (status.details?.causes ?? []).flatMap(({ field, reason }) =>
    field === undefined || !/^[\w.[\]-]{1,200}$/.test(field)
      ? []
      : [`${field} ${/^\w{1,60}$/.exec(reason ?? '')?.[0] ?? ''}`.trim()],
  );
  return named.length === 0 ? '' : `, ${named.slice(0, 5).join(', ')}`;
}

function sentence({ verb, resource, namespace, name }: Subject): string {
  return `${verb} ${resource}${name === undefined ? '' : ` ${name}`}${namespace === undefined ? '' : ` in namespace ${namespace}`}`;
}

function statusOf(body: unknown): Status {
  return typeof body === 'object' && body !== null ? body : {};
}
