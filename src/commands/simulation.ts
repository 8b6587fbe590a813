import { clean } from '../clean.ts';
import type { Prediction } from './predict.ts';
import { renderTable } from './table.ts';
import type { Verdict } from './verdict.ts';
import { inSentences } from './words.ts';

/** What would happen to a pod. */
export interface Simulation {
  readonly namespace: string;
  readonly pod: string;
  readonly creator: string;
  readonly server: Verdict;
  /** By our own reading of the policies. */
  readonly expected: { readonly admitted: boolean; readonly refusals: readonly string[] };
  readonly identities: readonly { readonly name: string; readonly pool: string; readonly next: Prediction }[];
  /** Why it starts without the identities that select it: their namespace lacks the label. */
  readonly withoutLabel?: string;
}

/** Pure. Admitted, and every identity that selects it gets a token. Our own reading of the policies counts only where the API server was not asked. */
export function isGood({ server, expected, identities, withoutLabel }: Simulation): boolean {
  const admitted = server.is === 'NotAsked' ? expected.admitted : server.is === 'Admitted';
  return admitted && withoutLabel === undefined && identities.every(({ next }) => next.does === 'Token');
}

/** Pure: the answer for people. */
export function simulationText(simulation: Simulation): string {
  const { namespace, pod, creator, server } = simulation;
  return [
    `Pod ${namespace}/${pod}, created by ${clean(creator)}\n`,
    verdictText(simulation),
    doubtText(simulation),
    server.is === 'Refused' ? '' : givenText(simulation),
  ].join('');
}

function verdictText({ server, expected }: Simulation): string {
  switch (server.is) {
    case 'Admitted':
      return 'The API server admits it (dry run).\n';
    case 'Refused':
      return `The API server refuses it (dry run): ${server.message}\n`;
    case 'NotAsked': {
      const reading = expected.admitted ? 'it is admitted.' : `it is refused: ${refusalsOf(expected)}`;
      return `${server.message}. By our reading of the policies ${reading}\n`;
    }
  }
}

/** They quote annotations of the manifest, which somebody else may have written. */
function refusalsOf({ refusals }: Simulation['expected']): string {
  return clean(refusals.join(' '), 3_000);
}

/** Where the API server and our own reading of the policies differ. */
function doubtText({ server, expected, identities }: Simulation): string {
  const throughGroup = identities.some(({ next }) => next.reason === 'CreatorMayNotUse');
  if (server.is === 'Admitted' && expected.admitted && throughGroup)
    return 'The creator may use it through a group, which the operator does not see: name who creates agent pods with --as.\n';
  if (server.is === 'Admitted' && !expected.admitted)
    return `By our reading the pod should have been refused: are the admission policies whole? Run doctor. ${refusalsOf(expected)}\n`;
  if (server.is === 'Refused' && expected.admitted)
    return 'By our reading nothing of ours refuses it: another policy, plugin or right does.\n';
  return '';
}

function givenText({ identities, withoutLabel }: Simulation): string {
  if (withoutLabel !== undefined) return `No CiIdentity is given to it: ${withoutLabel}\n`;
  if (identities.length === 0) return 'No CiIdentity is given to it.\n';
  const rows = identities.map(({ name, pool, next }) => [
    name,
    pool,
    { Token: 'a token', Error: 'error.json', Wait: 'waits', Nothing: 'nothing' }[next.does],
    (next.scopes ?? []).join(' ') || '-',
    (next.audiences ?? []).join(' ') || '-',
  ]);
  const sentences = identities.flatMap(({ name, next }) => {
    if (next.does === 'Token') return [];
    const what = next.message ?? `CiIdentity ${name}: ${next.reason}`;
    return [`- ${inSentences([what, next.fix])}\n`];
  });
  const table = renderTable(['CIIDENTITY', 'POOL', 'GETS', 'SCOPES', 'AUDIENCES'], rows);
  return `\n${table}${sentences.length === 0 ? '' : `\n${sentences.join('')}`}`;
}
