/** oidc-provider ships no types; this is what the test server uses of it. */
declare module 'oidc-provider' {
  import type { IncomingMessage, ServerResponse } from 'node:http';

  export interface ProviderContext {
    readonly req: IncomingMessage;
    readonly res: ServerResponse;
    readonly path: string;
    readonly method: string;
    status: number;
    body: unknown;
    respond: boolean;
    set(name: string, value: string): void;
    get(name: string): string;
  }

  export interface Saved {
    save(): Promise<string>;
    destroy(): Promise<void>;
  }

  export interface IssuedToken {
    readonly clientId: string;
    readonly scope?: string;
    readonly aud?: string | readonly string[];
    readonly exp?: number;
    readonly jti?: string;
  }

  export default class Provider {
    constructor(issuer: string, configuration: Readonly<Record<string, unknown>>);
    readonly InitialAccessToken: { new (payload: object): Saved; find(value: string): Promise<Saved | undefined> };
    readonly RegistrationAccessToken: { new (payload: object): Saved };
    readonly Client: { find(id: string): Promise<object | undefined> };
    proxy: boolean;
    /** Koa's: connections that break are not printed. */
    silent: boolean;
    use(middleware: (ctx: ProviderContext, next: () => Promise<void>) => Promise<void>): void;
    callback(): (request: IncomingMessage, response: ServerResponse) => void;
    on(event: string, listener: (...args: readonly never[]) => void): this;
  }
  export const errors: Readonly<Record<'InvalidTarget' | 'InvalidRequest', new (description?: string) => Error>> & {
    readonly CustomOIDCProviderError: new (error: string, description: string) => Error;
  };
}
