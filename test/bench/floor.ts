/**
 * The floor: the calls that a delivered token cannot do without, and nothing else. A process of its own, as the operator is: a bare watch of
 * the namespace's pods, and for each new pod with a claim one token request (`private_key_jwt`), the record Secret, the delivery Secret.
 * Told `narrow`, it takes the last scope from every session: a new token, record, delivery, the old token revoked, record. No policy is judged,
 * nothing is audited, checked, retried or renewed. Forked by `stage.ts`, which sends {@link FloorOptions}; it says `ready` once it watches and
 * goes with its parent.
 */
import { createHash, createPrivateKey, type JsonWebKey, randomUUID } from 'node:crypto';
import { Pool } from 'undici';
import { expectStatus, openApi, type WatchEvent } from './api.ts';
import { authenticatedForm } from './bare-client.ts';

export interface FloorOptions {
  /** Of the operator's service account: nobody else may write these Secrets. */
  readonly kubeconfig: string;
  readonly namespace: string;
  readonly identity: string;
  readonly issuer: string;
  readonly ca: string;
  readonly tokenPath: string;
  readonly clientId: string;
  readonly privateJwk: JsonWebKey & { readonly kid: string };
  readonly scopes: readonly string[];
  readonly audience: string;
  /** Pods that are served at once, and connections of each pool. */
  readonly parallel: number;
}

type Pod = WatchEvent['object'];

interface Secret {
  readonly metadata: { readonly name: string; readonly namespace: string };
}

interface TokenAnswer {
  readonly access_token: string;
  readonly expires_in: number;
}

interface Session {
  readonly pod: Pod;
  readonly token: TokenAnswer;
}

process.once('message', (options) => void serve(options as FloorOptions));
process.once('disconnect', () => process.exit(0));

async function serve(options: FloorOptions): Promise<void> {
  const { namespace, identity, parallel } = options;
  const api = openApi(options.kubeconfig, { connections: parallel + 1 });
  const provider = new Pool(options.issuer, {
    connections: parallel,
    pipelining: 1,
    allowH2: false,
    connect: { ca: options.ca },
  });
  const { issuer, clientId, privateJwk } = options;
  const credential = {
    issuer,
    clientId,
    kid: privateJwk.kid,
    key: createPrivateKey({ key: privateJwk, format: 'jwk' }),
  };
  const waiting: Pod[] = [];
  let running = 0;

  const sessions: Session[] = [];

  const post = async (path: string, parameters: Readonly<Record<string, string>>): Promise<string> => {
    const answer = await provider.request({
      method: 'POST',
      path,
      headers: { 'content-type': 'application/x-www-form-urlencoded', accept: 'application/json' },
      body: authenticatedForm(parameters, credential),
    });
    return expectStatus(path, { status: answer.statusCode, text: await answer.body.text() }, 200);
  };

  const mint = async (scopes: readonly string[]): Promise<TokenAnswer> => {
    const asked = { grant_type: 'client_credentials', scope: scopes.join(' '), resource: options.audience };
    return JSON.parse(await post(options.tokenPath, asked)) as TokenAnswer;
  };

  const write = async (method: 'POST' | 'PUT', secret: Secret): Promise<void> => {
    const { name, namespace: home } = secret.metadata;
    const path = `/api/v1/namespaces/${home}/secrets${method === 'PUT' ? `/${name}` : ''}`;
    expectStatus(path, await api.send(method, path, secret), method === 'PUT' ? 200 : 201);
  };

  const deliver = async (pod: Pod): Promise<void> => {
    const minted = Date.now();
    const token = await mint(options.scopes);
    await write('POST', recordSecret(options, pod, token, minted));
    await write('POST', deliverySecret(options, pod, token, minted));
    sessions.push({ pod, token });
  };

  const narrow = async ({ pod, token }: Session): Promise<void> => {
    const minted = Date.now();
    const narrower = await mint(options.scopes.slice(0, -1));
    await write('PUT', recordSecret(options, pod, narrower, minted));
    await write('PUT', deliverySecret(options, pod, narrower, minted));
    await post('/token/revocation', { token: token.access_token, token_type_hint: 'access_token' });
    await write('PUT', recordSecret(options, pod, narrower, minted));
  };
  process.on('message', () => {
    const left = sessions.splice(0);
    const worker = async (): Promise<void> => {
      for (let session = left.shift(); session !== undefined; session = left.shift()) await narrow(session);
    };
    for (let n = 0; n < parallel; n += 1) void worker();
  });

  const next = (): void => {
    const pod = running < parallel ? waiting.shift() : undefined;
    if (pod === undefined) return;
    running += 1;
    void deliver(pod).then(() => {
      running -= 1;
      next();
    });
  };

  const watch = api.watch(`/api/v1/namespaces/${namespace}/pods?watch=1`, new AbortController().signal);
  process.send?.('ready');
  for await (const { type, object } of watch) {
    if (type !== 'ADDED' || object.metadata.annotations?.[`identity.ci-identity.dev/${identity}`] === undefined)
      continue;
    waiting.push(object);
    next();
  }
}

