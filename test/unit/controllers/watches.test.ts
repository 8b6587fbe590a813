import test from 'ava';
import { logWatchFailure } from '#src/controllers/watches.ts';
import { OperatorError } from '#src/errors.ts';
import { IdleError } from '#src/runtime/idle.ts';
import { VersionExpiredError } from '#src/runtime/reflector.ts';
import { createLogger } from '#src/telemetry/logger.ts';

const away = new OperatorError({ class: 'Transient', reason: 'ApiServerUnavailable', message: 'API server: 503' });

for (const [title, error, level, hasStack] of [
  ['silence, which is ordinary', new IdleError('watch nodes: nothing came for 90 s'), 'info', false],
  ['an expired version, which is ordinary', new VersionExpiredError('too old'), 'info', false],
  ['an API server that is away', away, 'warn', false],
  ['what nobody expects', new TypeError('x is not a function'), 'warn', true],
] as const) {
  test(`the log of a watch that ended: ${title}`, (t) => {
    const lines: string[] = [];
    logWatchFailure(createLogger({ level: 'info', write: (line) => void lines.push(line) }), 'nodes', error);
    t.like(JSON.parse(lines[0] ?? ''), { level, watch: 'nodes' });
    t.true(lines[0]?.includes(error.message));
    t.is(lines[0]?.includes('"stack"'), hasStack);
  });
}
