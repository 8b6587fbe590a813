import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { systemClock } from '#src/clock.ts';
import { type ApiConnection, type ApiResponse, connect, type Method } from '#src/kube/connection.ts';
import { type Cluster, type ClusterOptions, startCluster } from '#test/cluster/cluster.ts';
import { agentPod } from '#test/support/jenkins-pod.ts';
import { eventually } from '#test/support/eventually.ts';

const root = fileURLToPath(new URL('../../', import.meta.url));

/**
 * Who sends requests, as a service account each: what the policies see of a person is a name and RBAC, no more.
 * - `jenkins` creates agent pods and holds `use`; `stranger` creates pods without `use`; `partial` holds `use` on i01 … i11 of i01 … i12
 * - `admin`, `editor`: the stock roles of an agent namespace; `controller`: the operator
 */
export const users = {
  jenkins: { namespace: 'jenkins', name: 'jenkins' },
  stranger: { namespace: 'jenkins', name: 'stranger' },
  partial: { namespace: 'jenkins', name: 'partial' },
  admin: { namespace: 'people', name: 'admin' },
  editor: { namespace: 'people', name: 'editor' },
  controller: { namespace: 'ci-identity-system', name: 'controller' },
} as const;

export type User = keyof typeof users | 'cluster-admin';

export function userName(user: keyof typeof users): string {
  return `system:serviceaccount:${users[user].namespace}:${users[user].name}`;
}

export interface AdmissionLab {
  readonly cluster: Cluster;
  as(user: User): ApiConnection;
  send(user: User, method: Method, path: string, body?: unknown, options?: SendOptions): Promise<ApiResponse>;
  apply(...objects: readonly object[]): Promise<void>;
  stop(): Promise<void>;
}

export interface SendOptions {
  /** Default true: nothing is stored, admission answers the same. */
  readonly dryRun?: boolean;
  readonly contentType?: string;
  readonly query?: Readonly<Record<string, string>>;
}

/** A cluster with CRDs, policies and RBAC as shipped, the agent namespace `ci-payments` made with the shipped component, and the users. */
export async function startAdmissionLab(options: ClusterOptions = {}): Promise<AdmissionLab> {
  const cluster = await startCluster(options);
  const connections = new Map<User, ApiConnection>();
  const signal = new AbortController().signal;
  const kubectl = (args: readonly string[], input?: string): Promise<void> => runKubectl(cluster, args, input);
  const apply = (...objects: readonly object[]): Promise<void> =>
    kubectl(['apply', '--server-side', '-f', '-'], objects.map((object) => JSON.stringify(object)).join('\n---\n'));
  const lab: AdmissionLab = {
    cluster,
    as(user) {
      const connection = connections.get(user);
      if (connection === undefined) throw new Error(`${user} has no connection`);
      return connection;
    },
    send(user, method, path, body, options = {}) {
      return lab.as(user).request(method, path, {
        signal,
        query: { ...options.query, ...(options.dryRun === false ? {} : { dryRun: 'All' }) },
        ...(body === undefined ? {} : { body }),
        ...(options.contentType === undefined ? {} : { contentType: options.contentType }),
      });
    },
    apply,
    async stop() {
      for (const connection of connections.values()) await connection.close();
      await cluster.stop();
    },
  };
  connections.set('cluster-admin', await connect({ kubeconfig: cluster.kubeconfig, clock: systemClock }));
  await installManifests(cluster);
  await apply(...['jenkins', 'people', 'ci-payments'].map((name) => namespace(name)));
  await apply(...Object.values(users).map((user) => ({ apiVersion: 'v1', kind: 'ServiceAccount', metadata: user })));
  await applyAgentNamespace(kubectl, 'ci-payments');
  for (const user of Object.keys(users) as (keyof typeof users)[]) {
    const { namespace: ns, name } = users[user];
    connections.set(
      user,
      await connect({ kubeconfig: await cluster.kubeconfigForServiceAccount(ns, name), clock: systemClock }),
    );
  }
  await effective(lab);
  for (const ns of ['jenkins', 'people', 'ci-payments']) await takesPods(lab, ns);
  return lab;
}

/** Everything of `manifests/default`. */
export async function installManifests(cluster: Cluster): Promise<void> {
  await runKubectl(cluster, ['apply', '--server-side', '-k', join(root, 'manifests/default')]);
}

