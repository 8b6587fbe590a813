import test from 'ava';
import { follow, withDeadline } from '#src/runtime/abort.ts';

const reason = new Error('stop');

test('whoever follows aborts with the first of its signals, for its reason', (t) => {
  const [one, other] = [new AbortController(), new AbortController()];
  const { controller } = follow(one.signal, other.signal);
  t.false(controller.signal.aborted);
  other.abort(reason);
  one.abort(new Error('too late'));
  t.is(controller.signal.reason, reason);
});

test('a signal that has aborted before counts', (t) => {
  t.is(follow(new AbortController().signal, AbortSignal.abort(reason)).controller.signal.reason, reason);
});

test('after its release it follows nobody', (t) => {
  const one = new AbortController();
  const { controller, release } = follow(one.signal);
  release();
  one.abort(reason);
  t.false(controller.signal.aborted);
});

test('a call has its deadline, the signal of its caller, and nothing of either when it is over', async (t) => {
  const caller = new AbortController();
  const untilAbort = (signal: AbortSignal): Promise<unknown> =>
    new Promise((resolve) => signal.addEventListener('abort', () => resolve(signal.reason)));
  t.like(await withDeadline(5, caller.signal, untilAbort), { name: 'TimeoutError' });
  const kept: AbortSignal[] = [];
  t.is(await withDeadline(60_000, caller.signal, async (signal) => kept.push(signal)), 1);
  const call = withDeadline(60_000, caller.signal, untilAbort);
  caller.abort(reason);
  t.is(await call, reason);
  t.false(kept[0]?.aborted);
  await t.throwsAsync(
    withDeadline(60_000, new AbortController().signal, () => Promise.reject(reason)),
    { is: reason },
  );
});
