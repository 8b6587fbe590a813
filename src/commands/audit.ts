import { verifyChain } from '../telemetry/audit-chain.ts';

/**
 * `audit verify`: exit code 0 and a summary when every chain is whole, otherwise 1 and the first broken line. Torn lines and requests without
 * an outcome are told, because somebody may want to know why, but a killed process is no forgery: the code stays 0.
 */
export function verifyAudit(text: string): { readonly code: number; readonly text: string } {
  const verdict = verifyChain(text.split('\n'));
  if (verdict.is === 'Broken') return { code: 1, text: `${verdict.message}\n` };
  const notes = [
    `${verdict.lines} lines of ${verdict.processes} processes, every chain whole`,
    ...verdict.torn.map(
      (line) =>
        `line ${line} is torn: its process was killed or could not write; what it says did not happen or is repeated`,
    ),
    ...verdict.unanswered.map(
      ({ line, session }) =>
        `line ${line}: the token request of session ${session} has no outcome; a token may live unseen until it expires`,
    ),
  ];
  return { code: 0, text: `${notes.join('\n')}\n` };
}
