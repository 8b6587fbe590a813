import { closeSync, fstatSync, openSync, readSync, writeSync } from 'node:fs';

export interface AuditFile {
  /** Appends; returns when the operating system has all of it, so that a line survives the process that wrote it. Throws when it cannot. */
  readonly write: (line: string) => void;
  readonly close: () => void;
}

/** Opens an audit file for appending, readable by its owner only. Where the last process was killed in the middle of a line, ends that line. */
export function openAuditFile(path: string): AuditFile {
  const fd = openSync(path, 'a+', 0o600);
  const append = (text: string): void => {
    const bytes = Buffer.from(text);
    for (let written = 0; written < bytes.length;) written += writeSync(fd, bytes, written);
  };
  if (endsInsideLine(fd)) append('\n');
  return { write: append, close: () => closeSync(fd) };
}

function endsInsideLine(fd: number): boolean {
  const { size } = fstatSync(fd);
  const last = Buffer.alloc(1);
  return size > 0 && readSync(fd, last, 0, 1, size - 1) === 1 && last.toString() !== '\n';
}
