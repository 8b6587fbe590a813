import { request as send } from 'node:https';
import type { KeyPair } from './x509.ts';

/** Who asks which API server. */
export interface ApiClient {
  readonly server: string;
  /** The authority's certificate, PEM. */
  readonly authority: string;
  readonly identity: KeyPair;
}

export interface ApiResponse {
  readonly status: number;
  readonly text: string;
}

/** One request on a connection of its own, JSON both ways; fails only if no response comes within 10 s. */
export async function apiRequest(
  client: ApiClient,
  method: string,
  path: string,
  body?: unknown,
): Promise<ApiResponse> {
  return new Promise((resolve, reject) => {
    const request = send(
      new URL(path, client.server),
      {
        method,
        agent: false,
        timeout: 10_000,
        ca: client.authority,
        cert: client.identity.certificate,
        key: client.identity.key,
        headers: { 'content-type': 'application/json', accept: 'application/json' },
      },
      (response) => {
        let text = '';
        response.setEncoding('utf8').on('data', (chunk: string) => (text += chunk));
        response.once('end', () => resolve({ status: response.statusCode ?? 0, text }));
        response.once('error', reject);
      },
    );
    request.once('timeout', () => request.destroy(new Error(`${method} ${path}: no response from ${client.server}`)));
    request.once('error', reject);
    request.end(body === undefined ? undefined : JSON.stringify(body));
  });
}
