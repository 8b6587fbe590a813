import { readFileSync } from 'node:fs';
import { plus, systemClock } from '../clock.ts';
import { type Configuration, type ParsedConfiguration, parseConfiguration } from '../config.ts';
import { auditPathProblem } from './audit-output.ts';
import type { Check } from '../telemetry/health.ts';
import type { Logger } from '../telemetry/logger.ts';
import type { Metrics } from '../telemetry/metrics.ts';

/** A file that cannot be read is a problem like any other. */
export function readConfiguration(file: string): ParsedConfiguration {
  try {
    return parseConfiguration(readFileSync(file, 'utf8'));
  } catch (error) {
    return {
      is: 'Problems',
      problems: [`cannot be read: ${error instanceof Error ? error.message : 'unknown error'}`],
    };
  }
}

export interface ConfigurationFileOptions {
  readonly file: string;
  /** What was read from it and is in force; the file may be another one by now. */
  readonly configuration: Configuration;
  readonly followLogLevel: boolean;
  /** Whether the next start would open `audit.path`. */
  readonly followAuditPath: boolean;
  readonly logger: Logger;
  readonly metrics: Metrics;
  /** Takes a new configuration into force. What it refers to may not be readable: then this rejects and is called again. */
  readonly configure: (configuration: Configuration) => Promise<void>;
}

/** A mounted ConfigMap changes by swapping a symbolic link, which file watches miss; reading a few kilobytes costs nothing. */
const pollEvery = 2_000;
/** The page of health checks is for a glance; the log has every problem. */
const mostShown = 3;

/** Follows the configuration file while the program runs. What cannot be used changes nothing, and is said by log, metric and health page. */
export class ConfigurationFile {
  readonly #o: ConfigurationFileOptions;
  #problems: readonly string[] = [];
  /** The last `audit.path` that could be opened: opening it again and again would make it anew under whoever rotates it. */
  #opened: string | undefined;

  constructor(options: ConfigurationFileOptions) {
    this.#o = options;
    this.#say([]);
  }

  /** Never a reason to be unready: every replica would be, and the configuration in force works. */
  check(): Check {
    const { file } = this.#o;
    if (this.#problems.length === 0) return { name: 'configuration', ok: true };
    const more =
      this.#problems.length > mostShown ? ` (and ${this.#problems.length - mostShown} more, see the log)` : '';
    const shown = this.#problems.slice(0, mostShown).join('; ');
    return {
      name: 'configuration',
      ok: true,
      note: `${file} was changed and cannot be used, so the one before stays in force: ${shown}${more}`,
    };
  }

  /** Runs until `stop` aborts. */
  async follow(stop: AbortSignal): Promise<void> {
    const { file, configuration, followLogLevel, logger, configure } = this.#o;
    let last = JSON.stringify({ is: 'Configuration', configuration } satisfies ParsedConfiguration);
    let isDone = true;
    while (!stop.aborted) {
      await systemClock.sleepUntil(plus(systemClock.now(), pollEvery), stop);
      const read = this.#tried(readConfiguration(file));
      const text = JSON.stringify(read);
      if (text === last && isDone) continue;
      last = text;
      isDone = true;
      if (read.is === 'Problems') {
        this.#say(read.problems);
        logger.error('the changed configuration cannot be used; the old one stays in force', {
          reason: 'ConfigurationInvalid',
          problems: read.problems,
        });
        continue;
      }
      this.#say([]);
      if (followLogLevel) logger.setLevel(read.configuration.log.level);
      try {
        await configure(read.configuration);
        logger.info('configuration reloaded', { issuers: read.configuration.issuers.length });
        if (this.#movesAudit(read.configuration))
          logger.warn('audit.path takes effect at the next start', {
            path: read.configuration.audit.path ?? 'standard output',
          });
      } catch (error) {
        isDone = false;
        logger.warn(
          'the changed configuration is in force, but what it refers to could not be read; it is tried again',
          { error },
        );
      }
    }
  }

  #movesAudit({ audit }: Configuration): boolean {
    return this.#o.followAuditPath && audit.path !== this.#o.configuration.audit.path;
  }

  /** With an `audit.path` that cannot be opened the next start would fail, so it is a problem like any other. */
  #tried(read: ParsedConfiguration): ParsedConfiguration {
    if (read.is === 'Problems' || !this.#movesAudit(read.configuration)) return read;
    const { path } = read.configuration.audit;
    if (path === undefined || path === this.#opened) return read;
    const problem = auditPathProblem(path);
    if (problem !== undefined) return { is: 'Problems', problems: [problem] };
    this.#opened = path;
    return read;
  }

  #say(problems: readonly string[]): void {
    this.#problems = problems;
    const { metrics } = this.#o;
    metrics.set('ci_identity_configuration_current', {}, problems.length === 0 ? 1 : 0);
    const outcome = problems.length === 0 ? 'Loaded' : 'Refused';
    metrics.count('ci_identity_configuration_loads_total', { outcome });
  }
}
