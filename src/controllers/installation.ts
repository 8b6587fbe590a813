import { type Clock, plus, second } from '../clock.ts';
import { installationId } from '../domain/client/target.ts';
import { OperatorError } from '../errors.ts';
import type { ApiConnection } from '../kube/connection.ts';
import { get, kinds } from '../kube/resources.ts';
import type { Logger } from '../telemetry/logger.ts';
import type { Memory } from './memory.ts';

/** Memory learns how this installation is named at providers: by the uid of namespace kube-system. Waits for the API server; ends only with `stop`. */
export async function learnInstallation(
  o: {
    readonly connection: ApiConnection;
    readonly namespace: string;
    readonly clock: Clock;
    readonly logger: Logger;
    readonly memory: Pick<Memory, 'installation'>;
  },
  stop: AbortSignal,
): Promise<void> {
  for (;;) {
    try {
      const found = await get(o.connection, kinds.namespaces, { name: 'kube-system' }, { signal: stop });
      const uid = found?.metadata.uid;
      if (uid !== undefined) {
        o.memory.installation = installationId(uid, o.namespace);
        return;
      }
    } catch (error) {
      if (stop.aborted || !(error instanceof OperatorError)) throw error;
      o.logger.warn('namespace kube-system cannot be read; its uid names this installation', { error });
    }
    await o.clock.sleepUntil(plus(o.clock.now(), second), stop);
  }
}
