import { instant, type Instant, type Milliseconds, minute, plus } from '../clock.ts';

/** Two leaders may differ by less, and by less a clock may go back that is corrected under a running process. */
export const clocksDiffer: Milliseconds = 2 * minute;
/** More than this between our clock and that of the API server or a provider, and nothing is retired; `/readyz` names it. */
const clocksAgreeWithin: Milliseconds = minute;

/**
 * The moment before which everything was minted that is there now: `now`, or right after the youngest token, where a clock that was ahead
 * wrote down when that was minted.
 */
export function revokeMoment(youngest: Instant | undefined, now: Instant): Instant {
  return notLongAfter(now, youngest === undefined ? undefined : plus(youngest, 1));
}

/** When a token is minted, so that it is younger than what somebody asked to revoke: such a moment may be ahead by what clocks differ. */
export function mintMoment(now: Instant, revokeBefore: Instant | undefined): Instant {
  return notLongAfter(now, revokeBefore);
}

/** The moment is further ahead than clocks differ, so a clock that went ahead wrote it down. */
export function isFarAhead(moment: Instant, now: Instant): boolean {
  return moment > plus(now, clocksDiffer);
}

/** Such a moment is as good as never. */
export function asPast(moment: Instant, now: Instant): Instant {
  return isFarAhead(moment, now) ? instant(0) : moment;
}

/** `apiServer` and `provider`: how far theirs are ahead of ours. A witness that was not seen yet does not agree: retiring waits, nothing else does. */
export function clocksAgree(apiServer: Milliseconds | undefined, provider: Milliseconds | undefined): boolean {
  return apiServer !== undefined && provider !== undefined && !clocksDisagree(apiServer, provider);
}

/** `offsets`: how far other clocks are ahead of ours. A witness that was not seen yet does not disagree. */
export function clocksDisagree(...offsets: readonly (Milliseconds | undefined)[]): boolean {
  return offsets.some((offset) => offset !== undefined && Math.abs(offset) > clocksAgreeWithin);
}

function notLongAfter(now: Instant, moment: Instant | undefined): Instant {
  return moment !== undefined && moment > now && !isFarAhead(moment, now) ? moment : now;
}
