import { Agent, fetch } from 'undici';

/** The account that Debian's schema makes. */
const administrator = { username: 'admin', password: 'password' };

export interface Answer {
  readonly status: number;
  readonly body: string;
}

/** The administration API, as an administrator with a session cookie uses it. */
export class Admin {
  readonly #origin: string;
  readonly #dispatcher: Agent;
  #session: { readonly cookie: string; readonly until: number } | undefined;

  constructor(origin: string, caPem: string) {
    this.#origin = origin;
    this.#dispatcher = new Agent({ connect: { ca: caPem } });
  }

  async isReady(): Promise<boolean> {
    return (await this.request('GET', '/config')).status === 200;
  }

  async get<T>(path: string): Promise<T> {
    return JSON.parse((await this.#call('GET', path)).body) as T;
  }

  async post(path: string, body: unknown): Promise<void> {
    await this.#call('POST', path, body);
  }

  async put(path: string, body: unknown): Promise<void> {
    await this.#call('PUT', path, body);
  }

  async delete(path: string): Promise<void> {
    await this.#call('DELETE', path);
  }

  /** Any request to the server, without an opinion about the answer. */
  async request(
    method: string,
    path: string,
    options: { readonly headers?: Readonly<Record<string, string>>; readonly body?: string } = {},
  ): Promise<Answer & { readonly cookies: readonly string[] }> {
    const answer = await fetch(`${this.#origin}${path}`, {
      method,
      headers: { ...options.headers },
      ...(options.body === undefined ? {} : { body: options.body }),
      dispatcher: this.#dispatcher,
      redirect: 'error',
    });
    return { status: answer.status, body: await answer.text(), cookies: answer.headers.getSetCookie() };
  }

  close(): Promise<void> {
    return this.#dispatcher.destroy();
  }

  async #call(method: string, path: string, body?: unknown): Promise<Answer> {
    const answer = await this.request(method, `/api${path}`, {
      headers: { cookie: await this.#login(), 'content-type': 'application/json' },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
    if (answer.status >= 300) throw new Error(`${method} /api${path}: ${answer.status} ${answer.body.slice(0, 500)}`);
    return answer;
  }

  /** A password is good for the scope `g_admin` for ten minutes. */
  async #login(): Promise<string> {
    if (this.#session !== undefined && Date.now() < this.#session.until) return this.#session.cookie;
    const { status, cookies } = await this.request('POST', '/api/auth/', {
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify(administrator),
    });
    const cookie = cookies[0]?.split(';')[0];
    if (status !== 200 || cookie === undefined) throw new Error(`the administrator cannot log in: ${status}`);
    this.#session = { cookie, until: Date.now() + 5 * 60_000 };
    return cookie;
  }
}
