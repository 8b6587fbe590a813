import { minute, plus } from '#src/clock.ts';
import type { Instant } from '#src/clock.ts';
import type { Reason } from '#src/api/reasons.ts';
import type { SessionAction, SessionRowName, SessionSnapshot } from '#src/domain/session/machine.ts';
import {
  buildAsk,
  buildClientFacts,
  buildEndedToken,
  buildGranted,
  buildLiveSnapshot,
  buildPod,
  buildSessionRecord,
  buildToken,
  noon,
  omit,
} from '#test/support/builders.ts';

export interface Case {
  readonly row: string;
  readonly title: string;
  readonly s: SessionSnapshot;
  readonly now?: Instant;
  readonly action?: SessionAction['type'];
  readonly tokens?: readonly string[];
  readonly content?: 'Token' | 'Error' | 'Empty';
  readonly error?: Reason;
  readonly predecessor?: 'Superseded' | 'Forbidden';
  readonly lane?: number;
  readonly reason?: Reason;
  readonly recheckAt?: Instant;
}

export const denied = (lasting: boolean): SessionSnapshot['access'] => ({
  is: 'Seen',
  value: { is: 'Denied', lasting, denials: [{ reason: 'NoRule', message: 'No rule grants role publisher here.' }] },
});
/** A typo in the operator's configuration, or a line that somebody took out. */
export const unlisted: SessionSnapshot['access'] = {
  is: 'Seen',
  value: { is: 'Denied', lasting: false, denials: [{ reason: 'IssuerNotConfigured', message: 'Not listed.' }] },
};
export const pod = (overrides: Parameters<typeof buildPod>[0]): SessionSnapshot['pod'] => ({
  is: 'Seen',
  value: buildPod(overrides),
});
export const client = (overrides: Parameters<typeof buildClientFacts>[0]): SessionSnapshot['client'] => ({
  is: 'Seen',
  value: buildClientFacts(overrides),
});
export const ending = (overrides: Partial<SessionSnapshot> = {}): SessionSnapshot =>
  buildLiveSnapshot({ record: buildSessionRecord({ tokens: [buildEndedToken('Forbidden')] }), ...overrides });
export const renewed = (overrides: Partial<SessionSnapshot> = {}): SessionSnapshot =>
  buildLiveSnapshot({
    record: buildSessionRecord({
      tokens: [buildEndedToken('Superseded', { sha256: 'old', minted: plus(noon, -8 * minute) }), buildToken()],
    }),
    ...overrides,
  });
/** A token was narrowed, and its successor is in use. */
export const threeForbidden = buildSessionRecord({
  tokens: [
    buildEndedToken('Forbidden', { sha256: 'a' }),
    buildEndedToken('Forbidden', { sha256: 'b' }),
    buildEndedToken('Forbidden', { sha256: 'c' }),
  ],
});
export const narrowedRecord = buildSessionRecord({
  tokens: [buildEndedToken('Forbidden', { sha256: 'old' }), buildToken()],
});
export const narrowedTo = buildGranted(buildAsk({ scopes: [] }));
export const failed = (
  row: SessionRowName,
  terminal = false,
  reason: Reason = 'ProviderUnavailable',
): Pick<SessionSnapshot, 'failure'> => ({
  failure: { row, terminal, reason, message: 'the provider answers 503', at: noon },
});
export const undeliveredYet = omit(buildLiveSnapshot(), 'delivered');
export const error = (reason: Reason, message: string, fix: string): NonNullable<SessionSnapshot['delivered']> => ({
  digest: 'e',
  content: 'Error',
  at: noon,
  error: { reason, message, fix },
});
export const revocationsPaused = client({ revocationsPaused: true });
