import { eventually } from './eventually.ts';

/**
 * Waits until the API server serves these kinds (`crd/…`, or `crd --all`). `kubectl wait` alone fails on a definition that is so young that its
 * status has no conditions yet.
 */
export async function established(
  kubectl: (args: readonly string[]) => Promise<unknown>,
  ...kinds: readonly string[]
): Promise<void> {
  await eventually('the kinds are established', async () => {
    await kubectl(['wait', '--for=condition=Established', '--timeout=60s', ...kinds]);
    return true;
  });
}
