import test from 'ava';
import { Memory } from '#src/controllers/memory.ts';
import { Reporter, eventType } from '#src/controllers/reporter.ts';
import { OperatorError } from '#src/errors.ts';

for (const [ready, reason, type] of [
  [true, 'Ready', 'Normal'],
  [false, 'Registering', 'Normal'],
  [false, 'CredentialUnverified', 'Normal'],
  [false, 'WaitingForClient', 'Normal'],
  [false, 'Probing', 'Normal'],
  [false, 'PoolMissing', 'Warning'],
  [false, 'RegistrationRefused', 'Warning'],
  [false, 'NoRule', 'Warning'],
] as const) {
  test(`the event about ${reason} is ${type}: a step on the way is no warning`, (t) => {
    t.is(eventType(ready, reason), type);
  });
}

for (const [errorClass, attempts, level] of [
  ['Conflict', 1, 'debug'],
  ['Conflict', 4, 'debug'],
  ['Conflict', 5, 'warn'],
  ['Waiting', 1, 'info'],
  ['Transient', 1, 'warn'],
  ['Terminal', 1, 'warn'],
  [undefined, 1, 'error'],
] as const) {
  test(`attempt ${attempts} that fails with ${errorClass ?? 'a bug'} is logged as ${level}`, (t) => {
    const levels: string[] = [];
    const at = (name: string) => () => void levels.push(name);
    const reporter = new Reporter({
      memory: new Memory('ci-identity-system'),
      logger: { debug: at('debug'), info: at('info'), warn: at('warn'), error: at('error') },
      metrics: { count: () => undefined },
    } as unknown as ConstructorParameters<typeof Reporter>[0]);
    const error =
      errorClass === undefined
        ? new Error('bug')
        : new OperatorError({ class: errorClass, reason: 'ApiConflict', message: 'somebody was first' });
    reporter.failure('client', 'client-1', 'damaged', error, attempts);
    t.deepEqual(levels, [level]);
  });
}
