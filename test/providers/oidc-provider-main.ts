/**
 * The test provider as a process of its own: prints one JSON line `{"issuer","caFile","initialAccessToken"}` when it is ready.
 * A parent that forked it asks by messages, one at a time, and takes it along when it ends: `counts` → `{"tokenCalls","allCalls","issued",
 * "tooMany"}` since the start, `revokedAt` → the times of all revocations, a list of tokens → those of them that are alive,
 * `{"perSecond","delay"}` sets limits.
 * `node test/providers/oidc-provider-main.ts --port 0 --dir D [--host H] [--address A] [--scopes a,b] [--resources u,v] [--lifetime S] [--format jwt]`
 */
import { parseArgs } from 'node:util';
import { type OidcProviderOptions, startOidcProvider } from './oidc-provider.ts';

const { values } = parseArgs({
  options: {
    port: { type: 'string', default: '0' },
    dir: { type: 'string' },
    host: { type: 'string' },
    address: { type: 'string' },
    scopes: { type: 'string' },
    resources: { type: 'string' },
    lifetime: { type: 'string' },
    format: { type: 'string', default: 'opaque' },
  },
});

const options: OidcProviderOptions = {
  port: Number(values.port),
  tokenFormat: values.format === 'jwt' ? 'jwt' : 'opaque',
  ...(values.dir === undefined ? {} : { dir: values.dir }),
  ...(values.host === undefined ? {} : { host: values.host }),
  ...(values.address === undefined ? {} : { address: values.address }),
  ...(values.scopes === undefined ? {} : { scopes: values.scopes.split(',') }),
  ...(values.resources === undefined ? {} : { resources: values.resources.split(',') }),
  ...(values.lifetime === undefined ? {} : { tokenTtl: Number(values.lifetime) }),
};
const provider = await startOidcProvider(options);
const { issuer, caFile, initialAccessToken, stats } = provider;
process.stdout.write(`${JSON.stringify({ issuer, caFile, initialAccessToken })}\n`);
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => void end());
process.once('disconnect', () => void end());
type Question = 'counts' | 'revokedAt' | readonly string[] | { readonly perSecond: number; readonly delay: number };
process.on('message', (question) => process.send?.(answerTo(question as Question)));

function answerTo(question: Question): object {
  if (question === 'revokedAt') return provider.revokedAt();
  if (typeof question === 'object' && !('perSecond' in question)) {
    const live = new Set(provider.liveTokens().map(({ value }) => value));
    return question.filter((token) => live.has(token));
  }
  if (typeof question === 'object') provider.faults.limit(question);
  return {
    tokenCalls: stats.count('token'),
    allCalls: stats.count(),
    issued: provider.issued(),
    tooMany: stats.count(undefined, 429),
  };
}

async function end(): Promise<void> {
  if (process.connected) process.disconnect();
  await provider.stop();
}
