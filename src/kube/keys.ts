import type { ApiConnection } from './connection.ts';
import { get, kinds } from './resources.ts';

type Data = Readonly<Record<string, string>>;

export interface SecretContent {
  readonly type: string;
  readonly data: Data;
  readonly annotations: Data;
}

/** The keys of a Secret as text; `undefined` when it does not exist. The values are secrets: they go nowhere but into a `Redacted`. */
export async function readSecret(
  connection: ApiConnection,
  place: { readonly namespace: string; readonly name: string },
  signal: AbortSignal,
): Promise<Data | undefined> {
  return (await readAnnotatedSecret(connection, place, signal))?.data;
}

/** The same with the Secret's type and annotations. */
export async function readAnnotatedSecret(
  connection: ApiConnection,
  place: { readonly namespace: string; readonly name: string },
  signal: AbortSignal,
): Promise<SecretContent | undefined> {
  const secret = await get<{
    readonly type?: string;
    readonly data?: Data;
    readonly metadata: { readonly annotations?: Data };
  }>(connection, kinds.secrets, place, { signal });
  if (secret === undefined) return undefined;
  const decoded = Object.entries(secret.data ?? {}).map(([key, value]) => [
    key,
    Buffer.from(value, 'base64').toString('utf8'),
  ]);
  const data = Object.fromEntries(decoded) as Data;
  return { type: secret.type ?? 'Opaque', data, annotations: secret.metadata.annotations ?? {} };
}

/** The keys of a ConfigMap; `undefined` when it does not exist. */
export async function readConfigMap(
  connection: ApiConnection,
  place: { readonly namespace: string; readonly name: string },
  signal: AbortSignal,
): Promise<Data | undefined> {
  const configMap = await get<{ readonly data?: Data }>(connection, kinds.configMaps, place, { signal });
  return configMap === undefined ? undefined : (configMap.data ?? {});
}
