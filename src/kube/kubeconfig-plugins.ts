import type { RequestOptions } from 'node:https';
import type { Authentication, Kubeconfig, TlsMaterial } from './kubeconfig.ts';

/** The plugin of the current user, with what it remembers between two questions. */
export interface Plugins {
  ask(): Promise<Authentication>;
}

/**
 * Client-node speaks the protocols of exec plugins and of the older auth providers. It is loaded for them only: its models of every kind of
 * Kubernetes are half of the memory that this program otherwise needs at its start.
 */
export async function pluginsOf(config: Kubeconfig): Promise<Plugins> {
  const { KubeConfig } = await import('@kubernetes/client-node');
  const loaded = new KubeConfig();
  loaded.loadFromString(JSON.stringify(config));
  return {
    async ask() {
      const options: RequestOptions = {};
      await loaded.applyToHTTPSOptions(options);
      return { headers: headersOf(options), tls: tlsOf(options) };
    },
  };
}

function headersOf(options: RequestOptions): Readonly<Record<string, string>> {
  const headers: Record<string, string> = {};
  for (const [name, value] of Object.entries(options.headers ?? {})) {
    if (typeof value === 'string') headers[name.toLowerCase()] = value.trim();
  }
  return headers;
}

/** A plugin may answer with a client certificate. */
function tlsOf(options: RequestOptions): TlsMaterial {
  const tls: { -readonly [K in keyof TlsMaterial]: TlsMaterial[K] } = {};
  for (const name of ['cert', 'key'] as const) {
    const value: unknown = options[name];
    if (typeof value === 'string' || Buffer.isBuffer(value)) tls[name] = value.toString();
  }
  return tls;
}
