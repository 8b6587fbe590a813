/** An agent pod exactly as the Jenkins kubernetes plugin submits it (measured; version 4423), as plain JSON for the API server. */
export interface AgentPod {
  readonly apiVersion: 'v1';
  readonly kind: 'Pod';
  readonly metadata: {
    readonly name?: string;
    readonly generateName?: string;
    readonly namespace: string;
    readonly labels: Readonly<Record<string, string>>;
    readonly annotations: Readonly<Record<string, string>>;
  };
  readonly spec: AgentPodSpec;
}

export interface AgentPodSpec {
  readonly restartPolicy: 'Never';
  readonly nodeSelector?: Readonly<Record<string, string>>;
  readonly serviceAccountName?: string;
  readonly containers: readonly AgentContainer[];
  readonly initContainers?: readonly AgentContainer[];
  readonly volumes: readonly AgentVolume[];
  readonly [field: string]: unknown;
}

export interface AgentContainer {
  readonly name: string;
  readonly image: string;
  readonly env?: readonly { readonly name: string; readonly [source: string]: unknown }[];
  readonly volumeMounts?: readonly AgentMount[];
  readonly [field: string]: unknown;
}

export interface AgentMount {
  readonly name: string;
  readonly mountPath: string;
  readonly [field: string]: unknown;
}

export interface AgentVolume {
  readonly name: string;
  readonly [source: string]: unknown;
}

export interface AgentPodOptions {
  readonly name?: string;
  readonly namespace?: string;
  readonly labels?: Readonly<Record<string, string>>;
  readonly annotations?: Readonly<Record<string, string>>;
  /** Absent: as the plugin does when nobody sets it, the namespace's `default`. */
  readonly serviceAccountName?: string;
  /** More containers beside `maven` and `jnlp`. */
  readonly containers?: readonly AgentContainer[];
  readonly volumes?: readonly AgentVolume[];
  /** Fields of the spec that the author's YAML adds. */
  readonly spec?: Readonly<Record<string, unknown>>;
}

export const agentPodName = 'payments-deploy-42-x7k2p-q0b4t-m1wz9';

const workspace: AgentMount = { name: 'workspace-volume', mountPath: '/home/jenkins/agent', readOnly: false };

/** Job `payments/deploy`, build 42: dynamic template, one tool container, Helm's labels. */
export function agentPod(options: AgentPodOptions = {}): AgentPod {
  const name = options.name ?? agentPodName;
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: {
      name,
      namespace: options.namespace ?? 'ci-payments',
      labels: {
        'jenkins/jenkins-jenkins-agent': 'true',
        'jenkins/label': 'payments_deploy_42-x7k2p',
        'jenkins/label-digest': '43bda4d7ec68d03763a1ddd9ed9f54b7ddd96fa2',
        'kubernetes.jenkins.io/controller': 'http___jenkins_jenkins_svc_cluster_local_8080x',
        ...options.labels,
      },
      annotations: {
        buildUrl: 'http://jenkins.jenkins.svc.cluster.local:8080/job/payments/job/deploy/42/',
        runUrl: 'job/payments/job/deploy/42/',
        'kubernetes.jenkins.io/last-refresh': '1761760421264',
        ...options.annotations,
      },
    },
    spec: {
      restartPolicy: 'Never',
      nodeSelector: { 'kubernetes.io/os': 'linux' },
      ...(options.serviceAccountName === undefined ? {} : { serviceAccountName: options.serviceAccountName }),
      containers: [
        {
          name: 'maven',
          image: 'maven:3.9.9-eclipse-temurin-21',
          command: ['cat'],
          tty: true,
          volumeMounts: [workspace],
        },
        ...(options.containers ?? []),
        jnlp(name),
      ],
      volumes: [{ name: 'workspace-volume', emptyDir: { medium: '' } }, ...(options.volumes ?? [])],
      ...options.spec,
    },
  };
}

/** A pod of Helm's static template: one container, no build annotations; the plugin does not know the build yet. */
export function staticAgentPod(options: AgentPodOptions = {}): AgentPod {
  const name = options.name ?? 'default-7xk2p';
  const pod = agentPod({ ...options, name });
  return {
    ...pod,
    metadata: {
      ...pod.metadata,
      labels: {
        ...pod.metadata.labels,
        'jenkins/label': 'jenkins-jenkins-agent',
        'jenkins/label-digest': '500b4f18aee87616849e4f4c2435020898e34aa0',
        ...options.labels,
      },
      annotations: { 'kubernetes.jenkins.io/last-refresh': '1761760421264', ...options.annotations },
    },
    spec: { ...pod.spec, containers: [jnlp(name)], ...options.spec },
  };
}

function jnlp(agent: string): AgentContainer {
  return {
    name: 'jnlp',
    image: 'jenkins/inbound-agent:3355.v388858a_47b_33-3-jdk21',
    env: [
      { name: 'JENKINS_SECRET', value: '0123456789abcdef'.repeat(4) },
      { name: 'JENKINS_TUNNEL', value: 'jenkins-agent.jenkins.svc.cluster.local:50000' },
      { name: 'JENKINS_AGENT_NAME', value: agent },
      { name: 'JENKINS_NAME', value: agent },
      { name: 'JENKINS_AGENT_WORKDIR', value: '/home/jenkins/agent' },
      { name: 'JENKINS_URL', value: 'http://jenkins.jenkins.svc.cluster.local:8080/' },
      { name: 'REMOTING_OPTS', value: '-noReconnectAfter 1d' },
    ],
    resources: { requests: { cpu: '100m', memory: '256Mi' } },
    volumeMounts: [workspace],
  };
}

let named = 0;

/** The name of another pod of the job `payments/deploy`, as the plugin makes it. */
export function nextPodName(): string {
  named += 1;
  return `payments-deploy-${named}-x7k2p-q0b4t-m1wz9`;
}
