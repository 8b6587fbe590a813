import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { type Cluster, startCluster } from '#test/cluster/cluster.ts';
import { type OidcProvider, startOidcProvider } from '#test/providers/oidc-provider.ts';
import { established } from './established.ts';
import { eventually } from './eventually.ts';
import { type OperatorOptions, type OperatorProcess, startOperator } from './operator-process.ts';

const root = fileURLToPath(new URL('../../', import.meta.url));

export interface LabOptions {
  readonly node?: boolean;
  /** The API server writes an audit log. */
  readonly audit?: boolean;
  readonly etcdFlags?: readonly string[];
  readonly log?: (line: string) => void;
  /** Seconds that a token lives at the provider. */
  readonly tokenLifetime?: number;
  /** As in the configuration file. */
  readonly deliveryLag?: string;
  readonly logLevel?: string;
  /** Of the issuer, in the configuration; default `Generic`. */
  readonly profile?: string;
  /** Of the issuer, in the configuration: calls. */
  readonly rateLimit?: { readonly perSecond: number; readonly burst?: number };
}

/** What the lab needs of a provider, in this process or elsewhere; it is stopped with the lab. */
export interface LabProvider {
  readonly issuer: string;
  readonly caPem: string;
  readonly initialAccessToken: string;
  stop(): Promise<void>;
}

/** What the lab's provider knows. */
export const labScopes = ['artifacts:read', 'artifacts:publish', 'artifacts:delete', 'deploy:production'];
export const labResources = ['https://registry.example.com', 'https://deploy.example.com'];

/**
 * Everything real on one machine: cluster, policies, RBAC, an OpenID provider over TLS and the operator's configuration, with the namespace
 * `ci-payments` opted in and Jenkins' service account `jenkins/jenkins` as the one creator of agent pods. The operator is started by
 * {@link Lab.operator}.
 */
export interface Lab<P extends LabProvider = OidcProvider> {
  readonly dir: string;
  readonly cluster: Cluster;
  readonly provider: P;
  readonly configFile: string;
  readonly operatorKubeconfig: string;
  readonly jenkinsKubeconfig: string;
  operator(options?: Partial<OperatorOptions>): OperatorProcess;
  /** The same, once it is ready and {@link Lab.guarded}. */
  running(options?: Partial<OperatorOptions>): Promise<OperatorProcess>;
  /** Resolves when pods that are created from now on are trusted: the guard has been whole for a moment. Once per installation. */
  guarded(): Promise<void>;
  /** `kubectl` as cluster admin; throws with stderr when it fails. */
  kubectl(args: readonly string[], input?: string): Promise<string>;
  /** The same as Jenkins' service account. */
  kubectlAsJenkins(args: readonly string[], input?: string): Promise<string>;
  /** An image that is there on the cluster's own node. */
  readonly agentImage: string;
  apply(...documents: readonly string[]): Promise<void>;
  /** Creates an agent namespace with its bindings, opted in. */
  agentNamespace(name: string): Promise<void>;
  stop(): Promise<void>;
}

const jenkinsNamespace = 'jenkins';

export async function startLab(options: LabOptions = {}): Promise<Lab> {
  const { tokenLifetime: tokenTtl = 600 } = options;
  return startLabWith(() => startOidcProvider({ scopes: labScopes, resources: labResources, tokenTtl }), options);
}

/** A lab whose provider the caller starts, for example as a process of its own; `tokenLifetime` is the caller's business then. */
export async function startLabWith<P extends LabProvider>(
  startProvider: () => Promise<P>,
  options: LabOptions = {},
): Promise<Lab<P>> {
  const dir = mkdtempSync(join(tmpdir(), 'ci-identity-lab-'));
  const cluster = await startCluster({
    ...(options.node === undefined ? {} : { node: options.node }),
    ...(options.audit === undefined ? {} : { audit: options.audit }),
    ...(options.etcdFlags === undefined ? {} : { etcdFlags: options.etcdFlags }),
    ...(options.log === undefined ? {} : { log: options.log }),
  });
  const started: { stop(): Promise<void> }[] = [cluster];
  try {
    const provider = await startProvider();
    started.unshift(provider);
    return await labOf(dir, cluster, provider, options);
  } catch (error) {
    // Whatever still runs would keep the test process from ending.
    for (const one of started) await one.stop();
    throw error;
  }
}