/** As large as a session record; the name and the type are the same, so that the API server and its policies do the same work. */
function recordSecret(options: FloorOptions, pod: Pod, token: TokenAnswer, minted: number): Secret {
  const { namespace, identity, issuer, clientId, scopes, audience } = options;
  const { name, uid, annotations } = pod.metadata;
  const record = {
    formatVersion: 1,
    epoch: 1,
    pod: { namespace, name, uid },
    identity: { name: identity, uid: annotations?.[`identity.ci-identity.dev/${identity}`] },
    pool: { name: 'ci-bots', uid: randomUUID() },
    client: `client-${sha256(clientId).slice(0, 32)}`,
    requester: annotations?.['ci-identity.dev/requester'],
    since: minted,
    issuer,
    tokens: [
      {
        sha256: sha256(token.access_token),
        value: token.access_token,
        ask: { scopes, audiences: [audience], maxLifetime: 900_000 },
        minted,
        exp: minted + token.expires_in * 1_000,
        generation: 1,
        clientId,
      },
    ],
  };
  const secret = {
    apiVersion: 'v1',
    kind: 'Secret',
    metadata: {
      name: `session-${sha256(uid).slice(0, 32)}`,
      namespace: 'ci-identity-system',
      labels: { 'ci-identity.dev/kind': 'session' },
    },
    type: 'ci-identity.dev/session-record',
    data: { 'record.json': base64(JSON.stringify(record)) },
  };
  return secret;
}

function deliverySecret(options: FloorOptions, pod: Pod, token: TokenAnswer, minted: number): Secret {
  const { namespace, identity, issuer, scopes, audience } = options;
  const { name, uid } = pod.metadata;
  const file = {
    expires_at: new Date(minted + token.expires_in * 1_000).toISOString(),
    renew_at: new Date(minted + token.expires_in * 500).toISOString(),
    scope: scopes.join(' '),
    audience: [audience],
    issuer,
    token_type: 'Bearer',
    identity,
    session_id: `${uid}.${identity}`,
  };
  const secret = {
    apiVersion: 'v1',
    kind: 'Secret',
    metadata: {
      name: `ci-identity-${identity}.${name}`,
      namespace,
      ownerReferences: [{ apiVersion: 'v1', kind: 'Pod', name, uid }],
    },
    type: 'ci-identity.dev/token',
    data: {
      token: base64(token.access_token),
      header: base64(`Authorization: Bearer ${token.access_token}`),
      'token.json': base64(JSON.stringify(file, undefined, 2)),
    },
  };
  return secret;
}

function base64(text: string): string {
  return Buffer.from(text).toString('base64');
}

function sha256(text: string): string {
  return createHash('sha256').update(text).digest('hex');
}
