import test from 'ava';
import { eventType } from '#src/controllers/reporter.ts';

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
