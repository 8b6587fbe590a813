/** What a command may do with the process it runs in. */
export interface ProcessSurface {
  readonly environment: Readonly<Record<string, string | undefined>>;
  /** Aborts when the process is asked to end. */
  readonly stop: AbortSignal;
  print(text: string): void;
  complain(text: string): void;
  /** All of standard input. */
  readInput(): Promise<string>;
  kill(): void;
  /** SIGHUP, by which log rotation says that it renamed a file. */
  onHangup(listener: () => void): void;
}

/** Runs one verb of the program; resolves with its exit code. */
export type Run = (argv: readonly string[], surface: ProcessSurface) => Promise<number>;

/** What the exit codes of the kubectl plugin mean. */
export const exitCodes = {
  /** Done; where a question was asked: yes, or nothing is lost. */
  done: 0,
  /** It could not be done or answered; also an unusable command line. */
  failed: 1,
  /** The question was answered, with no; of `doctor`: there is a problem. */
  no: 2,
} as const;

/** A command cannot go on. `message` is for people: subject – what – why – what to do, and never holds a secret. */
export class CommandError extends Error {
  override readonly name = 'CommandError';
}
