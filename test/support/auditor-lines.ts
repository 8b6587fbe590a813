/** What the audit streams must say of everything that the auditor sees. */
import { type AuditLine, type Facts, type Raw, sha256 } from './auditor-facts.ts';

export const births: readonly string[] = ['Minted', 'Renewed', 'Narrowed'];

/** The lines of one process. A last line that is cut short is none; everything else must be numbered and chained without a gap. */
export function chain(stream: string, broken: string[]): readonly AuditLine[] {
  const texts = stream.split('\n');
  texts.pop();
  let previous = '0'.repeat(64);
  const lines: AuditLine[] = [];
  for (const [index, text] of texts.entries()) {
    const line = JSON.parse(text) as AuditLine;
    if (line.seq !== index || line.previous !== previous || line.process_id !== (lines[0] ?? line).process_id)
      broken.push(`audit line ${index} of process ${line.process_id} is out of its chain`);
    previous = sha256(text);
    lines.push(line);
  }
  return lines;
}

/** Every token of a session that came to life, is held or was revoked has its line. */
export function lineFindings(
  { sessions, lines }: Facts,
  revoked: readonly { readonly sha256: string }[],
  broken: string[],
): void {
  const told = (...events: readonly string[]): ReadonlySet<string> =>
    new Set(
      lines.flatMap(({ event, token_sha256: hash }) => (hash !== undefined && events.includes(event) ? [hash] : [])),
    );
  const [born, ended] = [told(...births), told('Revoked', 'Discarded', 'Expired')];
  for (const { tokens } of sessions.values())
    for (const { sha256: hash } of tokens)
      if (!born.has(hash)) broken.push(`token ${hash} is held, and no audit line says whence`);
  for (const { event, reason, token_sha256: hash } of lines) {
    if (hash === undefined || (event !== 'Revoked' && event !== 'Expired')) continue;
    if (reason === 'Superseded' || reason === 'Expired') continue;
    if (!lines.some((line) => line.event === 'Forbidden' && line.token_sha256 === hash && line.reason === reason))
      broken.push(`audit line ${event} of token ${hash} says ${reason}, and no line Forbidden says so`);
  }
  for (const { sha256: hash } of revoked)
    if (born.has(hash) && !ended.has(hash) && !isNoticed(lines, hash))
      broken.push(`token ${hash} was revoked, and no audit line says so`);
}

/** Every client that was registered or deregistered, and every credential that the provider was told of, has its line. */
export function callFindings({ clients, lines }: Facts, deregistered: readonly string[], broken: string[]): void {
  const says = (event: string, clientId: string | undefined, n?: number): boolean =>
    lines.some(
      (line) =>
        line.event === event &&
        line.outcome === 'Success' &&
        line.client_id === clientId &&
        (n === undefined || line.generation === n),
    );
  for (const [name, { generations }] of clients)
    for (const { n, clientId, state } of generations) {
      if (state === 'Planned') continue;
      if (!says('Registered', clientId))
        broken.push(`client ${clientId} of ${name} is there, and no audit line says Registered`);
      if (!says('Registered', clientId, n) && !says('Updated', clientId, n))
        broken.push(`the provider knows generation ${n} of ${name}, and no audit line says since when`);
    }
  for (const clientId of deregistered)
    if (!says('Deregistered', clientId))
      broken.push(`client ${clientId} was deleted, and no audit line says Deregistered`);
}

/** A process that lives on says what became of a request before it makes the next one for the same session. */
export function outcomeFindings({ lines }: Facts, broken: string[]): void {
  const open = new Set<string>();
  for (const { event, session_id: session, process_id: process } of lines) {
    const key = `${process} ${session}`;
    if (session === undefined) continue;
    if (event === 'Requested' && open.has(key))
      broken.push(`session ${session}: a token was requested, and no audit line says what became of that`);
    if (event === 'Requested') open.add(key);
    else if (births.includes(event) || event === 'Discarded' || event === 'Failed') open.delete(key);
  }
}

/** Somebody else revoked it, and that was found out. */
function isNoticed(lines: readonly AuditLine[], hash: string): boolean {
  return lines.some(({ event, token_sha256: token }) => event === 'Noticed' && token === hash);
}

