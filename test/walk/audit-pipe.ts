import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { closeSync, constants, openSync, readFileSync, writeSync } from 'node:fs';
import { signal } from '#test/cluster/processes.ts';

/** The audit stream of one process: a pipe with a reader of its own, which may stand still for a while. */
export class AuditPipe {
  /** Of the pipe. */
  readonly path: string;
  readonly #file: string;
  readonly #reader: ChildProcess;
  /** Open as long as the reader lives, which would take a process that is about to begin for one that has ended. */
  readonly #pipe: number;

  /** `path` does not exist yet. */
  constructor(path: string) {
    this.path = path;
    this.#file = `${path}.read`;
    execFileSync('mkfifo', [path]);
    this.#pipe = openSync(path, constants.O_RDWR | constants.O_NONBLOCK);
    this.#reader = spawn('sh', ['-c', 'exec cat "$1" > "$2"', 'sh', path, this.#file], { stdio: 'ignore' });
  }

  /** Everything that was read. */
  text(): string {
    try {
      // Whoever fills the pipe writes empty lines.
      return readFileSync(this.#file, 'utf8').replace(/^\n+|(?<=\n)\n+/g, '');
    } catch {
      return '';
    }
  }

  /** Nobody reads any more, and nothing fits in. Returns how reading goes on. */
  block(): () => void {
    const { pid } = this.#reader;
    if (pid === undefined) return () => {};
    signal(pid, 'SIGSTOP');
    for (const size of [65_536, 4_096, 1]) fill(this.#pipe, Buffer.alloc(size, '\n'));
    return () => signal(pid, 'SIGCONT');
  }

  stop(): void {
    this.#reader.kill('SIGKILL');
    closeSync(this.#pipe);
  }
}

function fill(pipe: number, bytes: Buffer): void {
  try {
    for (;;) writeSync(pipe, bytes);
  } catch {
    // Full is what it shall be.
  }
}
