/** Who can mend it: the people who run cluster and operator, the provider, the policies, or the builds. */
export type Mender = 'Platform' | 'Provider' | 'Security' | 'Team';

export interface Remedy {
  /** What usually lies behind it, beyond what the reason says by itself. */
  readonly cause: string;
  readonly step: string;
  readonly by: Mender;
}
