import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test from 'ava';
import { ConfigurationFile, readConfiguration } from '#src/commands/configuration-file.ts';
import type { Configuration } from '#src/config.ts';
import { createLogger } from '#src/telemetry/logger.ts';
import { Metrics } from '#src/telemetry/metrics.ts';

const text = (issuer: string): string =>
  `apiVersion: config.ci-identity.dev/v1alpha1\nkind: ControllerConfiguration\nissuers: [{url: '${issuer}'}]\n`;

test('a file that changes while the program starts is taken into force as well', async (t) => {
  const directory = mkdtempSync(join(tmpdir(), 'configuration-'));
  t.teardown(() => rmSync(directory, { recursive: true }));
  const file = join(directory, 'configuration.yaml');
  writeFileSync(file, text('https://before.example.com'));
  const read = readConfiguration(file);
  if (read.is !== 'Configuration') return t.fail(read.problems.join());
  writeFileSync(file, text('https://after.example.com'));

  const taken = Promise.withResolvers<Configuration>();
  const settings = new ConfigurationFile({
    file,
    configuration: read.configuration,
    followLogLevel: false,
    logger: createLogger({ level: 'error', write: () => undefined }),
    metrics: new Metrics(),
    configure: async (configuration) => taken.resolve(configuration),
  });
  const stop = new AbortController();
  const followed = settings.follow(stop.signal);
  t.deepEqual(
    (await taken.promise).issuers.map(({ url }) => url),
    ['https://after.example.com'],
  );
  stop.abort();
  await followed;
});