/** What the lines say of tokens that replace each other, and of stops, is the whole of it. */
export function taleFindings(facts: Facts, broken: string[]): void {
  const processes = Map.groupBy(facts.lines, ({ process_id: process }) => process);
  for (const lines of processes.values())
    for (const tale of Map.groupBy(lines, ({ session_id: session }) => session).values()) replaced(tale, broken);
  for (const { sha256: hash, scopes } of facts.live) {
    const birth = facts.lines.find((line) => line.token_sha256 === hash && births.includes(line.event));
    if (birth !== undefined && birth.scopes?.toSorted().join() !== scopes.toSorted().join())
      broken.push(`token ${hash} has the scopes ${scopes.join(' ')}, and its line says ${birth.scopes?.join(' ')}`);
  }
  const leader = facts.lines.find(({ event, message }) => event === 'Started' && message === `epoch ${facts.epoch}`);
  if (leader !== undefined) stopFindings(facts, processes.get(leader.process_id) ?? [], broken);
}

/**
 * The lines of one process about one session. A token that was delivered and is replaced by one that cannot do as much was forbidden, and the
 * new one says that it is narrower; one that was replaced as it should be has its successor.
 */
function replaced(tale: readonly AuditLine[], broken: string[]): void {
  const dead = new Set<string>();
  const undone = new Set(tale.filter(({ event }) => event === 'Discarded').map((line) => line.token_sha256));
  const forbidden = new Set(tale.filter(({ event }) => event === 'Forbidden').map((line) => line.token_sha256));
  let born: AuditLine | undefined;
  let held: AuditLine | undefined;
  for (const line of tale) {
    const { event, reason, token_sha256: hash } = line;
    if (hash === undefined || undone.has(hash)) continue;
    if (births.includes(event)) {
      const before = held !== undefined && dead.has(held.token_sha256 ?? '') ? undefined : held;
      const lost = [...(before?.scopes ?? []), ...(before?.audiences ?? [])].filter(
        (one) => line.scopes?.includes(one) !== true && line.audiences?.includes(one) !== true,
      );
      if (before !== undefined && lost.length > 0 && event !== 'Narrowed')
        broken.push(
          `token ${hash} was ${event} in place of one with ${lost.join(' ')} as well, and no line says Narrowed`,
        );
      if (before !== undefined && event === 'Narrowed' && line !== tale.at(-1) && !forbidden.has(before.token_sha256))
        broken.push(`token ${before.token_sha256} was replaced by a narrower one, and no line says Forbidden`);
      born = line;
    }
    if (event === 'Delivered' && born?.token_sha256 === hash) held = born;
    if (event === 'Revoked' && reason === 'Superseded' && held?.token_sha256 === hash)
      broken.push(`token ${hash} was revoked as Superseded, and nothing was delivered in its place`);
    if (/^(Forbidden|Revoked|Expired)$/.test(event)) dead.add(hash);
  }
}

const stop = 'ci-identity.dev/emergency-stop';

/** Whatever is stopped now, the one who leads has said so, as often as there are reasons, and it has not said that it is over. */
function stopFindings(
  { pools, identities, namespaces, configMaps }: Facts,
  lines: readonly AuditLine[],
  broken: string[],
): void {
  const said = new Map<string, Set<string>>();
  const place = (...names: readonly (string | undefined)[]): string => names.map((name) => name ?? '').join('/');
  for (const { event, pool, namespace, identity, message = '' } of lines) {
    const at = place(pool, namespace, identity);
    const reasons = said.get(at) ?? new Set();
    if (event === 'Halted') said.set(at, reasons.add(message));
    if (event === 'Resumed') reasons.delete(message);
  }
  const expect = (at: string, count: number): void => {
    const told = said.get(at)?.size ?? 0;
    said.delete(at);
    if (told !== count) broken.push(`${count} things stop ${at}, and the lines Halted and Resumed leave ${told}`);
  };
  const reasonsOf = ({ metadata, spec }: Raw): number =>
    (spec?.suspend === true ? 1 : 0) + (metadata.annotations?.[stop] === undefined ? 0 : 1);
  expect(place('', '', ''), configMaps.includes('emergency-stop') ? 1 : 0);
  for (const raw of pools) expect(place(raw.metadata.name, '', ''), reasonsOf(raw));
  for (const raw of namespaces) expect(place('', raw.metadata.name, ''), reasonsOf(raw));
  for (const raw of identities) expect(place('', raw.metadata.namespace, raw.metadata.name), reasonsOf(raw));
  for (const [at, reasons] of said) if (reasons.size > 0) broken.push(`${at} is gone, and no line Resumed says so`);
}
