import test from 'ava';
import { instant, plus, second } from '#src/clock.ts';
import { OperatorError } from '#src/errors.ts';
import { invalidFields, isNamespaceLeaving, refusingPolicy, type Subject, toError } from '#src/kube/classify.ts';
import type { ApiResponse } from '#src/kube/connection.ts';
import { VersionExpiredError } from '#src/runtime/source.ts';

const at = instant(Date.UTC(2026, 10, 24, 12));
const secret: Subject = { verb: 'create', resource: 'secrets', namespace: 'ci-payments' };

function answer(status: number, body: unknown = {}, headers: Record<string, string> = {}): ApiResponse {
  return { status, headers, body, at };
}

function errorOf(response: ApiResponse, subject = secret): OperatorError {
  const error = toError(response, subject);
  if (!(error instanceof OperatorError)) throw error;
  return error;
}

const rbac =
  'secrets is forbidden: User "system:serviceaccount:ci-identity-system:controller" cannot create resource "secrets" in API group "" in the namespace "ci-payments"';
const terminating = {
  reason: 'Forbidden',
  details: { causes: [{ reason: 'NamespaceTerminating', message: 'namespace ci-payments is being terminated' }] },
};
const quota = {
  message:
    'secrets "x" is forbidden: exceeded quota: compute, requested: count/secrets=1, used: count/secrets=10, limited: count/secrets=10',
};
const policy = {
  message: `secrets "x" is forbidden: ValidatingAdmissionPolicy 'secrets.ci-identity.dev' with binding 'secrets.ci-identity.dev' denied request: no`,
};

const rows: readonly (readonly [string, ApiResponse, string, string, RegExp, Subject?])[] = [
  ['401', answer(401), 'Waiting', 'ApiForbidden', /our credential is not accepted/],
  [
    '403 by RBAC',
    answer(403, { message: rbac }),
    'Waiting',
    'ApiForbidden',
    /lacks the verb create on secrets in namespace ci-payments; apply Role and RoleBinding ci-identity-controller of manifests\/components\/agent-namespace in namespace ci-payments$/,
  ],
  [
    '403 by RBAC in our own namespace',
    answer(403, { message: rbac }),
    'Waiting',
    'ApiForbidden',
    /lacks the verb create on leases in namespace ci-identity-system; apply manifests\/controller\/rbac\.yaml$/,
    { verb: 'create', resource: 'leases', namespace: 'ci-identity-system' },
  ],
  [
    '403 by RBAC on a kind of the cluster',
    answer(403, {
      message: 'User "x" cannot list resource "ciidentities" in API group "ci-identity.dev" at the cluster',
    }),
    'Waiting',
    'ApiForbidden',
    /lacks the verb list on ciidentities of ci-identity\.dev; apply manifests\/controller\/rbac\.yaml$/,
    { verb: 'list', resource: 'ciidentities' },
  ],
  ['403 by quota', answer(403, quota), 'Waiting', 'QuotaExceeded', /ResourceQuota compute is used up/],
  ['403 in a namespace that goes', answer(403, terminating), 'Waiting', 'NamespaceTerminating', /being deleted/],
  [
    '403 by a policy',
    answer(403, policy),
    'Waiting',
    'ApiForbidden',
    /ValidatingAdmissionPolicy secrets\.ci-identity\.dev/,
  ],
  ['403 of unknown origin', answer(403, '<html>'), 'Waiting', 'ApiForbidden', /admission plugin or authorizer/],
  [
    '404 of the namespace',
    answer(404, { reason: 'NotFound', details: { kind: 'namespaces' } }),
    'Waiting',
    'NamespaceTerminating',
    /gone/,
  ],
  [
    '404 of the kind',
    answer(404, '404 page not found'),
    'Waiting',
    'ApiRefused',
    /install the custom resource definitions/,
  ],
  ['409', answer(409), 'Conflict', 'ApiConflict', /changed the object first/],
  ['400', answer(400), 'Terminal', 'ApiRefused', /create secrets in namespace ci-payments is refused \(400\)/],
  ['408', answer(408), 'Transient', 'ApiServerUnavailable', /failed \(408\)/],
  ['413', answer(413), 'Terminal', 'ApiRefused', /413/],
  ['415', answer(415), 'Terminal', 'ApiRefused', /415/],
  ['429', answer(429), 'Transient', 'RateLimited', /has to wait/],
  ['500', answer(500), 'Transient', 'ApiServerUnavailable', /failed \(500\)/],
  [
    '500 of a full etcd',
    answer(500, { message: 'etcdserver: mvcc: database space exceeded' }),
    'Transient',
    'ApiServerUnavailable',
    /failed \(500\): etcd is full, so nothing can be written; compact and defragment it, and disarm its alarm; it is tried/,
  ],
  ['503', answer(503), 'Transient', 'ApiServerUnavailable', /failed \(503\)/],
  ['504', answer(504), 'Transient', 'ApiServerUnavailable', /failed \(504\)/],
];

