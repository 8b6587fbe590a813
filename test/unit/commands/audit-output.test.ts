import test from 'ava';
import { keepAuditFlowing } from '#src/commands/audit-output.ts';

test('the log says once that the stream is blocked for a second, and once that it is no more', async (t) => {
  const stop = new AbortController();
  const said: string[] = [];
  let looks = 0;
  let trouble: string | undefined;
  const audit = {
    follow: () => (looks += 1),
    // A moment of trouble at first, then two seconds of it.
    keepUp: () => (trouble = looks === 1 || (looks > 2 && looks <= 10) ? 'the disk is full' : undefined),
    get trouble() {
      return trouble;
    },
  };
  const logger = {
    error: (message: string, more?: object) => said.push(`${message}: ${JSON.stringify(more)}`),
    info: (message: string) => {
      said.push(message);
      stop.abort();
    },
  };
  await keepAuditFlowing({ audit, surface: { onHangup: () => undefined }, logger }, stop.signal);
  t.deepEqual(said, [
    'audit lines cannot be written: {"reason":"AuditBlocked","message":"the disk is full"}',
    'the audit stream takes lines again',
  ]);
});
