import { text } from 'node:stream/consumers';
import type { ProcessSurface } from './commands/surface.ts';
import { isPluginVerb, unknownVerb, usage, wishOf } from './commands/verbs.ts';

/** Exit codes: 0 done, 1 failed or lost the lease, 2 the operator cannot start as it is configured or, of a plugin verb, the answer is no. */
const wish = wishOf(process.argv.slice(2));

async function run(): Promise<number> {
  if (wish.is === 'Usage') {
    process.stdout.write(usage());
    return 0;
  }
  if (wish.is === 'Unknown') {
    process.stderr.write(unknownVerb(wish.name));
    return 1;
  }
  const { verb, argv } = wish;
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
  return (await verb.load())(argv, surface);
}

/** Node would print every member of the error and its cause, such as a request with our credentials. */
function crash(error: unknown): never {
  process.stderr.write(`ci-identity-operator: ${error instanceof Error ? (error.stack ?? error.message) : 'failed'}\n`);
  process.exit(1);
}

for (const event of ['uncaughtException', 'unhandledRejection'] as const) process.on(event, crash);
run().then((code) => process.exit(code), crash);
