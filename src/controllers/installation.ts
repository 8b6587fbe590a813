import { type Clock, plus, second } from '../clock.ts';
import { installationId } from '../domain/client/target.ts';
import { OperatorError } from '../errors.ts';
import type { ApiConnection } from '../kube/connection.ts';
import { get, kinds } from '../kube/resources.ts';
import type { Logger } from '../telemetry/logger.ts';

/** Names this installation at providers, by the uid of namespace kube-system. Waits for the API server; ends only with `stop`. */
export async function readInstallation(
  o: { readonly connection: ApiConnection; readonly namespace: string; readonly clock: Clock; readonly logger: Logger },
  stop: AbortSignal,
): Promise<string> {
  for (;;) {
    try {
      const found = await get(o.connection, kinds.namespaces, { name: 'kube-system' }, { signal: stop });
      if (found?.metadata.uid !== undefined) return installationId(found.metadata.uid, o.namespace);
    } catch (error) {
      if (stop.aborted || !(error instanceof OperatorError)) throw error;
      o.logger.warn('namespace kube-system cannot be read; its uid names this installation', { error });
    }
    await o.clock.sleepUntil(plus(o.clock.now(), second), stop);
  }
}
