/** What the tests of the running program say in one line each: objects to apply, pods to create, and looks at their state. */
import { createHash } from 'node:crypto';
import { request } from 'node:https';
import type { Condition } from '#src/api/meta.ts';
import type { OidcProvider } from '#test/providers/oidc-provider.ts';
import type { ResourceServerClient } from '#test/quickstart/resource-server.ts';
import { eventually } from '#test/support/eventually.ts';
import { type AgentPodOptions, agentPod } from '#test/support/jenkins-pod.ts';
import type { Lab as LabOf, LabProvider } from '#test/support/lab.ts';

/** Whatever its provider is. */
type Lab = LabOf<LabProvider>;

export const registry = 'https://registry.example.com';
export const team = 'ci-payments';

const apiVersion = 'ci-identity.dev/v1alpha1';

export function pool(name: string, issuer: string, spec: Readonly<Record<string, unknown>> = {}): string {
  const ceiling = { scopes: ['artifacts:publish', 'artifacts:read'], audiences: [registry] };
  return JSON.stringify({
    apiVersion,
    kind: 'IdentityPool',
    metadata: { name },
    spec: { provider: { issuer }, ceiling, ...spec },
  });
}

export interface Rule {
  readonly role: string;
  readonly pool: string;
  readonly scopes: readonly string[];
  readonly namespaces?: readonly string[];
  readonly audiences?: readonly string[];
}

export function policy(name: string, ...rules: readonly Rule[]): string {
  return JSON.stringify({
    apiVersion,
    kind: 'ScopePolicy',
    metadata: { name },
    spec: { rules: rules.map((rule) => ({ namespaces: [team], ...rule })) },
  });
}

/** Selects the pods with the label `identity/<name>: yes`, so that each test has pods of its own. */
export function identity(
  name: string,
  spec: { readonly pool: string; readonly roles: readonly string[]; readonly [more: string]: unknown },
  namespace: string = team,
): string {
  const agents = { podSelector: { matchLabels: { [`identity/${name}`]: 'yes' } } };
  return JSON.stringify({
    apiVersion,
    kind: 'CiIdentity',
    metadata: { name, namespace },
    spec: { agents, ...spec },
  });
}

export interface Pod {
  readonly name: string;
  readonly uid: string;
  readonly namespace: string;
  readonly creationTimestamp: string;
}

/** Creates an agent pod as Jenkins does, for these identities; throws with the API server's refusal. */
export async function createPod(
  lab: Lab,
  name: string,
  identities: readonly string[],
  options: AgentPodOptions = {},
): Promise<Pod> {
  const labels = Object.fromEntries(identities.map((one) => [`identity/${one}`, 'yes']));
  const pod = agentPod({ name, labels, ...options });
  const text = await lab.kubectlAsJenkins(['create', '-o', 'json', '-f', '-'], JSON.stringify(pod));
  const { metadata } = JSON.parse(text) as { metadata: Pod };
  return metadata;
}

export const refusalOf = async (work: Promise<unknown>): Promise<string> =>
  work.then(
    () => '(not refused)',
    (error: Error) => error.message,
  );

/**
 * The sentence with which a pod is refused, once it matches: the API server reads identities from a cache of its own, which may be behind what
 * others have seen. A pod that came before that is there then, without a token.
 */
export function refusedPod(lab: Lab, name: string, identity: string, says: RegExp): Promise<string> {
  let count = 0;
  return eventually(`a pod of ${identity} is refused`, async () => {
    const text = await refusalOf(createPod(lab, `${name}-${(count += 1)}`, [identity]));
    if (says.test(text)) return text;
    throw new Error(text);
  });
}

/** A delivery Secret as a kubelet would mount it, decoded. */
export interface Delivery {
  readonly type: string;
  readonly metadata: {
    readonly resourceVersion: string;
    readonly uid: string;
    readonly ownerReferences: readonly Readonly<Record<string, unknown>>[];
  };
  readonly files: Readonly<Record<string, string>>;
}

