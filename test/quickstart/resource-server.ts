import { request } from 'node:https';

/** A client of the provider that may introspect and nothing else. */
export interface ResourceServerClient {
  readonly introspectionEndpoint: string;
  readonly clientId: string;
  readonly clientSecret: string;
}

interface Provider {
  readonly issuer: string;
  readonly caPem: string;
  readonly initialAccessToken: string;
}

/** Registers it dynamically (RFC 7591), as the administrator of a resource server would. */
export async function registerResourceServer(provider: Provider): Promise<ResourceServerClient> {
  const metadata = await call(provider, `${provider.issuer}/.well-known/openid-configuration`);
  const client = await call(provider, String(metadata['registration_endpoint']), {
    client_name: 'artifact registry',
    grant_types: [],
    response_types: [],
    redirect_uris: [],
    token_endpoint_auth_method: 'client_secret_basic',
  });
  return {
    introspectionEndpoint: String(metadata['introspection_endpoint']),
    clientId: String(client['client_id']),
    clientSecret: String(client['client_secret']),
  };
}

function call(provider: Provider, url: string, body?: object): Promise<Readonly<Record<string, unknown>>> {
  return new Promise((resolve, reject) => {
    const headers =
      body === undefined
        ? {}
        : { 'content-type': 'application/json', authorization: `Bearer ${provider.initialAccessToken}` };
    const sent = request(
      url,
      { method: body === undefined ? 'GET' : 'POST', ca: provider.caPem, headers, timeout: 10_000 },
      (answer) => {
        let text = '';
        answer.setEncoding('utf8').on('data', (chunk: string) => (text += chunk));
        answer.on('end', () => {
          if ((answer.statusCode ?? 500) >= 300) reject(new Error(`${url} answered ${answer.statusCode}`));
          else resolve(JSON.parse(text) as Record<string, unknown>);
        });
      },
    );
    sent.on('error', reject).end(body === undefined ? undefined : JSON.stringify(body));
  });
}
