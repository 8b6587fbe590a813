import { inspect } from 'node:util';
import winston from 'winston';
import { systemClock, toRfc3339 } from '../clock.ts';
import type { LogLevel } from '../config.ts';
import { OperatorError } from '../errors.ts';
import { clean } from './clean.ts';

/** Constant messages, data as fields. Values that are secret travel in `Redacted` boxes and print as a placeholder. */
export interface Logger {
  error(message: string, fields?: Readonly<Record<string, unknown>>): void;
  warn(message: string, fields?: Readonly<Record<string, unknown>>): void;
  info(message: string, fields?: Readonly<Record<string, unknown>>): void;
  debug(message: string, fields?: Readonly<Record<string, unknown>>): void;
  setLevel(level: LogLevel): void;
}

/** JSON lines on standard error: standard output belongs to the audit stream unless it is given a file. */
export function createLogger(level: LogLevel, base: Readonly<Record<string, unknown>> = {}): Logger {
  const logger = winston.createLogger({
    level,
    format: winston.format.printf((info) => JSON.stringify(plain({ time: toRfc3339(systemClock.now()), ...base, ...info }))),
    transports: [new winston.transports.Stream({ stream: process.stderr })],
  });
  return {
    error: (message, fields) => void logger.error(message, fields),
    warn: (message, fields) => void logger.warn(message, fields),
    info: (message, fields) => void logger.info(message, fields),
    debug: (message, fields) => void logger.debug(message, fields),
    setLevel: (next) => {
      logger.level = next;
    },
  };
}

/** winston's own JSON format prints a nested Error as `{}`; this keeps name, message, stack and cause, and cleans every string. */
export function plain(value: unknown, depth = 0): unknown {
  if (typeof value === 'string') return clean(value, 4_000);
  if (typeof value !== 'object' || value === null) return typeof value === 'bigint' ? String(value) : value;
  if (depth > 6) return '…';
  if (value instanceof Error) return plainError(value, depth);
  if (Array.isArray(value)) return value.map((item) => plain(item, depth + 1));
  const json: unknown = 'toJSON' in value && typeof value.toJSON === 'function' ? (value as { toJSON(): unknown }).toJSON() : value;
  if (typeof json !== 'object' || json === null) return plain(json, depth + 1);
  return Object.fromEntries(Object.entries(json).map(([key, item]) => [clean(key, 200), plain(item, depth + 1)]));
}

function plainError(error: Error, depth: number): Record<string, unknown> {
  const fields: Record<string, unknown> = { name: error.name, message: clean(error.message, 2_000) };
  if (error instanceof OperatorError) fields['reason'] = error.reason;
  else fields['stack'] = clean((error.stack ?? inspect(error)).replaceAll('\n', ' | '), 4_000);
  if (error.cause !== undefined) fields['cause'] = error.cause instanceof Error ? plain(error.cause, depth + 1) : typeof error.cause;
  return fields;
}
