import { readFileSync } from 'node:fs';
import { isIPv6 } from 'node:net';
import { dirname, resolve } from 'node:path';
import { parse } from 'yaml';
import { OperatorError } from '../errors.ts';
import { type Plugins, pluginsOf } from './kubeconfig-plugins.ts';

/** What TLS needs to reach and convince the API server. */
export interface TlsMaterial {
  readonly ca?: string;
  readonly cert?: string;
  readonly key?: string;
  readonly servername?: string;
}

/** How one request proves who we are. */
export interface Authentication {
  readonly headers: Readonly<Record<string, string>>;
  readonly tls: TlsMaterial;
}

/** A loaded kubeconfig: where the API server is, and its current credentials on demand. */
export interface LoadedConfig {
  readonly server: URL;
  /** The context in use, and the namespace that it names. */
  readonly context: string;
  readonly namespace?: string;
  /** Reads files and runs exec plugins as needed; throws OperatorError `ConfigurationInvalid` when that fails. */
  authenticate(): Promise<Authentication>;
}

export interface ConfigSource {
  /** Absent: the service account of the pod. One file, or several of which the first that names something wins, as $KUBECONFIG has them. */
  readonly kubeconfig?: string | readonly string[];
  readonly context?: string;
  /** Of the process: where the API server is, for the service account of the pod. */
  readonly environment?: Readonly<Record<string, string | undefined>>;
}

/** What is read of a kubeconfig (https://kubernetes.io/docs/reference/config-api/kubeconfig.v1/); paths are absolute. */
export interface Kubeconfig {
  readonly 'current-context': string;
  readonly clusters: readonly { readonly name: string; readonly cluster: KubeconfigCluster }[];
  readonly users: readonly { readonly name: string; readonly user: KubeconfigUser }[];
  readonly contexts: readonly { readonly name: string; readonly context: KubeconfigContext }[];
}

interface KubeconfigCluster {
  readonly server?: string;
  readonly 'tls-server-name'?: string;
  readonly 'insecure-skip-tls-verify'?: boolean;
  readonly 'certificate-authority'?: string;
  readonly 'certificate-authority-data'?: string;
  readonly 'proxy-url'?: string;
}

interface KubeconfigUser {
  readonly 'client-certificate'?: string;
  readonly 'client-certificate-data'?: string;
  readonly 'client-key'?: string;
  readonly 'client-key-data'?: string;
  readonly token?: string;
  readonly tokenFile?: string;
  readonly username?: string;
  readonly password?: string;
  readonly exec?: object;
  readonly 'auth-provider'?: object;
}

interface KubeconfigContext {
  readonly cluster: string;
  readonly user: string;
  readonly namespace?: string;
}

/**
 * Loads a kubeconfig file or, without one, the service account of the pod we run in; loading again reads every file again. Throws
 * OperatorError `ConfigurationInvalid`: a connection without TLS or without verified certificates would hand out our token.
 */
export function loadConfig(o: ConfigSource): LoadedConfig {
  const config = read(o);
  const context = o.context ?? config['current-context'];
  const chosen = config.contexts.find(({ name }) => name === context)?.context;
  const cluster = config.clusters.find(({ name }) => name === chosen?.cluster)?.cluster;
  const user = config.users.find(({ name }) => name === chosen?.user)?.user;
  if (cluster === undefined || user === undefined)
    throw invalid(
      `${subject(o)} has no context ${context || '(none is current)'} with a cluster and a user${others(config)}`,
    );
  if (cluster.server === undefined || !URL.canParse(cluster.server))
    throw invalid(`${subject(o)} has no usable server URL`);
  const server = new URL(cluster.server);
  if (server.protocol !== 'https:') throw invalid(`${subject(o)} names a server without TLS; only https:// is used`);
  if (cluster['insecure-skip-tls-verify'] === true)
    throw invalid(`${subject(o)} skips TLS verification; give its cluster certificate-authority-data instead`);
  if (cluster['proxy-url'] !== undefined)
    throw invalid(`${subject(o)} has a proxy-url, which is not supported; reach the API server directly`);
  let plugins: Promise<Plugins> | undefined;
  return {
    server,
    context,
    ...(chosen?.namespace === undefined ? {} : { namespace: chosen.namespace }),
    async authenticate() {
      try {
        const own = { headers: headersOf(user), tls: tlsOf(cluster, user) };
        if (user.exec === undefined && user['auth-provider'] === undefined) return own;
        const asked = await (await (plugins ??= pluginsOf({ ...config, 'current-context': context }))).ask();
        return { headers: { ...asked.headers, ...own.headers }, tls: { ...own.tls, ...asked.tls } };
      } catch (error) {
        throw invalid(
          `${subject(o)}: its credentials cannot be read; check certificate and token files or the exec plugin`,
          error,
        );
      }
    },
  };
}

