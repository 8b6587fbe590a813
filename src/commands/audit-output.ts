import { plus, second, systemClock } from '../clock.ts';
import { type AuditSink, openAuditFile, standardOutput } from '../telemetry/audit-file.ts';
import type { AuditStream } from '../telemetry/audit-stream.ts';
import type { Logger } from '../telemetry/logger.ts';
import type { ProcessSurface } from './surface.ts';

/** Standard output is opened anew, so that a reader that stands still cannot stop the program; where that is refused it is printed to. */
export function openAudit(path: string | undefined, surface: ProcessSurface): AuditSink {
  if (path !== undefined) return openAuditFile(path);
  try {
    return openAuditFile(standardOutput);
  } catch {
    return {
      write: (bytes) => (surface.print(Buffer.from(bytes).toString()), bytes.length),
      follow: () => false,
      close: () => undefined,
    };
  }
}

/** The sentence for a file that cannot be opened; `undefined`: the error is about something else. */
export function unopened(error: unknown): string | undefined {
  const { syscall, code, path } = error instanceof Error ? (error as NodeJS.ErrnoException) : {};
  return syscall === 'open' && path !== undefined
    ? `${path} cannot be opened (${code}); check --audit-path and audit.path`
    : undefined;
}

/** Why audit lines could not go to this file after the next start, as the sentence with which that would end; `undefined`: they could. */
export function auditPathProblem(path: string): string | undefined {
  try {
    openAuditFile(path).close();
    return undefined;
  } catch (error) {
    return unopened(error) ?? `${path} cannot be written; check audit.path`;
  }
}

/** How long audit lines may wait for room in their file, or for its next name. */
const auditPoll = second / 4;
/** A reader that is a moment slower than a burst is no news. */
const tellAfter = 4;

interface AuditFlow {
  readonly audit: Pick<AuditStream, 'follow' | 'keepUp' | 'trouble'>;
  readonly surface: Pick<ProcessSurface, 'onHangup'>;
  readonly logger: Pick<Logger, 'error' | 'info'>;
}

/** Follows renamed files and writes what waits, until `stop` aborts; the log says when the stream is blocked for a second, and when it is no more. */
export async function keepAuditFlowing({ audit, surface, logger }: AuditFlow, stop: AbortSignal): Promise<void> {
  surface.onHangup(() => audit.follow());
  let blocked = 0;
  while (!stop.aborted) {
    await systemClock.sleepUntil(plus(systemClock.now(), auditPoll), stop);
    audit.follow();
    audit.keepUp();
    const { trouble } = audit;
    if (trouble === undefined && blocked >= tellAfter) logger.info('the audit stream takes lines again');
    blocked = trouble === undefined ? 0 : blocked + 1;
    if (blocked === tellAfter)
      logger.error('audit lines cannot be written', { reason: 'AuditBlocked', message: trouble });
  }
}
