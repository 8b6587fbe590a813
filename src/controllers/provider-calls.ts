import type { Reason } from '../api/reasons.ts';
import { OperatorError } from '../errors.ts';
import type { ClientRegistry, IdentityProvider, TokenSource } from '../providers/port.ts';

export interface CallCounter {
  /** Awaited before every call: it may have to wait for the others of its issuer. */
  readonly awaitTurn: (signal: AbortSignal) => Promise<void>;
  /** Told of every call when it has ended: `Done` or the reason of its failure. */
  readonly ended: (operation: string, outcome: string) => void;
}

/** Reasons that say: the provider does not accept a credential of ours. */
export const refusals: ReadonlySet<string> = new Set<Reason>([
  'CredentialRefused',
  'RegistrationCredentialRefused',
  'RegistrationAccessTokenLost',
]);

/** The same provider, with every call counted. */
export function counted(provider: IdentityProvider, count: CallCounter): IdentityProvider {
  const { clients, tokens } = provider;
  return {
    get capabilities() {
      return provider.capabilities;
    },
    ...(clients === undefined ? {} : { clients: countedClients(clients, count) }),
    ...(tokens === undefined ? {} : { tokens: countedTokens(tokens, count) }),
  };
}

function countedClients(clients: ClientRegistry, count: CallCounter): ClientRegistry {
  return {
    observe: (...call) => seen('Observe', count, call, () => clients.observe(...call)),
    register: (...call) => seen('Register', count, call, () => clients.register(...call)),
    update: (...call) => seen('Update', count, call, () => clients.update(...call)),
    deregister: (...call) => seen('Deregister', count, call, () => clients.deregister(...call)),
  };
}

function countedTokens(tokens: TokenSource, count: CallCounter): TokenSource {
  const introspect = tokens.introspect?.bind(tokens);
  return {
    ...(introspect === undefined
      ? {}
      : { introspect: (...call) => seen('Introspect', count, call, () => introspect(...call)) }),
    mint: (...call) => seen('Mint', count, call, () => tokens.mint(...call)),
    revoke: (...call) => seen('Revoke', count, call, () => tokens.revoke(...call)),
  };
}

/** The signal is the last argument of every operation. */
async function seen<T>(
  operation: string,
  count: CallCounter,
  args: readonly [...unknown[], AbortSignal],
  call: () => Promise<T>,
): Promise<T> {
  await count.awaitTurn(args[args.length - 1] as AbortSignal);
  try {
    const answer = await call();
    count.ended(operation, 'Done');
    return answer;
  } catch (error) {
    count.ended(operation, error instanceof OperatorError ? error.reason : 'InternalError');
    throw error;
  }
}