async function labOf<P extends LabProvider>(
  dir: string,
  cluster: Cluster,
  provider: P,
  options: LabOptions,
): Promise<Lab<P>> {
  const kubectl = async (args: readonly string[], input?: string): Promise<string> => {
    const { stdout, stderr, code } = await cluster.kubectlRun(args, input);
    if (code !== 0) throw new Error(`kubectl ${args.join(' ')}: ${stderr}`);
    return stdout;
  };
  const apply = async (...documents: readonly string[]): Promise<void> => {
    await kubectl(['apply', '--server-side', '-f', '-'], documents.join('\n---\n'));
  };
  await installManifests(kubectl);
  // The controller manager makes the default service account as well, but a pod that comes before that is refused.
  const agentNamespace = async (name: string): Promise<void> =>
    apply(...agentNamespaceDocuments(name), serviceAccountDocument(name, 'default'));
  await apply(namespaceDocument(jenkinsNamespace), serviceAccountDocument(jenkinsNamespace, 'jenkins'));
  await agentNamespace('ci-payments');
  await apply(...issuerDocuments(provider));
  const configFile = join(dir, 'config.yaml');
  writeFileSync(configFile, configurationText(provider.issuer, options));
  const operatorKubeconfig = await cluster.kubeconfigForServiceAccount('ci-identity-system', 'controller');
  const jenkinsKubeconfig = await cluster.kubeconfigForServiceAccount(jenkinsNamespace, 'jenkins');
  const running = new Set<OperatorProcess>();
  const operator = (more: Partial<OperatorOptions> = {}): OperatorProcess => {
    const process = startOperator({
      kubeconfig: operatorKubeconfig,
      configFile,
      dir,
      ...(options.logLevel === undefined ? {} : { logLevel: options.logLevel }),
      ...more,
    });
    running.add(process);
    return process;
  };
  return {
    dir,
    cluster,
    provider,
    configFile,
    operatorKubeconfig,
    jenkinsKubeconfig,
    operator,
    async running(more) {
      const process = operator(more);
      await process.ready();
      await guarded(kubectl);
      return process;
    },
    guarded: () => guarded(kubectl),
    kubectl,
    kubectlAsJenkins: (args, input) => kubectl([`--kubeconfig=${jenkinsKubeconfig}`, ...args], input),
    agentImage: cluster.node?.agentImage ?? 'ci-identity.dev/agent:test',
    apply,
    agentNamespace,
    async stop() {
      await Promise.all([...running].map((process) => process.stop('SIGKILL')));
      await provider.stop();
      await cluster.stop();
      rmSync(dir, { recursive: true, force: true });
    },
  };
}

/** Several labs may start at once on one machine. */
const patient = { timeoutMs: 60_000 } as const;

/** Resolves when pods that are created from now on are trusted. */
export async function guarded(kubectl: Lab['kubectl']): Promise<void> {
  const since = await eventually(
    'the guard record is written',
    async () => {
      const text = await kubectl([
        'get',
        'secret',
        '-n',
        'ci-identity-system',
        'guard',
        '-o',
        'jsonpath={.data.record\\.json}',
      ]);
      const record = JSON.parse(Buffer.from(text, 'base64').toString('utf8')) as { wholeSince?: number };
      return record.wholeSince;
    },
    patient,
  );
  // Creation times have whole seconds: a pod of the very second in which the guard became whole is not trusted.
  await new Promise((resolve) => setTimeout(resolve, Math.max(0, since + 1_000 - Date.now())));
}

