import { createServer } from 'node:https';

/** A small protected resource: an artifact registry that knows nothing of the operator and trusts what `check` says of a token. */
export interface Registry {
  readonly url: string;
  readonly caPem: string;
  stop(): Promise<void>;
}

export interface RegistryOptions {
  /** The scopes of a good token; throws for any other. See `validate.ts`. */
  readonly check: (token: string) => Promise<readonly string[]>;
  readonly certificate: { readonly caPem: string; readonly certPem: string; readonly keyPem: string };
}

const neededScope: Readonly<Record<string, string>> = {
  GET: 'artifacts:read',
  POST: 'artifacts:publish',
  DELETE: 'artifacts:delete',
};

/**
 * `GET` needs the scope `artifacts:read`, `POST` `artifacts:publish`, `DELETE` `artifacts:delete`. Answers as RFC 6750 §3.1 says:
 * 401 invalid_token, 403 insufficient_scope.
 */
export async function startRegistry({ check, certificate }: RegistryOptions): Promise<Registry> {
  const server = createServer({ cert: certificate.certPem, key: certificate.keyPem }, (incoming, response) => {
    const token = /^Bearer (\S+)$/.exec(incoming.headers.authorization ?? '')?.[1];
    const refuse = (status: number, error: string, text: string): void => {
      response
        .writeHead(status, { 'www-authenticate': `Bearer error="${error}"`, 'content-type': 'text/plain' })
        .end(`${text}\n`);
    };
    incoming.resume();
    if (token === undefined) return refuse(401, 'invalid_token', 'no bearer token');
    check(token).then(
      (scopes) => {
        const scope = neededScope[incoming.method ?? ''] ?? 'artifacts:admin';
        if (!scopes.includes(scope)) return refuse(403, 'insufficient_scope', `needs scope ${scope}`);
        const published = incoming.method === 'POST';
        response.writeHead(published ? 201 : 200).end(published ? 'published\n' : 'artifacts\n');
        return undefined;
      },
      () => refuse(401, 'invalid_token', 'the token is not good here'),
    );
    return undefined;
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  const port = typeof address === 'object' && address !== null ? address.port : 0;
  return {
    url: `https://127.0.0.1:${port}/`,
    caPem: certificate.caPem,
    stop: () => {
      server.closeAllConnections();
      return new Promise((resolve) => server.close(() => resolve()));
    },
  };
}
