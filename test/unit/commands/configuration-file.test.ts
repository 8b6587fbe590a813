import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { ConfigurationFile, readConfiguration } from '#src/commands/configuration-file.ts';
import type { Configuration } from '#src/config.ts';
import { createLogger } from '#src/telemetry/logger.ts';
import { Metrics } from '#src/telemetry/metrics.ts';

const text = (issuer: string): string =>
  `apiVersion: config.ci-identity.dev/v1alpha1\nkind: ControllerConfiguration\nissuers: [{url: '${issuer}'}]\n`;
const [before, after] = ['https://before.example.com', 'https://after.example.com'];

interface Scene {
  readonly write: (issuer: string) => void;
  /** Follows the file until `done` resolves; each configuration that is to take force goes to `configure`, as its issuer. */
  readonly follow: (configure: (issuer: string) => Promise<void>, done: Promise<unknown>) => Promise<void>;
}

/** A process that read a file with the issuer `before`. */
function start(t: ExecutionContext): Scene {
  const directory = mkdtempSync(join(tmpdir(), 'configuration-'));
  t.teardown(() => rmSync(directory, { recursive: true }));
  const file = join(directory, 'configuration.yaml');
  const write = (issuer: string): void => writeFileSync(file, text(issuer));
  write(before);
  const read = readConfiguration(file);
  if (read.is !== 'Configuration') throw new Error(read.problems.join());
  return {
    write,
    async follow(configure, done) {
      const settings = new ConfigurationFile({
        file,
        configuration: read.configuration,
        followLogLevel: false,
        logger: createLogger({ level: 'error', write: () => undefined }),
        metrics: new Metrics(),
        configure: ({ issuers }: Configuration) => configure(issuers.map(({ url }) => url).join()),
      });
      const stop = new AbortController();
      const followed = settings.follow(stop.signal);
      await done;
      stop.abort();
      await followed;
    },
  };
}

test('a file that changes while the program starts is taken into force as well', async (t) => {
  const { write, follow } = start(t);
  write(after);
  const taken = Promise.withResolvers<string>();
  await follow(async (issuer) => taken.resolve(issuer), taken.promise);
  t.is(await taken.promise, after);
});

test('what took force without what it refers to is tried again, and reverted where the file is', async (t) => {
  const { write, follow } = start(t);
  write(after);
  const taken: string[] = [];
  const reverted = Promise.withResolvers<void>();
  await follow(async (issuer) => {
    taken.push(issuer);
    if (issuer === before) return reverted.resolve();
    if (taken.length === 2) write(before);
    throw new Error('a Secret cannot be read');
  }, reverted.promise);
  t.deepEqual(taken, [after, after, before]);
});
