/** Which tokens may live, and what the records must say of them. */
import type { LiveToken } from '#test/providers/oidc-provider.ts';
import type { AuditLine, Facts, ScopesOf } from './auditor-facts.ts';
import { births } from './auditor-lines.ts';

export function sessionFindings(
  { pools, pods, sessions, there, lines, live }: Facts,
  scopesOf: ScopesOf,
  broken: string[],
): void {
  const uids = new Set(pods.map(({ metadata }) => metadata.uid));
  for (const [name, { pod, pool, tokens, identity }] of sessions) {
    if (!uids.has(pod.uid)) broken.push(`session record ${name} belongs to pod ${pod.name}, which is gone`);
    const id = `${pod.uid}.${identity.name}`;
    if (!lines.some(({ event, session_id }) => event === 'Requested' && session_id === id))
      broken.push(`session ${id} has a token that no audit line requested`);
    const ceiling = pools.find(({ metadata }) => metadata.name === pool.name)?.spec?.ceiling?.scopes ?? [];
    const allowed = scopesOf(pod.uid, identity.name) ?? ceiling;
    if (allowed.length === 0) broken.push(`session ${id} of pod ${pod.name} has a token without a reason`);
    for (const { sha256: hash, clientId, end } of tokens) {
      if (end !== undefined) broken.push(`session record ${name} still holds a token that is ${end}`);
      if (!there.some((client) => client.clientId === clientId)) broken.push(`${name}: the client of a token is gone`);
      const honoured = live.find((token) => token.sha256 === hash);
      if (honoured === undefined) broken.push(`session record ${name} holds a token that the provider does not honour`);
      else if (honoured.clientId !== clientId || honoured.scopes.some((scope) => !allowed.includes(scope)))
        broken.push(`session record ${name}: its token is another client's or wider than it may be`);
    }
  }
}

/**
 * Tokens that the provider honours and no record knows, but for those that a process left when it was killed: one per request without an
 * answer, and the one that it was about to record.
 */
export function unknownTokens({ sessions, live, lines }: Facts): readonly LiveToken[] {
  const recorded = new Set([
    ...[...sessions.values()].flatMap(({ tokens }) => tokens.map((token) => token.sha256)),
    ...unfinished(lines),
  ]);
  const explained = new Map<string, number>();
  for (const clientId of unanswered(lines)) explained.set(clientId, (explained.get(clientId) ?? 0) + 1);
  return live.filter(({ sha256: hash, clientId }) => {
    if (recorded.has(hash)) return false;
    const left = explained.get(clientId) ?? 0;
    explained.set(clientId, left - 1);
    return left <= 0;
  });
}

/** The client of every token request that no line answers. Another request of the same session answers none. */
function unanswered(lines: readonly AuditLine[]): readonly string[] {
  const open = new Map<string, string>();
  const lost: string[] = [];
  for (const { event, session_id: session, client_id: client, process_id: process } of lines) {
    if (session === undefined) continue;
    const key = `${process} ${session}`;
    const before = open.get(key);
    if (event === 'Requested') {
      if (before !== undefined) lost.push(before);
      open.set(key, client ?? '');
    } else if (births.includes(event) || event === 'Discarded') open.delete(key);
  }
  return [...lost, ...open.values()];
}

/** Hashes of tokens whose birth is the last that a process said of their session: it would have recorded and delivered them next. */
function unfinished(lines: readonly AuditLine[]): readonly string[] {
  const last = new Map<string, AuditLine>();
  for (const line of lines) if (line.session_id !== undefined) last.set(`${line.process_id} ${line.session_id}`, line);
  return [...last.values()].flatMap(({ event, token_sha256: hash }) =>
    births.includes(event) && hash !== undefined ? [hash] : [],
  );
}