async function installManifests(kubectl: Lab['kubectl']): Promise<void> {
  await kubectl(['apply', '--server-side', '-k', join(root, 'crds')]);
  const plurals = ['identitypools', 'scopepolicies', 'ciidentities'].map((plural) => `crd/${plural}.ci-identity.dev`);
  await established(kubectl, ...plurals);
  const controller = ['namespace', 'rbac', 'aggregated-roles'].flatMap((name) => [
    '-f',
    join(root, `manifests/controller/${name}.yaml`),
  ]);
  await kubectl(['apply', '--server-side', ...controller]);
  await kubectl(['apply', '--server-side', '-k', join(root, 'manifests/admission')]);
}

export function namespaceDocument(name: string, labels: Readonly<Record<string, string>> = {}): string {
  return JSON.stringify({ apiVersion: 'v1', kind: 'Namespace', metadata: { name, labels } });
}

export function serviceAccountDocument(namespace: string, name: string): string {
  return JSON.stringify({ apiVersion: 'v1', kind: 'ServiceAccount', metadata: { namespace, name } });
}

/** What the configuration of {@link configurationText} refers to. */
export function issuerDocuments(provider: LabProvider): readonly string[] {
  return [
    JSON.stringify({
      apiVersion: 'v1',
      kind: 'Secret',
      metadata: { name: 'registration', namespace: 'ci-identity-system' },
      stringData: { token: provider.initialAccessToken },
    }),
    JSON.stringify({
      apiVersion: 'v1',
      kind: 'ConfigMap',
      metadata: { name: 'issuer-ca', namespace: 'ci-identity-system' },
      data: { 'ca.crt': provider.caPem },
    }),
  ];
}

/** What manifests/components/agent-namespace ships, plus the right to create pods that Jenkins' own chart grants. */
export function agentNamespaceDocuments(name: string, creators: string = jenkinsNamespace): readonly string[] {
  const role = (roleName: string, rules: readonly object[], subject: object): readonly string[] => [
    JSON.stringify({
      apiVersion: 'rbac.authorization.k8s.io/v1',
      kind: 'Role',
      metadata: { namespace: name, name: roleName },
      rules,
    }),
    JSON.stringify({
      apiVersion: 'rbac.authorization.k8s.io/v1',
      kind: 'RoleBinding',
      metadata: { namespace: name, name: roleName },
      roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'Role', name: roleName },
      subjects: [subject],
    }),
  ];
  const jenkins = { kind: 'ServiceAccount', namespace: creators, name: 'jenkins' };
  return [
    namespaceDocument(name, { 'ci-identity.dev/inject': 'enabled' }),
    serviceAccountDocument(name, 'jenkins-agent'),
    ...role(
      'ci-identity-controller',
      [
        { apiGroups: [''], resources: ['pods'], verbs: ['get', 'list', 'watch'] },
        { apiGroups: [''], resources: ['secrets'], verbs: ['create', 'update'] },
        { apiGroups: ['', 'events.k8s.io'], resources: ['events'], verbs: ['create', 'patch'] },
      ],
      { kind: 'ServiceAccount', namespace: 'ci-identity-system', name: 'controller' },
    ),
    ...role(
      'ci-identity-use',
      [{ apiGroups: ['ci-identity.dev'], resources: ['ciidentities'], verbs: ['use'] }],
      jenkins,
    ),
    ...role(
      'jenkins-agents',
      [
        {
          apiGroups: [''],
          resources: ['pods', 'pods/exec', 'pods/log'],
          verbs: ['create', 'delete', 'get', 'list', 'patch', 'update', 'watch'],
        },
      ],
      jenkins,
    ),
  ];
}

export function configurationText(issuer: string, options: LabOptions): string {
  return JSON.stringify({
    apiVersion: 'config.ci-identity.dev/v1alpha1',
    kind: 'ControllerConfiguration',
    issuers: [
      {
        url: issuer,
        profile: options.profile ?? 'Generic',
        allowPrivateNetwork: true,
        registrationTokenRef: { name: 'registration', key: 'token' },
        caBundleRef: { name: 'issuer-ca', key: 'ca.crt' },
        ...(options.rateLimit === undefined ? {} : { rateLimit: options.rateLimit }),
      },
    ],
    limits: { deliveryLag: options.deliveryLag ?? '10s' },
    log: { level: options.logLevel ?? 'info' },
  });
}
