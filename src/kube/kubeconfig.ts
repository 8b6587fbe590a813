import { readFileSync } from 'node:fs';
import type { RequestOptions } from 'node:https';
import { dirname, isAbsolute, join } from 'node:path';
import { KubeConfig } from '@kubernetes/client-node';
import { parse } from 'yaml';
import { OperatorError } from '../errors.ts';

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
}

/**
 * Loads a kubeconfig file or, without one, the service account of the pod we run in. Client-node parses and authenticates (certificates,
 * tokens, exec plugins); loading again reads every file again. Throws OperatorError `ConfigurationInvalid`: a connection without TLS or
 * without verified certificates would hand out our token.
 */
export function loadConfig(o: ConfigSource): LoadedConfig {
  const config = new KubeConfig();
  try {
    if (o.kubeconfig === undefined) config.loadFromCluster();
    else {
      for (const file of [o.kubeconfig].flat()) mergeFile(config, file);
    }
    if (o.context !== undefined) config.setCurrentContext(o.context);
  } catch (error) {
    throw invalid(`${subject(o)} cannot be read; check the path and that it is a kubeconfig`, error);
  }
  const cluster = config.getCurrentCluster();
  const user = config.getCurrentUser();
  if (cluster === null || user === null) {
    throw invalid(
      `${subject(o)} has no context ${o.context ?? (config.currentContext || '(none is current)')} with a cluster and a user`,
    );
  }
  if (!URL.canParse(cluster.server) || cluster.server.includes('undefined')) {
    throw invalid(
      o.kubeconfig === undefined
        ? 'no kubeconfig is given and this is not a pod with a service account; pass --kubeconfig'
        : `${subject(o)} has no usable server URL`,
    );
  }
  const server = new URL(cluster.server);
  const tokenFile = tokenFileOf(user.authProvider);
  if (server.protocol !== 'https:') throw invalid(`${subject(o)} names a server without TLS; only https:// is used`);
  if (cluster.skipTLSVerify)
    throw invalid(`${subject(o)} skips TLS verification; give its cluster certificate-authority-data instead`);
  if (cluster.proxyUrl)
    throw invalid(`${subject(o)} has a proxy-url, which is not supported; reach the API server directly`);
  const namespace = config.getContextObject(config.currentContext)?.namespace;
  return {
    server,
    context: config.currentContext,
    ...(namespace === undefined ? {} : { namespace }),
    async authenticate() {
      const options: RequestOptions = {};
      try {
        await config.applyToHTTPSOptions(options);
        // Client-node keeps a token for a minute of its own; the caller decides how long it keeps ours.
        if (tokenFile !== undefined) options.headers = { Authorization: `Bearer ${readFileSync(tokenFile, 'utf8')}` };
      } catch (error) {
        throw invalid(
          `${subject(o)}: its credentials cannot be read; check certificate and token files or the exec plugin`,
          error,
        );
      }
      return { headers: headersOf(options), tls: tlsOf(options) };
    },
  };
}

/** https://kubernetes.io/docs/concepts/configuration/organize-cluster-access-kubeconfig/#merging-kubeconfig-files: the first to set a value wins. */
function mergeFile(config: KubeConfig, file: string): void {
  const more = new KubeConfig();
  more.loadFromFile(file);
  addTokenFiles(more, file);
  const add = <T extends { readonly name: string }>(own: readonly T[] = [], others: readonly T[]): T[] => [
    ...own,
    ...others.filter(({ name }) => !own.some((one) => one.name === name)),
  ];
  config.clusters = add(config.clusters, more.clusters);
  config.users = add(config.users, more.users);
  config.contexts = add(config.contexts, more.contexts);
  config.currentContext ||= more.currentContext;
}

/**
 * Client-node does not know `tokenFile`, which kubectl reads periodically and prefers to `token`
 * (https://kubernetes.io/docs/reference/config-api/kubeconfig.v1/#AuthInfo).
 */
function addTokenFiles(config: KubeConfig, kubeconfig: string): void {
  const file = parse(readFileSync(kubeconfig, 'utf8')) as {
    readonly users?: readonly { readonly name: string; readonly user?: { readonly tokenFile?: string } }[];
  };
  const tokenFiles = new Map(file.users?.map((entry) => [entry.name, entry.user?.tokenFile]));
  config.users = config.users.map((user) => {
    const tokenFile = tokenFiles.get(user.name);
    if (tokenFile === undefined) return user;
    const path = isAbsolute(tokenFile) ? tokenFile : join(dirname(kubeconfig), tokenFile);
    const { token: _token, ...rest } = user;
    return { ...rest, authProvider: { name: 'tokenFile', config: { tokenFile: path } } };
  });
}

function tokenFileOf(authProvider: unknown): string | undefined {
  return (authProvider as { readonly config?: { readonly tokenFile?: string } } | null | undefined)?.config?.tokenFile;
}

function headersOf(options: RequestOptions): Readonly<Record<string, string>> {
  const headers: Record<string, string> = {};
  for (const [name, value] of Object.entries(options.headers ?? {})) {
    if (typeof value === 'string') headers[name.toLowerCase()] = value.trim();
  }
  if (typeof options.auth === 'string')
    headers['authorization'] = `Basic ${Buffer.from(options.auth).toString('base64')}`;
  return headers;
}

function tlsOf(options: RequestOptions): TlsMaterial {
  const tls: { -readonly [K in keyof TlsMaterial]: TlsMaterial[K] } = {};
  for (const name of ['ca', 'cert', 'key'] as const) {
    const value: unknown = options[name];
    if (typeof value === 'string' || Buffer.isBuffer(value)) tls[name] = value.toString();
  }
  if (options.servername !== undefined) tls.servername = options.servername;
  return tls;
}

function subject(o: ConfigSource): string {
  return o.kubeconfig === undefined ? 'the in-cluster configuration' : `kubeconfig ${[o.kubeconfig].flat().join(', ')}`;
}

function invalid(message: string, cause?: unknown): OperatorError {
  return new OperatorError({ class: 'Terminal', reason: 'ConfigurationInvalid', message, cause });
}
