/** One thing that is told of a client: an audit line, and an event. */
import type { Reason } from '../../api/reasons.ts';

export interface Telling {
  /**
   * `Planned`: made and stored; `Activated`: proven, it mints; `Drained`: no token of it is left; `Retired`: gone at the provider and
   * refused; `RolledBack`: it never came to work; `Completed`: a request to revoke was carried out; `Restored`: the record was damaged;
   * `Acknowledged`: what may be left at the provider is dealt with; `Deregistered`: the record goes, and something may be left there, or the provider only said that it deleted the client;
   * `Updated`: a change of the client cost it its secret, or was answered with one that does not work.
   */
  readonly step:
    | 'Planned'
    | 'Activated'
    | 'Drained'
    | 'Retired'
    | 'RolledBack'
    | 'Completed'
    | 'Restored'
    | 'Acknowledged'
    | 'Deregistered'
    | 'Updated';
  readonly generation: number;
  readonly reason: Reason;
  readonly good: boolean;
  readonly message: string;
}