export async function deliveryOf(lab: Lab, pod: Pod, name: string): Promise<Delivery> {
  const secret = `ci-identity-${name}.${pod.name}`;
  const raw = JSON.parse(
    await lab.kubectl(['get', 'secret', '-n', pod.namespace, secret, '-o', 'json']),
  ) as Delivery & {
    readonly data?: Readonly<Record<string, string>>;
  };
  return { type: raw.type, metadata: raw.metadata, files: decoded(raw.data) };
}

const decoded = (data: Readonly<Record<string, string>> = {}): Readonly<Record<string, string>> =>
  Object.fromEntries(Object.entries(data).map(([key, value]) => [key, Buffer.from(value, 'base64').toString('utf8')]));

/** The token that the pod has, once it is another one than `not`. */
export function tokenOf(lab: Lab, pod: Pod, name: string, not?: string, timeoutMs = 20_000): Promise<string> {
  return eventually(
    `pod ${pod.name} has a${not === undefined ? '' : 'nother'} token of ${name}`,
    async () => {
      const { token } = (await deliveryOf(lab, pod, name)).files;
      return token === not ? undefined : token;
    },
    { timeoutMs },
  );
}

export interface ErrorFile {
  readonly reason: string;
  readonly message: string;
  readonly fix: string;
}

/** What `error.json` says, once it is the only file. */
export function errorOf(lab: Lab, pod: Pod, name: string): Promise<ErrorFile> {
  return eventually(`pod ${pod.name} has an error.json instead of a token of ${name}`, async () => {
    const { files } = await deliveryOf(lab, pod, name);
    return Object.keys(files).join() === 'error.json'
      ? (JSON.parse(files['error.json'] ?? '') as ErrorFile)
      : undefined;
  });
}

export const isLive = (provider: OidcProvider, token: string): boolean =>
  provider.liveTokens().some(({ value }) => value === token);

/** Waits until the provider does not honour the token any more; how long that took, in milliseconds. */
export async function dies(provider: OidcProvider, token: string, timeoutMs = 5_000): Promise<number> {
  const from = Date.now();
  const gone = (): true | undefined => (isLive(provider, token) ? undefined : true);
  await eventually('the provider does not honour the token any more', gone, { timeoutMs, everyMs: 20 });
  return Date.now() - from;
}

export interface SessionRecordView {
  readonly pod: { readonly uid: string; readonly name: string };
  readonly tokens: readonly { readonly sha256: string; readonly end?: string; readonly exp: number }[];
}

/** Every session record there is. */
export async function sessions(lab: Lab): Promise<readonly SessionRecordView[]> {
  const args = ['get', 'secrets', '-n', 'ci-identity-system', '-l', 'ci-identity.dev/kind=session', '-o', 'json'];
  const list = JSON.parse(await lab.kubectl(args)) as { items: { data: Record<string, string> }[] };
  return list.items.map(({ data }) => JSON.parse(decoded(data)['record.json'] ?? '') as SessionRecordView);
}

/** Resolves when no session record of the pod is left. */
export async function sessionGone(lab: Lab, pod: Pod): Promise<void> {
  await eventually(`the session record of pod ${pod.name} is gone`, async () =>
    (await sessions(lab)).some((record) => record.pod.uid === pod.uid) ? undefined : true,
  );
}

/** Deletes the pod as Jenkins does, at once; resolves when the provider does not honour its token any more and its session is over. */
export async function diesWithPod(lab: Lab, pod: Pod, isHonoured: () => Promise<boolean>): Promise<void> {
  await lab.kubectlAsJenkins(['delete', 'pod', '-n', pod.namespace, pod.name, '--grace-period=0', '--force']);
  await eventually('the provider does not honour the token any more', async () =>
    (await isHonoured()) ? undefined : true,
  );
  await sessionGone(lab, pod);
}

export interface Status {
  readonly conditions?: readonly Condition[];
  readonly [member: string]: unknown;
}

