import { Writable } from 'node:stream';
import { inspect } from 'node:util';
import winston from 'winston';
import { type Clock, systemClock, toRfc3339 } from '../clock.ts';
import type { LogLevel } from '../config.ts';
import { OperatorError } from '../errors.ts';
import { clean } from '../clean.ts';

/** Constant messages, data as fields. Values that are secret travel in `Redacted` boxes and print as a placeholder. */
export interface Logger {
  error(message: string, fields?: Fields): void;
  warn(message: string, fields?: Fields): void;
  info(message: string, fields?: Fields): void;
  debug(message: string, fields?: Fields): void;
  setLevel(level: LogLevel): void;
}

export type Fields = Readonly<Record<string, unknown>>;

/**
 * One JSON object per line: `time`, `level`, `message`, then `base`, then the fields of the call, which can never replace the first three.
 * A line is written before the call returns. It goes to standard error, because standard output belongs to the audit stream.
 */
export function createLogger(options: {
  readonly level: LogLevel;
  readonly write: (line: string) => void;
  readonly base?: Fields;
  readonly clock?: Clock;
}): Logger {
  const { level, write, base = {}, clock = systemClock } = options;
  const stream = new Writable({
    decodeStrings: false,
    write(chunk: unknown, _encoding, done) {
      write(String(chunk));
      done();
    },
  });
  const logger = winston.createLogger({
    level,
    format: winston.format.printf(({ level: at, message, fields }) => {
      const head = { time: toRfc3339(clock.now()), level: at, message };
      return JSON.stringify(plain({ ...head, ...base, ...(fields as Fields), ...head }));
    }),
    transports: [new winston.transports.Stream({ stream, eol: '\n' })],
  });
  // Fields go in a member of their own: winston glues a field named `message` to the message and takes `level` for the level.
  // winston takes each line through its streams and drops it at the last one; a decision is told at each look.
  const log = (at: LogLevel, message: string, fields: Fields = {}): void => {
    if (logger.isLevelEnabled(at)) logger.log({ level: at, message, fields });
  };
  return {
    error: (message, fields) => log('error', message, fields),
    warn: (message, fields) => log('warn', message, fields),
    info: (message, fields) => log('info', message, fields),
    debug: (message, fields) => log('debug', message, fields),
    setLevel: (next) => {
      logger.level = next;
    },
  };
}

const deepest = 6;

/**
 * Any value as JSON that is safe to log. JSON itself prints a nested Error as `{}`; this keeps name, message, stack and cause. Every string
 * is cleaned, boxes (`Redacted`, dates) print what their `toJSON` says, and what is nested deeper than six levels (or in itself) is cut.
 */
function plain(value: unknown, depth = 0): unknown {
  if (typeof value === 'string') return clean(value, 4_000);
  if (typeof value !== 'object' || value === null) return typeof value === 'bigint' ? String(value) : value;
  if (depth > deepest) return '…';
  if (value instanceof Error) return plainError(value, depth);
  if (Array.isArray(value)) return value.map((item) => plain(item, depth + 1));
  const json: unknown =
    'toJSON' in value && typeof value.toJSON === 'function' ? (value as { toJSON(): unknown }).toJSON() : value;
  if (typeof json !== 'object' || json === null) return plain(json, depth + 1);
  return Object.fromEntries(Object.entries(json).map(([key, item]) => [clean(key, 200), plain(item, depth + 1)]));
}

function plainError(error: Error, depth: number): Record<string, unknown> {
  const fields: Record<string, unknown> = { name: error.name, message: clean(error.message, 2_000) };
  if (error instanceof OperatorError) fields['reason'] = error.reason;
  else fields['stack'] = clean((error.stack ?? inspect(error)).replaceAll('\n', ' | '), 4_000);
  if (error instanceof AggregateError) fields['errors'] = error.errors.slice(0, 5).map((one) => plainCause(one, depth));
  if (error.cause !== undefined) fields['cause'] = plainCause(error.cause, depth);
  return fields;
}

/** A cause that is no Error may be a provider's answer with anything in it, so only its type is told. */
function plainCause(cause: unknown, depth: number): unknown {
  return cause instanceof Error ? plain(cause, depth + 1) : typeof cause;
}
