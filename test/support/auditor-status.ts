/** What the status of every object must say. */
import type { Facts } from './auditor-facts.ts';

/** What people are shown: everything ready, nothing on its way out. */
export function statusFindings({ pools, identities, policies }: Facts, away: boolean, broken: string[]): void {
  const all = [
    ['pool', 'Ready', pools] as const,
    ['identity', 'Ready', identities] as const,
    ['policy', 'Valid', policies] as const,
  ];
  for (const [what, type, objects] of all) {
    for (const { metadata, status } of objects) {
      const condition = status?.conditions?.find((one) => one.type === type);
      if (metadata.deletionTimestamp !== undefined) broken.push(`${what} ${metadata.name} is on its way out`);
      else if (
        condition?.status !== 'True' &&
        !(away && what === 'pool' && condition?.reason === 'ProviderUnavailable')
      )
        broken.push(`${what} ${metadata.name} is not ${type}: ${condition?.message ?? 'no condition'}`);
    }
  }
}

/** Every object has been looked at as it is now. */
export function observedFindings({ pools, identities, policies }: Facts, broken: string[]): void {
  for (const { metadata, status } of [...pools, ...identities, ...policies])
    if (status?.observedGeneration !== metadata.generation)
      broken.push(`the status of ${metadata.name} is about generation ${status?.observedGeneration}`);
}
