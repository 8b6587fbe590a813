import type { ProcessSurface } from '#src/commands/surface.ts';

/** A process surface that keeps what is printed. */
export function surface(o: { readonly input?: string; readonly environment?: Readonly<Record<string, string>> } = {}): {
  readonly surface: ProcessSurface;
  printed(): string;
  complained(): string;
} {
  let [printed, complained] = ['', ''];
  return {
    surface: {
      environment: o.environment ?? {},
      stop: new AbortController().signal,
      print: (text) => void (printed += text),
      complain: (text) => void (complained += text),
      readInput: async () => o.input ?? '',
      onHangup: () => undefined,
      kill: () => {
        throw new Error('nothing of this may kill the process');
      },
    },
    printed: () => printed,
    complained: () => complained,
  };
}
