import { Agent, fetch } from 'undici';

/** The administration API, as an administrator of the realm `master` uses it. */
export class Admin {
  readonly #origin: string;
  readonly #dispatcher: Agent;
  readonly #administrator: { readonly username: string; readonly password: string };
  #token: { readonly value: string; readonly until: number } | undefined;

  constructor(origin: string, caPem: string, administrator: { readonly username: string; readonly password: string }) {
    this.#origin = origin;
    this.#dispatcher = new Agent({ connect: { ca: caPem } });
    this.#administrator = administrator;
  }

  async isReady(): Promise<boolean> {
    const { status } = await this.request('GET', '/realms/master/.well-known/openid-configuration');
    return status === 200;
  }

  get<T>(path: string): Promise<T> {
    return this.#call('GET', path) as Promise<T>;
  }

  /** The answer's body, or the id at the end of `Location` where it has none. */
  post(path: string, body: unknown): Promise<unknown> {
    return this.#call('POST', path, body);
  }

  async put(path: string, body?: unknown): Promise<void> {
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
  ): Promise<{ readonly status: number; readonly location?: string; readonly body: string }> {
    const answer = await fetch(`${this.#origin}${path}`, {
      method,
      headers: { ...options.headers },
      ...(options.body === undefined ? {} : { body: options.body }),
      dispatcher: this.#dispatcher,
      redirect: 'error',
    });
    const location = answer.headers.get('location');
    return { status: answer.status, body: await answer.text(), ...(location === null ? {} : { location }) };
  }

  close(): Promise<void> {
    return this.#dispatcher.destroy();
  }

  async #call(method: string, path: string, body?: unknown): Promise<unknown> {
    const answer = await this.request(method, `/admin${path}`, {
      headers: { authorization: `Bearer ${await this.#login()}`, 'content-type': 'application/json' },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
    if (answer.status >= 300) throw new Error(`${method} /admin${path}: ${answer.status} ${answer.body.slice(0, 500)}`);
    return answer.body === '' ? answer.location?.split('/').at(-1) : JSON.parse(answer.body);
  }

  /** Tokens of `admin-cli` live for a minute. */
  async #login(): Promise<string> {
    if (this.#token !== undefined && Date.now() < this.#token.until) return this.#token.value;
    const form = { grant_type: 'password', client_id: 'admin-cli', ...this.#administrator };
    const { status, body } = await this.request('POST', '/realms/master/protocol/openid-connect/token', {
      headers: { 'content-type': 'application/x-www-form-urlencoded' },
      body: new URLSearchParams(form).toString(),
    });
    if (status !== 200) throw new Error(`the administrator cannot log in: ${status} ${body.slice(0, 200)}`);
    const { access_token: value } = JSON.parse(body) as { access_token: string };
    this.#token = { value, until: Date.now() + 30_000 };
    return value;
  }
}
