import { readFileSync } from 'node:fs';
import { verifyAudit } from './commands/audit.ts';
import { controllerFlags, runController } from './commands/controller.ts';
import { helpText } from './flags.ts';

/** Exit codes: 0 done, 1 failed or lost the lease, 2 the command line or the configuration cannot be used. */
const [verb, ...rest] = process.argv.slice(2);

const usage = `ci-identity-operator

  node src/main.ts controller [flags]     the operator
  node src/main.ts audit verify FILE      checks the chain of an audit log

${helpText('controller', controllerFlags)}`;

async function run(): Promise<number> {
  if (verb === 'controller') {
    const stop = new AbortController();
    for (const signal of ['SIGTERM', 'SIGINT'] as const) process.once(signal, () => stop.abort());
    return runController(rest, {
      environment: process.env,
      stop: stop.signal,
      print: (text) => void process.stdout.write(text),
      complain: (text) => void process.stderr.write(text),
      kill: () => process.kill(process.pid, 'SIGKILL'),
    });
  }
  if (verb === 'audit' && rest[0] === 'verify' && rest[1] !== undefined) {
    const { code, text } = verifyAudit(readFileSync(rest[1], 'utf8'));
    process.stdout.write(text);
    return code;
  }
  const help = verb === undefined || verb === 'help' || verb === '--help' || verb === '-h';
  (help ? process.stdout : process.stderr).write(
    help ? usage : `ci-identity-operator: ${verb} is not a command\n\n${usage}`,
  );
  return help ? 0 : 2;
}

/** Node would print every member of the error and its cause, such as a request with our credentials. */
function crash(error: unknown): never {
  process.stderr.write(`ci-identity-operator: ${error instanceof Error ? (error.stack ?? error.message) : 'failed'}\n`);
  process.exit(1);
}

for (const event of ['uncaughtException', 'unhandledRejection'] as const) process.on(event, crash);

run().then((code) => process.exit(code), crash);
