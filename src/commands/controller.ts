import { randomUUID } from 'node:crypto';
import { second, systemClock } from '../clock.ts';
import type { Configuration, LogLevel } from '../config.ts';
import { OperatorError } from '../errors.ts';
import { Operator } from '../controllers/operator.ts';
import { type Flag, helpText, parseAddress, parseFlags } from '../flags.ts';
import { connect } from '../kube/connection.ts';
import { TrustedClock } from '../runtime/trusted-clock.ts';
import { AuditLog } from '../telemetry/audit.ts';
import { AuditStream } from '../telemetry/audit-stream.ts';
import { serveHealth, serveMetrics } from '../telemetry/health.ts';
import { type Logger, createLogger } from '../telemetry/logger.ts';
import { Metrics } from '../telemetry/metrics.ts';
import { operatorNamespace, operatorServiceAccount } from '../api/names.ts';
import { keepAuditFlowing, openAudit, unopened } from './audit-output.ts';
import { ConfigurationFile, readConfiguration } from './configuration-file.ts';
import type { ProcessSurface } from './surface.ts';

const levels = ['error', 'warn', 'info', 'debug'];
const address = (value: string): string | undefined =>
  parseAddress(value) === undefined ? `must be a port or host:port, not ${value}` : undefined;

const controllerFlags: readonly Flag[] = [
  {
    name: 'kubeconfig',
    placeholder: 'FILE',
    help: 'How to reach the API server; absent: the pod’s own service account.',
  },
  { name: 'config', placeholder: 'FILE', help: 'The ControllerConfiguration; read again whenever it changes.' },
  { name: 'namespace', placeholder: 'NAME', help: 'The namespace of records and lease.', default: operatorNamespace },
  { name: 'id', placeholder: 'TEXT', help: 'Name of this replica in the lease; absent: a random one.' },
  {
    name: 'metrics-address',
    placeholder: '[HOST:]PORT',
    help: 'Where /metrics is served.',
    default: '8080',
    check: address,
  },
  {
    name: 'health-address',
    placeholder: '[HOST:]PORT',
    help: 'Where /healthz and /readyz are served.',
    default: '8081',
    check: address,
  },
  {
    name: 'log-level',
    placeholder: 'LEVEL',
    help: `One of ${levels.join(', ')}; overrides log.level of the configuration.`,
    check: (value) => (levels.includes(value) ? undefined : `must be one of ${levels.join(', ')}, not ${value}`),
  },
  {
    name: 'audit-path',
    placeholder: 'FILE',
    help: 'Where audit lines are appended; absent: audit.path of the configuration, else standard output.',
  },
  {
    name: 'crash-at',
    placeholder: 'EFFECT:before|after[:N]',
    help: 'For tests: the process kills itself at this effect, or when it comes by it for the Nth time.',
  },
];

const refused = 2;

/** The long-running role. Resolves with the exit code: 0 after a graceful stop, 1 when the lease was lost, 2 for unusable settings. */
export async function runController(argv: readonly string[], surface: ProcessSurface): Promise<number> {
  const flags = parseFlags('controller', controllerFlags, argv, surface.environment);
  if (flags.is === 'Help') return (surface.print(helpText('controller', controllerFlags)), 0);
  const values = flags.is === 'Flags' ? flags.values : {};
  const file = values['config'];
  const read = file === undefined ? undefined : readConfiguration(file);
  const problems = [
    ...(flags.is === 'Problems' ? flags.problems : []),
    ...environmentProblems(surface.environment),
    ...(flags.is === 'Flags' ? valueProblems(values) : []),
    ...(read?.is === 'Problems' ? read.problems.map((problem) => `${file ?? ''}: ${problem}`) : []),
  ];
  if (problems.length > 0 || read?.is !== 'Configuration' || file === undefined) return refuse(surface, problems);
  const level = values['log-level'] as LogLevel | undefined;
  // Unique per process, not per pod: a restarted container must not take itself for its predecessor.
  const id = `${values['id'] ?? 'controller'}_${randomUUID()}`;
  const logger = createLogger({
    level: level ?? read.configuration.log.level,
    write: (line) => surface.complain(line),
    base: { replica: id },
  });
  try {
    return await run({ id, values, file, configuration: read.configuration, logger, surface });
  } catch (error) {
    const problem = settingProblem(error);
    if (problem === undefined) throw error;
    return refuse(surface, [problem]);
  }
}

function refuse(surface: ProcessSurface, problems: readonly string[]): number {
  surface.complain(problems.map((problem) => `ci-identity-operator: ${problem}\n`).join(''));
  return refused;
}

