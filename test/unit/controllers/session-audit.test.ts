import test from 'ava';
import { Memory } from '#src/controllers/memory.ts';
import { SessionAudit } from '#src/controllers/session-audit.ts';
import { type AuditFacts, AuditLog } from '#src/telemetry/audit.ts';
import { buildLiveSnapshot, buildSessionRecord } from '#test/support/builders.ts';
import { VirtualClock } from '#test/support/virtual-clock.ts';

const table: readonly (readonly [event: AuditFacts['event'], lines: number])[] = [
  ['Expired', 1],
  ['Forbidden', 1],
  // The provider was asked each time.
  ['Revoked', 3],
];

for (const [event, lines] of table) {
  test(`${event}, and its record can be stored at the third attempt only: ${lines} lines, and one more for another record`, (t) => {
    const clock = new VirtualClock();
    const written: string[] = [];
    const log = new AuditLog({ write: (line) => void written.push(line), clock });
    const audit = new SessionAudit(log, new Memory('ci-identity-system'), clock);
    const facts: AuditFacts = { event, outcome: 'Success', reason: 'PodOver', token_sha256: 'a1' };
    const s = buildLiveSnapshot();
    for (let attempt = 0; attempt < 3; attempt += 1) audit.record('ns/pod/uid/publisher', s, facts);
    t.is(written.length, lines);
    audit.record('ns/pod/uid/publisher', s, { ...facts, token_sha256: 'b2' });
    t.is(written.length, lines + 1, 'another token');
    audit.record('ns/pod/uid/publisher', buildLiveSnapshot({ record: buildSessionRecord() }), facts);
    t.is(written.length, lines + 2, 'the record was changed meanwhile');
  });
}