for (const [name, response, kind, reason, message, subject] of rows) {
  test(`${name} is ${kind} ${reason}`, (t) => {
    const error = errorOf(response, subject);
    t.is(error.class, kind as typeof error.class);
    t.is(error.reason, reason as typeof error.reason);
    t.regex(error.message, message);
    t.is(error.retryAt !== undefined, kind === 'Waiting');
  });
}

test('a namespace leaves where it is gone or being deleted, not where something in it is missing or refused', (t) => {
  const secrets = { reason: 'NotFound', details: { kind: 'secrets' } };
  for (const [response, isLeaving] of [
    [answer(403, terminating), true],
    [answer(404, { reason: 'NotFound', details: { kind: 'namespaces' } }), true],
    [answer(404, secrets), false],
    [answer(404, '404 page not found'), false],
    [answer(403, quota), false],
    [answer(409, terminating), false],
  ] as const)
    t.is(isNamespaceLeaving(response), isLeaving, JSON.stringify(response.body));
});

test('which policy refused and which fields are invalid is read from the answer, else nothing', (t) => {
  t.is(refusingPolicy(answer(403, policy)), 'secrets.ci-identity.dev');
  t.is(refusingPolicy(answer(403, quota)), undefined);
  t.deepEqual(invalidFields(answer(422, { details: { causes: [{ field: 'type' }, {}, { field: 'data' }] } })), [
    'type',
    'data',
  ]);
  t.deepEqual(invalidFields(answer(422)), []);
});

test('410 is the version that expired', (t) => {
  t.true(toError(answer(410), secret) instanceof VersionExpiredError);
});

test('refusals are looked at again after half a minute', (t) => {
  t.is(errorOf(answer(403, { message: rbac })).retryAt, plus(at, 30 * second));
});

for (const status of [429, 503])
  test(`a ${status} says when to come back`, (t) => {
    t.is(errorOf(answer(status, {}, { 'retry-after': '7' })).retryAt, plus(at, 7 * second));
    const date = 'Tue, 24 Nov 2026 12:00:30 GMT';
    t.is(errorOf(answer(status, {}, { 'retry-after': date })).retryAt, plus(at, 30 * second));
    t.is(errorOf(answer(status, {})).retryAt, undefined);
  });

test('a 422 names fields and kinds of trouble, never values', (t) => {
  const body = {
    message: 'Secret "x" is invalid: data[token]: Invalid value: "hunter2"',
    details: {
      causes: [
        { reason: 'FieldValueInvalid', message: 'Invalid value: "hunter2"', field: 'data[token]' },
        { reason: 'FieldValueInvalid', field: 'evil: "hunter2"' },
      ],
    },
  };
  const error = errorOf(answer(422, body));
  t.is(error.class, 'Terminal');
  t.regex(error.message, /data\[token\] FieldValueInvalid/);
  t.notRegex(error.message, /hunter2/);
});

test('no status lets the server put its own text into a message', (t) => {
  const body = {
    message: 'hunter2',
    reason: 'hunter2',
    details: { kind: 'hunter2', causes: [{ reason: 'hunter2', message: 'hunter2' }] },
  };
  for (let status = 300; status < 600; status += 1) {
    t.notRegex(toError(answer(status, body), secret).message, /hunter2/, String(status));
  }
});