function environmentProblems(environment: ProcessSurface['environment']): readonly string[] {
  return environment['NODE_TLS_REJECT_UNAUTHORIZED'] === '0'
    ? ['NODE_TLS_REJECT_UNAUTHORIZED=0 turns certificate checks off; unset it and give issuers a caBundleRef instead']
    : [];
}

function valueProblems({ config, namespace = operatorNamespace }: Start['values']): readonly string[] {
  return [
    ...(config === undefined ? ['--config FILE is needed; see manifests/controller/configuration.yaml'] : []),
    ...(namespace === operatorNamespace
      ? []
      : [
          `--namespace must be ${operatorNamespace}, not ${namespace}: the admission policies let nobody write our Secrets but service account ${operatorNamespace}/${operatorServiceAccount}`,
        ]),
  ];
}

/** Settings of which only using them shows that they are unusable. */
function settingProblem(error: unknown): string | undefined {
  if (!(error instanceof Error)) return undefined;
  if (error instanceof OperatorError && error.reason === 'ConfigurationInvalid') return error.message;
  const { syscall, code, port } = error as NodeJS.ErrnoException & { readonly port?: number };
  if (syscall === 'listen')
    return `port ${port} cannot be listened on (${code}); choose another with --metrics-address or --health-address`;
  return unopened(error);
}

interface Start {
  readonly id: string;
  readonly values: Readonly<Record<string, string>>;
  readonly file: string;
  readonly configuration: Configuration;
  readonly logger: Logger;
  readonly surface: ProcessSurface;
}

async function run({ id, values, file, configuration, logger, surface }: Start): Promise<number> {
  const namespace = values['namespace'] ?? operatorNamespace;
  const metrics = new Metrics();
  const clock = new TrustedClock(systemClock);
  const kubeconfig = values['kubeconfig'];
  const audit = new AuditStream({
    sink: openAudit(values['audit-path'] ?? configuration.audit.path, surface),
    clock,
    onLine: (outcome) => metrics.count('ci_identity_audit_lines_total', { outcome }),
  });
  const connection = await connect({
    clock,
    onServerTime: (time) => clock.witness(time),
    environment: surface.environment,
    ...(kubeconfig === undefined ? {} : { kubeconfig }),
  });
  const operator = new Operator({
    connection,
    namespace,
    id,
    clock,
    wall: () => systemClock.now(),
    random: Math.random,
    configuration,
    logger,
    metrics,
    audit: new AuditLog({ write: (line) => audit.push(line), clock }),
    auditStream: audit,
    ...(values['crash-at'] === undefined ? {} : { crash: crashPoint(values['crash-at'], surface) }),
  });
  const settings = new ConfigurationFile({
    file,
    configuration,
    followLogLevel: values['log-level'] === undefined,
    followAuditPath: values['audit-path'] === undefined,
    logger,
    metrics,
    configure: (changed) => operator.configure(changed),
  });
  const checks = operator.observation.health();
  const health = await serveHealth(parseAddress(values['health-address'] ?? '') ?? { port: 8081 }, {
    live: () => checks.live(),
    ready: () => [...checks.ready(), settings.check()],
  });
  const collect = (): void => operator.observation.collect();
  const scrape = await serveMetrics(
    parseAddress(values['metrics-address'] ?? '') ?? { port: 8080 },
    metrics,
    collect,
    clock,
  );
  logger.info('listening', { healthPort: health.port, metricsPort: scrape.port });
  // However the operator ends, nothing may keep the process alive: another replica leads by then.
  const over = new AbortController();
  const until = AbortSignal.any([surface.stop, over.signal]);
  const watching = [settings.follow(until), keepAuditFlowing({ audit, surface, logger }, until)];
  try {
    const ended = await operator.run(surface.stop);
    if (ended === 'LostLease') logger.error('lost the lease: exiting, another replica leads');
    return ended === 'LostLease' ? 1 : 0;
  } finally {
    over.abort();
    await Promise.allSettled([...watching, health.close(), scrape.close(), connection.close()]);
    await audit.close(AbortSignal.timeout(lastWords));
  }
}

function crashPoint(at: string, surface: ProcessSurface): (name: string, moment: 'before' | 'after') => void {
  const [effect, wanted, time = '1'] = at.split(':');
  let left = Number(time);
  return (name, moment) => {
    if (name === effect && moment === wanted && (left -= 1) === 0) surface.kill();
  };
}

/** How long a stopping process waits for a stream that takes nothing. */
const lastWords = 5 * second;
