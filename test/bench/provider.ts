import { fork } from 'node:child_process';
import { generateKeyPairSync, type JsonWebKey } from 'node:crypto';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { Pool } from 'undici';
import { type LabProvider, labResources, labScopes } from '#test/support/lab.ts';
import { askedBare, bareMetadata, json } from './bare-client.ts';

/** Counted by the provider itself, since its start. */
export interface ProviderCounts {
  readonly tokenCalls: number;
  readonly allCalls: number;
  readonly issued: number;
  /** Answered with 429. */
  readonly tooMany: number;
}

export interface ProviderLimit {
  /** More calls than that in a second are answered with 429. */
  readonly perSecond: number;
  /** Milliseconds until each answer. */
  readonly delay: number;
}

export interface ProviderProcess extends LabProvider {
  readonly pid: number;
  counts(): Promise<ProviderCounts>;
  /** From now on. */
  limit(limit: ProviderLimit): Promise<void>;
  /** Epoch milliseconds of each revocation so far, by the provider's own clock, which is ours. */
  revokedAt(): Promise<readonly number[]>;
  /** Those of `tokens` that it would still honour. */
  alive(tokens: readonly string[]): Promise<readonly string[]>;
}

export interface BareClient {
  readonly clientId: string;
  readonly privateJwk: JsonWebKey & { readonly kid: string };
  readonly tokenPath: string;
}

const main = fileURLToPath(new URL('../providers/oidc-provider-main.ts', import.meta.url));

/** The test provider as a process of its own, so that it shares no event loop with what is measured. `lifetime`: seconds of a token. */
export async function startProviderProcess(lifetime = 900): Promise<ProviderProcess> {
  const known = ['--scopes', labScopes.join(), '--resources', labResources.join()];
  const child = fork(main, [...known, '--lifetime', String(lifetime)], { stdio: ['ignore', 'pipe', 'inherit', 'ipc'] });
  const exited = once(child, 'exit');
  const lines = createInterface({ input: child.stdout! });
  const [line] = (await Promise.race([once(lines, 'line'), exited.then(() => [undefined])])) as [string | undefined];
  if (line === undefined) throw new Error('the provider ended before it was ready');
  const { issuer, caFile, initialAccessToken } = JSON.parse(line) as Record<string, string>;
  let asked: Promise<unknown> = Promise.resolve();
  const ask = (question: string | readonly string[] | ProviderLimit): Promise<unknown> => {
    asked = asked.then(async () => {
      const answer = once(child, 'message');
      child.send(question);
      return (await answer)[0] as unknown;
    });
    return asked;
  };
  return {
    pid: child.pid ?? 0,
    issuer: issuer!,
    caPem: readFileSync(caFile!, 'utf8'),
    initialAccessToken: initialAccessToken!,
    counts: () => ask('counts') as Promise<ProviderCounts>,
    async limit(limit) {
      await ask(limit);
    },
    revokedAt: () => ask('revokedAt') as Promise<readonly number[]>,
    alive: (tokens) => ask(tokens) as Promise<readonly string[]>,
    async stop() {
      child.kill();
      await exited;
    },
  };
}

/** Registers the client of the floor with one bare request (RFC 7591). */
export async function registerBareClient(provider: LabProvider): Promise<BareClient> {
  const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const kid = 'floor';
  const pool = new Pool(provider.issuer, { connect: { ca: provider.caPem } });
  try {
    const metadata = bareMetadata('floor', labScopes, [{ ...publicKey.export({ format: 'jwk' }), kid }]);
    const client = await askedBare(pool, 'POST', '/reg', json(metadata, provider.initialAccessToken));
    return {
      clientId: String(client['client_id']),
      tokenPath: '/token',
      privateJwk: { ...privateKey.export({ format: 'jwk' }), kid },
    };
  } finally {
    await pool.close();
  }
}
