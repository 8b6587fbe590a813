/** What becomes of a token whose record is not stored. */
import test from 'ava';
import { minute, systemClock } from '#src/clock.ts';
import { recordNameOf } from '#src/controllers/session/key.ts';
import { Minter, type MinterOptions } from '#src/controllers/session/mint.ts';
import { OperatorError } from '#src/errors.ts';
import { Redacted } from '#src/redacted.ts';
import { Effects } from '#src/runtime/effect.ts';
import type { AuditFacts } from '#src/telemetry/audit.ts';
import { buildAsk, buildKey, buildSessionSnapshot } from '#test/support/builders.ts';
import { VirtualClock } from '#test/support/virtual-clock.ts';

const away = new OperatorError({ class: 'Transient', reason: 'ApiServerUnavailable', message: 'no answer' });
const full = new OperatorError({ class: 'Waiting', reason: 'QuotaExceeded', message: 'raise it' });
const down = new OperatorError({ class: 'Transient', reason: 'ProviderUnavailable', message: 'down', whose: 'Issuer' });

interface Row {
  readonly title: string;
  /** How each write of the record ends; the last one again and again. */
  readonly writes: readonly (OperatorError | 'Stored')[];
  readonly revocation?: 'Confirmed' | 'NotSupported' | OperatorError;
  /** A watch shows the record although no answer did. */
  readonly turnsUp?: true;
  readonly isRevoked: boolean;
  readonly told: string;
  /** Known to be dead, should its record turn up. */
  readonly isKnownDead?: true;
}

const rows: readonly Row[] = [
  { title: 'stored at the second try', writes: [away, 'Stored'], isRevoked: false, told: 'Requested Minted' },
  {
    title: 'not stored for a minute: revoked',
    writes: [away],
    isRevoked: true,
    told: 'Requested Minted Discarded',
    isKnownDead: true,
  },
  {
    title: 'not stored for a minute, as far as answers say',
    writes: [away],
    turnsUp: true,
    isRevoked: false,
    told: 'Requested Minted',
  },
  {
    title: 'not stored for a minute, and the provider cannot revoke: should its record turn up it is good',
    writes: [away],
    revocation: 'NotSupported',
    isRevoked: true,
    told: 'Requested Minted',
  },
  {
    title: 'not stored for a minute, and the provider is away',
    writes: [away],
    revocation: down,
    isRevoked: true,
    told: 'Requested Minted',
  },
  {
    title: 'refused: revoked at once',
    writes: [full],
    isRevoked: true,
    told: 'Requested Minted Discarded',
    isKnownDead: true,
  },
  {
    title: 'refused, and the provider is away: in no record, and nobody has it',
    writes: [full],
    revocation: down,
    isRevoked: true,
    told: 'Requested Minted Discarded',
  },
];

for (const { title, writes, revocation = 'Confirmed', turnsUp, isRevoked, told, isKnownDead } of rows)
  test(`a minted token: ${title}`, async (t) => {
    const clock = new VirtualClock();
    const lines: string[] = [];
    const answered = new Map<string, ReadonlyMap<string, string>>();
    let [tries, revoked] = [0, 0];
    const provider = {
      capabilities: { ignoredScopes: [], carrierScopes: () => [], revocation: 'Immediate' },
      tokens: {
        mint: () =>
          Promise.resolve({
            value: new Redacted('token'),
            sha256: 'a'.repeat(64),
            tokenType: 'Bearer',
            scopes: buildAsk().scopes,
            expiresIn: 600,
          }),
        revoke: () => {
          revoked += 1;
          return revocation instanceof OperatorError ? Promise.reject(revocation) : Promise.resolve(revocation);
        },
      },
    };
    const minter = new Minter({
      memory: {
        answered,
        identity: () => ({ is: 'Seen', value: { spec: { pool: 'ci-bots', roles: [] } } }),
        pool: () => ({ is: 'Seen', value: { metadata: { name: 'ci-bots', uid: 'u' }, spec: { ceiling: {} } } }),
        holdsToken: () => turnsUp === true && tries > 1,
        reserve: () => true,
        release: () => undefined,
      },
      reviews: { allowed: () => Promise.resolve(true) },
      records: {
        write: () => {
          const end = writes[Math.min(tries, writes.length - 1)];
          tries += 1;
          return end instanceof OperatorError ? Promise.reject(end) : Promise.resolve();
        },
      },
      effects: new Effects({ clock: systemClock, held: () => true }),
      audit: { record: (_key: string, _s: unknown, { event }: AuditFacts) => void lines.push(event) },
      auditTrouble: () => undefined,
      metrics: { count: () => undefined, observe: () => undefined },
      clock,
      providerOf: () => provider,
      credentialOf: () => buildKey(),
      askDoubted: () => Promise.resolve(),
    } as unknown as MinterOptions);
    const s = buildSessionSnapshot();
    t.truthy(recordNameOf(s));
    const action = { type: 'Mint', ask: buildAsk(), hash: 'h', predecessor: 'Superseded' } as const;
    const outcome = minter.mint('key', s, action, 'NewPod', new AbortController().signal).then(
      () => 'Stored',
      (error: unknown) => error,
    );
    await clock.advance(2 * minute);
    t.is(await outcome, writes.at(-1));
    t.is(revoked, isRevoked ? 1 : 0);
    t.is(lines.join(' '), told);
    t.is(answered.get('key')?.get('a'.repeat(64)), isKnownDead === true ? 'Confirmed' : undefined);
  });
