import type { Condition } from '../../api/meta.ts';

/**
 * The condition whose change is worth an event: the summary, or whether the provider lets us in. Where it stops doing so both change, and
 * only the latter names the likely cause and the next step. `undefined`: neither changed.
 */
export function changeToTell(before: readonly Condition[], now: readonly Condition[]): Condition | undefined {
  const ready = changed('Ready', before, now);
  const authenticating = changed('Authenticating', before, now);
  const isNew = !before.some(({ type }) => type === 'Authenticating');
  if (authenticating === undefined || (isNew && authenticating.status === 'True')) return ready;
  if (authenticating.status === 'True') return ready ?? authenticating;
  return authenticating;
}

function changed(type: string, before: readonly Condition[], now: readonly Condition[]): Condition | undefined {
  const [old, next] = [before, now].map((all) => all.find((condition) => condition.type === type));
  return next?.reason === old?.reason && next?.status === old?.status ? undefined : next;
}
