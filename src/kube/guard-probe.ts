import {
  annotations,
  claimPrefix,
  deliverySecretName,
  labels,
  operatorServiceAccount,
  volumeName,
} from '../api/names.ts';
import type { ApiConnection } from './connection.ts';

/**
 * `Refused`: the API server that answered enforces validating policies. `Admitted`: it let something pass that the policies forbid, although
 * the objects may all be there (`--disable-admission-plugins`). `Unclear`: nobody answered the question.
 */
export type ProbeOutcome =
  | { readonly is: 'Refused' }
  | { readonly is: 'Admitted'; readonly what: readonly string[] }
  | { readonly is: 'Unclear'; readonly message: string };

export interface ProbeTarget {
  /** The operator's own namespace. */
  readonly namespace: string;
  /** Namespaces in which the operator may create Secrets; the first few are enough. */
  readonly agentNamespaces: readonly string[];
}

interface Probe {
  readonly what: string;
  readonly policy: string;
  readonly path: string;
  readonly body: unknown;
}

const agentNamespacesAsked = 3;

/**
 * Asks the API server, with dry-run creates that change nothing, for what the policies must refuse. A watch shows that the objects are whole;
 * only this shows that somebody enforces them. One API server is asked at a time, whichever the connection leads to.
 */
export async function probeAdmission(
  api: Pick<ApiConnection, 'request'>,
  target: ProbeTarget,
  signal: AbortSignal,
): Promise<ProbeOutcome> {
  const admitted: string[] = [];
  const unclear: string[] = [];
  let refused = 0;
  for (const probe of probes(target)) {
    const { status, body } = await api.request('POST', probe.path, {
      query: { dryRun: 'All' },
      body: probe.body,
      signal,
    });
    if (status === 201) admitted.push(probe.what);
    else if (status === 403 && messageOf(body).includes(`ValidatingAdmissionPolicy '${probe.policy}'`)) refused++;
    else unclear.push(`${probe.what}: the API server answers ${status} for another reason`);
  }
  if (admitted.length > 0) return { is: 'Admitted', what: admitted };
  return refused > 0 ? { is: 'Refused' } : { is: 'Unclear', message: unclear.join('; ') };
}

function probes(target: ProbeTarget): readonly Probe[] {
  const pods = `/api/v1/namespaces/${target.namespace}/pods`;
  return [
    {
      what: `a pod in ${target.namespace} that reads another pod's token Secret`,
      policy: 'pods.ci-identity.dev',
      path: pods,
      body: pod({ name: 'ci-identity-probe-volume' }, [
        { name: 'stolen', secret: { secretName: 'ci-identity-probe.x' } },
      ]),
    },
    {
      what: `a pod in ${target.namespace} with a claim that its creator may not use`,
      policy: 'use.ci-identity.dev',
      path: pods,
      body: forgedClaim(target.namespace),
    },
    ...target.agentNamespaces.slice(0, agentNamespacesAsked).map((namespace) => ({
      what: `an Opaque Secret by the operator in ${namespace}`,
      policy: 'secrets.ci-identity.dev',
      path: `/api/v1/namespaces/${namespace}/secrets`,
      body: { apiVersion: 'v1', kind: 'Secret', metadata: { name: 'ci-identity-probe.x' }, type: 'Opaque' },
    })),
  ];
}

/** Right in everything but the right to `use`, so that no other policy answers first. */
function forgedClaim(namespace: string): unknown {
  const name = 'ci-identity-probe-claim';
  const claim = {
    [`${claimPrefix}probe`]: '00000000-0000-0000-0000-000000000000',
    [annotations.requester]: `system:serviceaccount:${namespace}:${operatorServiceAccount}`,
  };
  const metadata = { name, annotations: claim, labels: { [labels.injected]: 'true' } };
  return pod(metadata, [{ name: volumeName('probe'), secret: { secretName: deliverySecretName('probe', name) } }]);
}

/** Fits Pod Security level restricted, so that nothing but our policies refuses it. */
function pod(metadata: object, volumes: readonly unknown[]): unknown {
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata,
    spec: {
      serviceAccountName: operatorServiceAccount,
      automountServiceAccountToken: false,
      restartPolicy: 'Never',
      securityContext: { runAsNonRoot: true, runAsUser: 65532, seccompProfile: { type: 'RuntimeDefault' } },
      containers: [
        {
          name: 'never-runs',
          image: 'ci-identity-probe',
          resources: { requests: { cpu: '1m', memory: '1Mi' }, limits: { cpu: '1m', memory: '1Mi' } },
          securityContext: { allowPrivilegeEscalation: false, capabilities: { drop: ['ALL'] } },
        },
      ],
      volumes,
    },
  };
}

function messageOf(body: unknown): string {
  const message = typeof body === 'object' && body !== null && 'message' in body ? body.message : undefined;
  return typeof message === 'string' ? message : '';
}
