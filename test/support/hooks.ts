/** What test files with programs of their own do around their tests. */
import test from 'ava';

/** Where a test failed, the end of what the program said; `undefined` while there is none. */
export function logOnFailure(program: () => { log(): string } | undefined, characters = 4_000): void {
  test.afterEach.always((t) => {
    const log = program()?.log();
    if (!t.passed && log !== undefined) t.log(log.slice(-characters));
  });
}

/** Whatever became of the tests, these are stopped, one after the other; those that never started are `undefined`. */
export function stopAfterwards(started: () => readonly ({ stop(): Promise<void> } | undefined)[]): void {
  test.after.always(async () => {
    for (const one of started()) await one?.stop();
  });
}
