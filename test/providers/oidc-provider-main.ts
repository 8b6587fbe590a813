/**
 * The test provider as a process of its own: prints one JSON line `{"issuer","caFile","initialAccessToken"}` when it is ready.
 * A parent that forked it gets `{"tokenCalls","allCalls","issued"}`, counted since the start, for each message (one with
 * `{"perSecond","delay"}` sets limits), and takes it along when it ends.
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
process.on('message', (asked: string | { readonly perSecond: number; readonly delay: number }) => {
  if (typeof asked === 'object') provider.faults.limit(asked);
  process.send?.({
    tokenCalls: stats.count('token'),
    allCalls: stats.count(),
    issued: provider.issued(),
    tooMany: stats.count(undefined, 429),
  });
});

async function end(): Promise<void> {
  if (process.connected) process.disconnect();
  await provider.stop();
}
