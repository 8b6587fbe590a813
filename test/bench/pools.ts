import { eventually } from '#test/support/eventually.ts';
import type { Api } from './api.ts';

/** Of the status of a pool, what benchmarks wait for. */
export interface PoolStatus {
  readonly credential?: { readonly generation: number };
  readonly conditions?: readonly { readonly type: string; readonly message: string; readonly status: string }[];
}

export const poolsPath = '/apis/ci-identity.dev/v1alpha1/identitypools';

/** The status of every pool by name, as a watch tells it: listing a thousand of them again and again would be a load of its own. */
export function watchPools(admin: Api, signal: AbortSignal): ReadonlyMap<string, PoolStatus> {
  const pools = new Map<string, PoolStatus>();
  void (async () => {
    for await (const { object } of admin.watch(`${poolsPath}?watch=1`, signal))
      pools.set(object.metadata.name, (object as { readonly status?: PoolStatus }).status ?? {});
  })();
  return pools;
}

export async function all(
  pools: ReadonlyMap<string, PoolStatus>,
  names: readonly string[],
  log: (line: string) => void,
  what: string,
  holds: (status: PoolStatus) => boolean,
): Promise<void> {
  let said = 0;
  await eventually(
    `every pool has ${what}`,
    async () => {
      const there = names.filter((name) => holds(pools.get(name) ?? {})).length;
      if (there >= said + names.length / 5) log(`${(said = there)} of ${names.length} pools have ${what}`);
      return there === names.length ? true : undefined;
    },
    { timeoutMs: 900_000, everyMs: 50 },
  );
}

/** No rotation is under way. */
export function isAtRest({ conditions }: PoolStatus): boolean {
  const current = conditions?.find(({ type }) => type === 'CredentialCurrent');
  return current?.status === 'True' && current.message.endsWith('a proven credential mints.');
}
