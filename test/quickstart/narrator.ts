/** Tells the story in plain sentences with durations, on standard output. */
export interface Narrator {
  /** A step that takes time: prints its sentence when it is done, with how long it took. */
  step<T>(sentence: string | ((result: T) => string), work: () => Promise<T>): Promise<T>;
  say(text: string): void;
  /** Text of another program, indented. */
  show(text: string): void;
}

export function createNarrator(print: (text: string) => void): Narrator {
  const begin = performance.now();
  const seconds = (ms: number): string => `${(ms / 1_000).toFixed(1)} s`;
  return {
    async step(sentence, work) {
      const started = performance.now();
      const result = await work();
      const text = typeof sentence === 'string' ? sentence : sentence(result);
      print(`${seconds(performance.now() - begin).padStart(7)}  ${text} (${seconds(performance.now() - started)})\n`);
      return result;
    },
    say: (text) => print(`${seconds(performance.now() - begin).padStart(7)}  ${text}\n`),
    show: (text) =>
      print(
        `${text
          .trimEnd()
          .split('\n')
          .map((line) => `           ${line}`)
          .join('\n')}\n`,
      ),
  };
}
