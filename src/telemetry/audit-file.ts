import { closeSync, constants, fstatSync, openSync, readSync, statSync, writeSync } from 'node:fs';

/** Where audit lines go. Nothing here ever blocks the program. */
export interface AuditSink {
  /** Gives bytes to the operating system; how many it took. 0: it is busy (a pipe that nobody reads). Throws when it cannot, such as a full disk. */
  write(bytes: Uint8Array): number;
  /** Opens the file anew when its name leads elsewhere by now: it was rotated by renaming. `true`: what comes next is in a new file. */
  follow(): boolean;
  close(): void;
}

/** Standard output, opened anew so that writing to it can be refused instead of waiting. */
export const standardOutput = '/proc/self/fd/1';

// Reading too: a pipe whose reader has gone then keeps its lines for the next one instead of killing the process.
const flags = constants.O_RDWR | constants.O_APPEND | constants.O_CREAT | constants.O_NONBLOCK;

/**
 * Opens a file or pipe for appending, readable by its owner only. What was written survives the process. Where the last process was killed
 * in the middle of a line, the first write ends that line: opening needs no room on a full disk.
 */
export function openAuditFile(path: string): AuditSink {
  let fd = openSync(path, flags, 0o600);
  let insideLine = endsInsideLine(fd);
  return {
    write(bytes) {
      try {
        if (insideLine) {
          if (writeSync(fd, '\n') === 0) return 0;
          insideLine = false;
        }
        return writeSync(fd, bytes);
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code === 'EAGAIN') return 0;
        throw error;
      }
    },
    follow() {
      if (isThere(path, fd)) return false;
      const next = openSync(path, flags, 0o600);
      closeSync(fd);
      fd = next;
      insideLine = endsInsideLine(fd);
      return true;
    },
    close: () => closeSync(fd),
  };
}

function isThere(path: string, fd: number): boolean {
  const open = fstatSync(fd);
  if (!open.isFile()) return true;
  const named = statSync(path, { throwIfNoEntry: false });
  return named?.ino === open.ino && named.dev === open.dev;
}

function endsInsideLine(fd: number): boolean {
  const stat = fstatSync(fd);
  const last = Buffer.alloc(1);
  return stat.isFile() && stat.size > 0 && readSync(fd, last, 0, 1, stat.size - 1) === 1 && last.toString() !== '\n';
}