function others({ contexts }: Kubeconfig): string {
  const names = contexts.slice(0, 10).map(({ name }) => name);
  const more = contexts.length > names.length ? ', …' : '';
  return names.length === 0 ? '' : `; those that it has: ${names.join(', ')}${more}`;
}

function read(o: ConfigSource): Kubeconfig {
  if (o.kubeconfig === undefined) return inCluster(o.environment ?? {});
  try {
    return [o.kubeconfig].flat().map(readFile).reduce(merged);
  } catch (error) {
    throw invalid(`${subject(o)} cannot be read; check the path and that it is a kubeconfig`, error);
  }
}

/** https://kubernetes.io/docs/tasks/run-application/access-api-from-pod/ */
function inCluster({
  KUBERNETES_SERVICE_HOST: host,
  KUBERNETES_SERVICE_PORT: port,
}: NonNullable<ConfigSource['environment']>): Kubeconfig {
  if (host === undefined || port === undefined)
    throw invalid('no kubeconfig is given and this is not a pod with a service account; pass --kubeconfig');
  const files = '/var/run/secrets/kubernetes.io/serviceaccount';
  const server = `https://${isIPv6(host) ? `[${host}]` : host}:${port}`;
  const name = 'in-cluster';
  return {
    'current-context': name,
    clusters: [{ name, cluster: { server, 'certificate-authority': `${files}/ca.crt` } }],
    users: [{ name, user: { tokenFile: `${files}/token` } }],
    contexts: [{ name, context: { cluster: name, user: name } }],
  };
}

/** Members that hold paths; relative ones start at the kubeconfig. */
const paths = ['certificate-authority', 'client-certificate', 'client-key', 'tokenFile'] as const;

function readFile(file: string): Kubeconfig {
  const {
    clusters,
    users,
    contexts,
    'current-context': current,
  } = parse(readFileSync(file, 'utf8')) as Partial<Kubeconfig>;
  const absolute = <T extends object>(entry: T): T => {
    const named = paths
      .filter((name) => name in entry)
      .map((name) => [name, Reflect.get(entry, name) as string] as const);
    return { ...entry, ...Object.fromEntries(named.map(([name, path]) => [name, resolve(dirname(file), path)])) };
  };
  return {
    'current-context': current ?? '',
    clusters: (clusters ?? []).map(({ name, cluster }) => ({ name, cluster: absolute(cluster) })),
    users: (users ?? []).map(({ name, user }) => ({ name, user: absolute(user ?? {}) })),
    contexts: contexts ?? [],
  };
}

/** https://kubernetes.io/docs/concepts/configuration/organize-cluster-access-kubeconfig/#merging-kubeconfig-files: the first to set a value wins. */
function merged(first: Kubeconfig, second: Kubeconfig): Kubeconfig {
  const both = <T extends { readonly name: string }>(own: readonly T[], others: readonly T[]): readonly T[] => [
    ...own,
    ...others.filter(({ name }) => !own.some((one) => one.name === name)),
  ];
  return {
    'current-context': first['current-context'] || second['current-context'],
    clusters: both(first.clusters, second.clusters),
    users: both(first.users, second.users),
    contexts: both(first.contexts, second.contexts),
  };
}

/** A `tokenFile` is read each time and wins over a token, as with kubectl. */
function headersOf({ token, tokenFile, username, password = '' }: KubeconfigUser): Readonly<Record<string, string>> {
  const bearer = tokenFile === undefined ? token : readFileSync(tokenFile, 'utf8');
  if (bearer !== undefined) return { authorization: `Bearer ${bearer.trim()}` };
  if (username === undefined) return {};
  return { authorization: `Basic ${Buffer.from(`${username}:${password}`).toString('base64')}` };
}

function tlsOf(cluster: KubeconfigCluster, user: KubeconfigUser): TlsMaterial {
  const ca = textOf(cluster['certificate-authority-data'], cluster['certificate-authority']);
  const cert = textOf(user['client-certificate-data'], user['client-certificate']);
  const key = textOf(user['client-key-data'], user['client-key']);
  const servername = cluster['tls-server-name'];
  return {
    ...(ca === undefined ? {} : { ca }),
    ...(cert === undefined ? {} : { cert }),
    ...(key === undefined ? {} : { key }),
    ...(servername === undefined ? {} : { servername }),
  };
}

function textOf(data: string | undefined, file: string | undefined): string | undefined {
  if (data !== undefined) return Buffer.from(data, 'base64').toString('utf8');
  return file === undefined ? undefined : readFileSync(file, 'utf8');
}

function subject(o: ConfigSource): string {
  return o.kubeconfig === undefined ? 'the in-cluster configuration' : `kubeconfig ${[o.kubeconfig].flat().join(', ')}`;
}

function invalid(message: string, cause?: unknown): OperatorError {
  return new OperatorError({ class: 'Terminal', reason: 'ConfigurationInvalid', message, cause });
}
