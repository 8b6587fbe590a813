import { readFileSync, renameSync, writeFileSync } from 'node:fs';
import type { ProviderContext } from 'oidc-provider';

interface Entry {
  readonly model: string;
  readonly id: string;
  readonly payload: Readonly<Record<string, unknown>>;
  /** Epoch milliseconds; absent: never. */
  readonly expires?: number;
}

/** What oidc-provider keeps, in memory without a limit, and in one JSON file where a name is given. */
export class Store {
  readonly #entries = new Map<string, Entry>();
  /** Everything that was ever kept; for auditors. */
  readonly #ever: Entry[] = [];
  readonly #deleted: { readonly model: string; readonly id: string; readonly at: number }[] = [];
  readonly #file: string | undefined;

  constructor(file?: string) {
    this.#file = file;
    if (file === undefined) return;
    try {
      for (const entry of JSON.parse(readFileSync(file, 'utf8')) as Entry[])
        this.#entries.set(`${entry.model}:${entry.id}`, entry);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
    }
  }

  /** Live entries of one model. */
  list(model: string): readonly Entry[] {
    const now = Date.now();
    return [...this.#entries.values()].filter((e) => e.model === model && (e.expires === undefined || e.expires > now));
  }

  /** Every version of every entry that there ever was in this process, deleted ones too. */
  ever(): readonly Entry[] {
    return this.#ever;
  }

  get(model: string, id: string): Entry | undefined {
    const entry = this.#entries.get(`${model}:${id}`);
    return entry?.expires !== undefined && entry.expires <= Date.now() ? undefined : entry;
  }

  put(entry: Entry): void {
    this.#ever.push(entry);
    this.#entries.set(`${entry.model}:${entry.id}`, entry);
    this.#save();
  }

  delete(model: string, id: string): void {
    if (!this.#entries.delete(`${model}:${id}`)) return;
    this.#deleted.push({ model, id, at: Date.now() });
    this.#save();
  }

  /** What was deleted before it expired, and when. */
  deleted(model: string): readonly { readonly id: string; readonly at: number }[] {
    return this.#deleted.filter((entry) => entry.model === model);
  }

  #save(): void {
    if (this.#file === undefined) return;
    writeFileSync(`${this.#file}.new`, JSON.stringify([...this.#entries.values()]), { mode: 0o600 });
    renameSync(`${this.#file}.new`, this.#file);
  }

  /** The adapter class that oidc-provider asks for: one instance per model. */
  adapter(): (model: string) => object {
    return (model) => ({
      upsert: async (id: string, payload: Record<string, unknown>, expiresIn?: number) => {
        this.put({
          model,
          id,
          payload,
          ...(expiresIn === undefined ? {} : { expires: Date.now() + expiresIn * 1_000 }),
        });
      },
      find: async (id: string) => this.get(model, id)?.payload,
      findByUid: async () => undefined,
      findByUserCode: async () => undefined,
      destroy: async (id: string) => this.delete(model, id),
      consume: async () => undefined,
      revokeByGrantId: async () => undefined,
    });
  }
}

/** Koa middleware that has the secret of each new client expire, as oidc-provider itself does not. */
export function expiringSecrets(store: Store, seconds: number) {
  return async (ctx: ProviderContext, next: () => Promise<void>): Promise<void> => {
    await next();
    const { client_id: id, client_secret: secret } = (ctx.body ?? {}) as Readonly<Record<string, unknown>>;
    const entry = ctx.status === 201 && typeof id === 'string' ? store.get('Client', id) : undefined;
    if (entry === undefined || secret === undefined) return;
    const client_secret_expires_at = Math.floor(Date.now() / 1_000) + seconds;
    store.put({ ...entry, payload: { ...entry.payload, client_secret_expires_at } });
    ctx.body = { ...(ctx.body as object), client_secret_expires_at };
  };
}
