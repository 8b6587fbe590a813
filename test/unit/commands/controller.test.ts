import test from 'ava';
import { runController } from '#src/commands/controller.ts';
import { surface } from './surface.ts';

test('a namespace that the admission policies do not name: the program does not start, and says why', async (t) => {
  const seen = surface();
  const code = await runController(['--namespace=elsewhere', '--config=manifests/none.yaml'], seen.surface);
  t.is(code, 2);
  t.regex(
    seen.complained(),
    /--namespace must be ci-identity-system, not elsewhere: .* ci-identity-system\/controller$/m,
  );
});
