import { text } from 'node:stream/consumers';
import type { ProcessSurface } from './commands/surface.ts';
import { findVerb, isPluginVerb, unknownVerb, usage } from './commands/verbs.ts';

/** Exit codes: 0 done, 1 failed or lost the lease, 2 the operator cannot start as it is configured or, of a plugin verb, the answer is no. */
const [name, ...rest] = process.argv.slice(2);

const help = ['help', '--help', '-h', undefined];

async function run(): Promise<number> {
  if (help.includes(name)) {
    process.stdout.write(usage());
    return 0;
  }
  const verb = findVerb(name ?? '');
  if (verb === undefined) {
    process.stderr.write(unknownVerb(name ?? ''));
    return 1;
  }
  // Whoever reads an answer, such as head(1), may stop reading. An audit stream that breaks is another matter.
  if (isPluginVerb(verb)) process.stdout.on('error', () => process.exit(0));
  const stop = new AbortController();
  for (const signal of ['SIGTERM', 'SIGINT'] as const) process.once(signal, () => stop.abort());
  const surface: ProcessSurface = {
    environment: process.env,
    stop: stop.signal,
    print: (line) => void process.stdout.write(line),
    complain: (line) => void process.stderr.write(line),
    readInput: () => text(process.stdin),
    kill: () => process.kill(process.pid, 'SIGKILL'),
    onHangup: (listener) => void process.on('SIGHUP', listener),
  };
  return (await verb.load())(rest, surface);
}

/** Node would print every member of the error and its cause, such as a request with our credentials. */
function crash(error: unknown): never {
  process.stderr.write(`ci-identity-operator: ${error instanceof Error ? (error.stack ?? error.message) : 'failed'}\n`);
  process.exit(1);
}

for (const event of ['uncaughtException', 'unhandledRejection'] as const) process.on(event, crash);
run().then((code) => process.exit(code), crash);
