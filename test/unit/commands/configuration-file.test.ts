import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { ConfigurationFile, readConfiguration } from '#src/commands/configuration-file.ts';
import type { Configuration } from '#src/config.ts';
import { createLogger } from '#src/telemetry/logger.ts';
import { Metrics } from '#src/telemetry/metrics.ts';
import { eventually } from '#test/support/eventually.ts';

const text = (issuer: string, auditPath?: string): string =>
  `apiVersion: config.ci-identity.dev/v1alpha1\nkind: ControllerConfiguration\nissuers: [{url: '${issuer}'}]\n${auditPath === undefined ? '' : `audit: {path: '${auditPath}'}\n`}`;
const [before, after] = ['https://before.example.com', 'https://after.example.com'];

interface Scene {
  readonly directory: string;
  readonly metrics: Metrics;
  /** Lines of the log, as it writes them. */
  readonly log: readonly string[];
  readonly write: (issuer: string, auditPath?: string) => void;
  /** Follows the file until `done` resolves; each configuration that is to take force goes to `configure`, as its issuer. */
  readonly follow: (
    configure: (issuer: string) => Promise<void>,
    done: (settings: ConfigurationFile) => Promise<unknown>,
  ) => Promise<void>;
}

/** A process that read a file with the issuer `before`. `followAuditPath`: it was started without `--audit-path`. */
function start(t: ExecutionContext, followAuditPath = true): Scene {
  const directory = mkdtempSync(join(tmpdir(), 'configuration-'));
  t.teardown(() => rmSync(directory, { recursive: true }));
  const file = join(directory, 'configuration.yaml');
  const write = (issuer: string, auditPath?: string): void => writeFileSync(file, text(issuer, auditPath));
  write(before);
  const read = readConfiguration(file);
  if (read.is !== 'Configuration') throw new Error(read.problems.join());
  const metrics = new Metrics();
  const log: string[] = [];
  return {
    directory,
    metrics,
    log,
    write,
    async follow(configure, done) {
      const settings = new ConfigurationFile({
        file,
        configuration: read.configuration,
        followLogLevel: false,
        followAuditPath,
        logger: createLogger({ level: 'info', write: (line) => void log.push(line) }),
        metrics,
        configure: ({ issuers }: Configuration) => configure(issuers.map(({ url }) => url).join()),
      });
      const stop = new AbortController();
      const followed = settings.follow(stop.signal);
      await done(settings);
      stop.abort();
      await followed;
    },
  };
}

test('a file that changes while the program starts is taken into force as well', async (t) => {
  const { write, follow } = start(t);
  write(after);
  const taken = Promise.withResolvers<string>();
  await follow(
    async (issuer) => taken.resolve(issuer),
    () => taken.promise,
  );
  t.is(await taken.promise, after);
});

test('what took force without what it refers to is tried again, and reverted where the file is', async (t) => {
  const { write, follow } = start(t);
  write(after);
  const taken: string[] = [];
  const reverted = Promise.withResolvers<void>();
  await follow(
    async (issuer) => {
      taken.push(issuer);
      if (issuer === before) return reverted.resolve();
      if (taken.length === 2) write(before);
      throw new Error('a Secret cannot be read');
    },
    () => reverted.promise,
  );
  t.deepEqual(taken, [after, after, before]);
});

test('an audit.path that cannot be opened: the reload is refused with the sentence of the start, until it can', async (t) => {
  const { directory, log, metrics, write, follow } = start(t);
  const path = join(directory, 'no-such-volume', 'audit.log');
  write(after, path);
  const taken: string[] = [];
  await follow(
    async (issuer) => void taken.push(issuer),
    async (settings) => {
      const { note } = await eventually('it is refused', () =>
        settings.check().note === undefined ? undefined : settings.check(),
      );
      t.true(note?.endsWith(`: ${path} cannot be opened (ENOENT); check --audit-path and audit.path`), note);
      t.regex(await metrics.registry.metrics(), /^ci_identity_configuration_current 0$/m);
      t.deepEqual(taken, []);
      mkdirSync(join(directory, 'no-such-volume'));
      await eventually('it takes force', () => taken[0]);
      await eventually('the log says so', () =>
        log.find((line) => line.includes('audit.path takes effect at the next start')),
      );
      t.is(settings.check().note, undefined);
    },
  );
  t.deepEqual(taken, [after]);
});

test('an audit.path beside --audit-path is used by no start, so it is not opened', async (t) => {
  const { directory, log, write, follow } = start(t, false);
  write(after, join(directory, 'no-such-volume', 'audit.log'));
  const taken = Promise.withResolvers<string>();
  await follow(
    async (issuer) => taken.resolve(issuer),
    () => taken.promise,
  );
  t.is(await taken.promise, after);
  t.false(log.some((line) => line.includes('audit.path')));
});
