import { createServer, request } from 'node:https';

/** A small protected resource: an artifact registry that knows nothing of the operator and trusts what the issuer's introspection says. */
export interface Registry {
  readonly url: string;
  /** The audience that its tokens must carry. */
  readonly audience: string;
  readonly caPem: string;
  stop(): Promise<void>;
}

export interface RegistryOptions {
  readonly audience: string;
  readonly introspectionEndpoint: string;
  /** With which the registry introspects (RFC 7662 §2.1). */
  readonly clientId: string;
  readonly clientSecret: string;
  /** PEM of the authority that signed the provider's certificate. */
  readonly providerCa: string;
  readonly certificate: { readonly caPem: string; readonly certPem: string; readonly keyPem: string };
}

const neededScope: Readonly<Record<string, string>> = {
  GET: 'artifacts:read',
  POST: 'artifacts:publish',
  DELETE: 'artifacts:delete',
};

/**
 * `GET` needs the scope `artifacts:read`, `POST` `artifacts:publish`, `DELETE` `artifacts:delete`. Every call introspects the token, so a
 * revocation bites at once. Answers as RFC 6750 §3.1 says: 401 invalid_token, 403 insufficient_scope.
 */
export async function startRegistry(options: RegistryOptions): Promise<Registry> {
  const server = createServer(
    { cert: options.certificate.certPem, key: options.certificate.keyPem },
    (incoming, response) => {
      const token = /^Bearer (\S+)$/.exec(incoming.headers.authorization ?? '')?.[1];
      const refuse = (status: number, error: string, text: string): void => {
        response
          .writeHead(status, { 'www-authenticate': `Bearer error="${error}"`, 'content-type': 'text/plain' })
          .end(`${text}\n`);
      };
      incoming.resume();
      if (token === undefined) return refuse(401, 'invalid_token', 'no bearer token');
      introspect(options, token)
        .then((found) => {
          const audiences = [found.aud ?? []].flat();
          const scope = neededScope[incoming.method ?? ''] ?? 'artifacts:admin';
          if (found.active !== true || !audiences.includes(options.audience))
            return refuse(401, 'invalid_token', 'the token is not active here');
          if (!(found.scope ?? '').split(' ').includes(scope))
            return refuse(403, 'insufficient_scope', `needs scope ${scope}`);
          response
            .writeHead(incoming.method === 'POST' ? 201 : 200)
            .end(`${incoming.method === 'POST' ? 'published' : 'artifacts'}\n`);
          return undefined;
        })
        .catch(() => response.writeHead(502).end());
      return undefined;
    },
  );
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  const port = typeof address === 'object' && address !== null ? address.port : 0;
  return {
    url: `https://127.0.0.1:${port}/`,
    audience: options.audience,
    caPem: options.certificate.caPem,
    stop: () => {
      server.closeAllConnections();
      return new Promise((resolve) => server.close(() => resolve()));
    },
  };
}

interface Introspection {
  readonly active?: boolean;
  readonly scope?: string;
  readonly aud?: string | readonly string[];
}

function introspect(options: RegistryOptions, token: string): Promise<Introspection> {
  return new Promise((resolve, reject) => {
    const call = request(
      options.introspectionEndpoint,
      {
        method: 'POST',
        ca: options.providerCa,
        auth: `${options.clientId}:${options.clientSecret}`,
        headers: { 'content-type': 'application/x-www-form-urlencoded' },
        timeout: 5_000,
      },
      (answer) => {
        let text = '';
        answer.setEncoding('utf8').on('data', (chunk: string) => (text += chunk));
        answer.on('end', () => {
          try {
            resolve(JSON.parse(text) as Introspection);
          } catch (error) {
            reject(error as Error);
          }
        });
      },
    );
    call.on('error', reject).end(new URLSearchParams({ token }).toString());
  });
}