export async function statusOf(lab: Lab, resource: string, namespace?: string): Promise<Status> {
  const place = namespace === undefined ? [] : ['-n', namespace];
  const text = await lab.kubectl(['get', resource, ...place, '-o', 'json']);
  return (JSON.parse(text) as { status?: Status }).status ?? {};
}

/** The condition once it is as wanted: `True`, `False` or `Unknown`, with that reason if one is given. */
export async function condition(
  lab: Lab,
  resource: string,
  type: string,
  want: { readonly status: string; readonly reason?: string },
  namespace?: string,
): Promise<Condition> {
  let last: Condition | undefined;
  return eventually(`${resource} has ${type}=${want.status} ${want.reason ?? ''}`, async () => {
    last = (await statusOf(lab, resource, namespace)).conditions?.find((one) => one.type === type);
    if (last?.status === want.status && last.reason === (want.reason ?? last.reason)) return last;
    throw new Error(`it is ${JSON.stringify(last)}`);
  });
}

export const identityReady = (lab: Lab, name: string, namespace: string = team): Promise<Condition> =>
  condition(lab, `ciidentity/${name}`, 'Ready', { status: 'True', reason: 'Ready' }, namespace);

/** The messages of every event about something that has no namespace, a line each. */
export const clusterEvents = (lab: Lab): Promise<string> =>
  lab.kubectl(['get', 'events', '-n', 'default', '-o', 'jsonpath={range .items[*]}{.message}{"\\n"}{end}']);

export interface AuditEntry {
  readonly time: string;
  readonly event: string;
  readonly outcome: string;
  readonly reason: string;
  readonly token_sha256?: string;
  readonly pod?: { readonly name: string; readonly uid: string };
  readonly [member: string]: unknown;
}

/** The lines that are written to their end. */
export function auditOf(operator: { audit(): string }): readonly AuditEntry[] {
  return operator
    .audit()
    .split('\n')
    .slice(0, -1)
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line) as AuditEntry);
}

export const sha256 = (text: string): string => createHash('sha256').update(text).digest('hex');

/** RFC 7662, asked as a resource server. */
export function introspect(
  provider: OidcProvider,
  client: ResourceServerClient,
  token: string,
): Promise<Readonly<Record<string, unknown>>> {
  const { introspectionEndpoint, clientId, clientSecret } = client;
  const authorization = `Basic ${Buffer.from(`${clientId}:${clientSecret}`).toString('base64')}`;
  const headers = { authorization, 'content-type': 'application/x-www-form-urlencoded' };
  return new Promise((resolve, reject) => {
    const options = { method: 'POST', ca: provider.caPem, headers, timeout: 10_000 };
    const sent = request(introspectionEndpoint, options, (answer) => {
      let text = '';
      answer.setEncoding('utf8').on('data', (chunk: string) => (text += chunk));
      answer.on('end', () => resolve(JSON.parse(text) as Record<string, unknown>));
    });
    sent.on('error', reject).end(new URLSearchParams({ token }).toString());
  });
}

/** Text of the process's own pages. */
export async function page(
  operator: { ports(): Promise<{ metrics: number; health: number }> },
  path: '/metrics' | '/healthz' | '/readyz',
): Promise<{ readonly status: number; readonly text: string }> {
  const { metrics, health } = await operator.ports();
  const answer = await fetch(`http://127.0.0.1:${path === '/metrics' ? metrics : health}${path}`);
  return { status: answer.status, text: await answer.text() };
}

/**
 * The first group of the line of /metrics that matches, once one does: the page is made a few times a second at most, so it may be older than what
 * a test has seen elsewhere.
 */
export function metric(operator: Parameters<typeof page>[0], line: RegExp): Promise<string> {
  return eventually(
    `the metric ${line}`,
    async () => {
      const found = line.exec((await page(operator, '/metrics')).text);
      return found === null ? undefined : (found[1] ?? found[0]);
    },
    { timeoutMs: 60_000 },
  );
}
