import test from 'ava';
import { instant } from '#src/clock.ts';
import { LostLeaseError, OperatorError, assertNever } from '#src/errors.ts';

test('a failure is of the one object unless it says otherwise, and carries no cause that nobody gave', (t) => {
  const error = new OperatorError({ class: 'Terminal', reason: 'NoRule', message: 'm' });
  t.true(error instanceof Error);
  t.deepEqual(
    [error.name, error.class, error.reason, error.whose, error.retryAt, error.message],
    ['OperatorError', 'Terminal', 'NoRule', 'Object', undefined, 'm'],
  );
  t.false('cause' in error);
});

test('a failure of the issuer keeps its time and its cause', (t) => {
  const cause = new Error('socket');
  const error = new OperatorError({
    class: 'Transient',
    reason: 'RateLimited',
    message: 'm',
    whose: 'Issuer',
    retryAt: instant(5),
    cause,
  });
  t.deepEqual([error.whose, error.retryAt, error.cause], ['Issuer', instant(5), cause]);
});

test('a lost lease is no failure of work', (t) => {
  const error = new LostLeaseError('gone');
  t.is(error.name, 'LostLeaseError');
  t.false((error as Error) instanceof OperatorError);
});

test('assertNever names the value', (t) => {
  t.throws(() => assertNever({ is: 'Odd' } as never), { message: 'unreachable: {"is":"Odd"}' });
});
