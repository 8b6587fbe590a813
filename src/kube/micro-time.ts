import { type Instant, toRfc3339 } from '../clock.ts';

/** Kubernetes' `MicroTime`: RFC 3339 in UTC with six digits, `2026-11-24T12:00:00.123000Z`. */
export function microTime(t: Instant): string {
  return toRfc3339(t).replace('Z', `.${String(t % 1_000).padStart(3, '0')}000Z`);
}
