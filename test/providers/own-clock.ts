import { AsyncLocalStorage } from 'node:async_hooks';

interface OwnClock {
  /** Milliseconds that it is ahead of this machine's. */
  readonly clockOffset: number;
}

const clocks = new AsyncLocalStorage<OwnClock>();
const real = Date;
const now = (): number => real.now() + (clocks.getStore()?.clockOffset ?? 0);

/** What runs here, and whatever follows from it, sees the time of this clock; everybody else in this process sees the machine's. */
export function inTimeOf<T>(clock: OwnClock, work: () => T): T {
  globalThis.Date = shifted;
  return clocks.run(clock, work);
}

const shifted = new Proxy(real, {
  construct: (target, args, made) => Reflect.construct(target, args.length === 0 ? [now()] : args, made) as Date,
  get: (target, name, self): unknown => (name === 'now' ? now : Reflect.get(target, name, self)),
});
