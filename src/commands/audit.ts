import { verifyChain } from '../telemetry/audit.ts';

/** `audit verify`: exit code 0 and a summary when every chain is whole, otherwise 1 and the first broken line. */
export function verifyAudit(text: string): { readonly code: number; readonly text: string } {
  const verdict = verifyChain(text.split('\n'));
  return verdict.is === 'Whole'
    ? { code: 0, text: `${verdict.lines} lines of ${verdict.processes} processes, every chain whole\n` }
    : { code: 1, text: `${verdict.message}\n` };
}