async function runKubectl(cluster: Cluster, args: readonly string[], input?: string): Promise<void> {
  const { stderr, code } = await cluster.kubectlRun(args, input);
  if (code !== 0) throw new Error(`kubectl ${args.join(' ')}: ${stderr}`);
}

/** The shipped component, used as its comment says; the label is what switches a namespace on. */
async function applyAgentNamespace(kubectl: (args: readonly string[]) => Promise<void>, name: string): Promise<void> {
  const dir = mkdtempSync(join(tmpdir(), 'ci-identity-kustomize-'));
  try {
    const component = relative(dir, join(root, 'manifests/components/agent-namespace'));
    writeFileSync(join(dir, 'kustomization.yaml'), JSON.stringify({ namespace: name, components: [component] }));
    await kubectl(['apply', '--server-side', '-k', dir]);
    await kubectl(['label', 'namespace', name, 'ci-identity.dev/inject=enabled']);
  } finally {
    rmSync(dir, { recursive: true });
  }
}

/** API servers take over policies with a one-second tick; CRD discovery can take longer than that. */
async function effective(lab: AdmissionLab): Promise<void> {
  const forbidden = agentPod({ namespace: 'default', spec: { imagePullSecrets: [{ name: 'ci-identity-x' }] } });
  await eventually('the policies are effective', async () => {
    const { body } = await lab.send('cluster-admin', 'POST', podsOf('default'), forbidden);
    return JSON.stringify(body).includes('denied request') ? true : undefined;
  });
}

/**
 * The first pods of a namespace are refused (403) until the controller manager has made its default service account, and until the API server has
 * read what the policies look at.
 */
async function takesPods(lab: AdmissionLab, ns: string): Promise<void> {
  await eventually(`namespace ${ns} takes pods`, async () => {
    const { status } = await lab.send('cluster-admin', 'POST', podsOf(ns), agentPod({ namespace: ns }));
    return status === 201 ? true : undefined;
  });
}

export function podsOf(ns: string): string {
  return `/api/v1/namespaces/${ns}/pods`;
}

export function secretsOf(ns: string): string {
  return `/api/v1/namespaces/${ns}/secrets`;
}

export function identitiesOf(ns: string): string {
  return `/apis/ci-identity.dev/v1alpha1/namespaces/${ns}/ciidentities`;
}

export function namespace(name: string, inject?: string): object {
  const labels = inject === undefined ? {} : { 'ci-identity.dev/inject': inject };
  return { apiVersion: 'v1', kind: 'Namespace', metadata: { name, labels } };
}

export function identity(ns: string, name: string, spec: object = {}): object {
  return {
    apiVersion: 'ci-identity.dev/v1alpha1',
    kind: 'CiIdentity',
    metadata: { namespace: ns, name },
    spec: { pool: 'ci-bots', roles: ['publisher'], ...spec },
  };
}

export interface Rule {
  readonly apiGroups: readonly string[];
  readonly resources: readonly string[];
  readonly verbs: readonly string[];
  readonly resourceNames?: readonly string[];
}

export const createPods: Rule = {
  apiGroups: [''],
  resources: ['pods', 'pods/binding', 'bindings', 'pods/status', 'pods/ephemeralcontainers'],
  verbs: ['create', 'patch', 'update', 'get', 'delete'],
};

export function mayUse(...resourceNames: readonly string[]): Rule {
  const names = resourceNames.length === 0 ? {} : { resourceNames };
  return { apiGroups: ['ci-identity.dev'], resources: ['ciidentities'], verbs: ['use'], ...names };
}

export function subject(user: keyof typeof users): object {
  return { kind: 'ServiceAccount', ...users[user] };
}

/** A Role and its binding in one go. */
export function grant(ns: string, name: string, to: readonly object[], rules: readonly Rule[]): readonly object[] {
  return [
    { apiVersion: 'rbac.authorization.k8s.io/v1', kind: 'Role', metadata: { namespace: ns, name }, rules },
    bind(ns, name, to, 'Role', name),
  ];
}

export function bind(
  ns: string,
  name: string,
  to: readonly object[],
  kind: 'Role' | 'ClusterRole',
  role: string,
): object {
  return {
    apiVersion: 'rbac.authorization.k8s.io/v1',
    kind: 'RoleBinding',
    metadata: { namespace: ns, name },
    roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind, name: role },
    subjects: to,
  };
}
