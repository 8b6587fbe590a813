/** What test files with programs of their own do around their tests. */
import test from 'ava';

/** Where a test failed, the end of what the program said; `undefined` while there is none. */
export function logOnFailure(program: () => { log(): string } | undefined): void {
  test.afterEach.always((t) => {
    if (!t.passed) t.log(program()?.log().slice(-20_000));
  });
}

/** Whatever became of the tests, these are stopped, one after the other; those that never started are `undefined`. */
export function stopAfterwards(started: () => readonly ({ stop(): Promise<void> } | undefined)[]): void {
  test.after.always(async () => {
    for (const one of started()) await one?.stop();
  });
}
