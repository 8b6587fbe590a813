import { randomBytes } from 'node:crypto';
import { annotations } from '../api/names.ts';
import type { IdentityPool, IdentityPoolStatusRequest } from '../api/v1alpha1/identity-pool.ts';
import { type Milliseconds, minute, parseDuration, plus, second, systemClock, toRfc3339 } from '../clock.ts';
import { kinds, patchContent, pathOf } from '../kube/resources.ts';
import { type Arguments, type Option, clusterWideOptions, isJson, outputOption, valueOf } from './arguments.ts';
import { type Cluster, answerMessage, required } from './cluster.ts';
import { CommandError, type ProcessSurface, exitCodes } from './surface.ts';
import { renderJson } from './table.ts';

export type RequestKind = IdentityPoolStatusRequest['kind'];

/** Flags of the verbs that ask the operator for something. */
export const requestOptions: readonly Option[] = [
  ...clusterWideOptions,
  {
    name: 'id',
    placeholder: 'TEXT',
    help: 'Names the request, e.g. INC-4711; the same id is carried out once. Default: a new one.',
  },
  { name: 'wait', help: 'Follow the status until the request is handled.' },
  { name: 'timeout', placeholder: 'DURATION', help: 'How long --wait waits, e.g. 90s or 10m; default 5m.' },
  outputOption,
];

const annotationOf: Readonly<Record<RequestKind, string>> = { Rotate: annotations.rotate, Revoke: annotations.revoke };
const lookEvery = second;

/** The pool that a verb is about. `elsewhere` says what to do for the other kinds, which have no such request. */
export function poolNameOf(args: Arguments, elsewhere: string): string {
  const [subject, ...more] = args.positionals;
  if (subject === undefined || more.length > 0)
    throw new CommandError('the name of one IdentityPool is expected; see --help');
  const [kind = '', name] = subject.split('/');
  if (name === undefined) return kind;
  if (!['identitypool', 'identitypools', 'pool'].includes(kind) || name === '') throw new CommandError(elsewhere);
  return name;
}

/** Sets the annotations on the pool and, with --wait, follows `status.requests`. All kinds get the same id. */
export async function request(
  cluster: Cluster,
  args: Arguments,
  surface: ProcessSurface,
  name: string,
  asked: readonly RequestKind[],
): Promise<number> {
  const timeout = timeoutOf(args);
  const id = valueOf(args, 'id') ?? newId();
  if (!/^[\x21-\x7e]{1,64}$/.test(id))
    throw new CommandError('--id must be 1 to 64 printable characters without spaces');
  const answer = await cluster.call('PATCH', pathOf(kinds.identityPools, { name }), {
    body: { metadata: { annotations: Object.fromEntries(asked.map((kind) => [annotationOf[kind], id])) } },
    contentType: patchContent.Merge,
    query: { fieldManager: 'kubectl-ci_identity' },
  });
  if (answer.status === 404)
    throw new CommandError(`IdentityPool ${name} does not exist in context ${cluster.context}`);
  if (answer.status === 403)
    throw new CommandError(`you may not change IdentityPool ${name} (${answerMessage(answer)})`);
  if (answer.status !== 200) throw new CommandError(`IdentityPool ${name}: ${answerMessage(answer)}`);
  const earlier = doneBefore(answer.body as IdentityPool, id, asked);
  if (earlier.length > 0) {
    if (isJson(args))
      surface.print(renderJson({ pool: name, id, asked: [], outcome: 'AlreadyDone', requests: earlier }));
    else for (const one of earlier) surface.print(`${earlierText(name, one)}\n`);
    return exitCodes.done;
  }
  if (!isJson(args)) surface.print(`IdentityPool ${name}: asked for ${asked.join(' and ')} with id ${id}\n`);
  if (!args.given.has('wait')) {
    if (isJson(args)) surface.print(renderJson({ pool: name, id, asked, outcome: 'Asked' }));
    return exitCodes.done;
  }
  const outcomes = await follow(cluster, surface, { name, id, asked, timeout });
  if (isJson(args)) surface.print(renderJson({ pool: name, id, asked, requests: outcomes }));
  else for (const one of outcomes) surface.print(`${outcomeText(name, one)}\n`);
  return outcomes.every(({ outcome }) => outcome === 'Done') ? exitCodes.done : exitCodes.failed;
}

interface Followed {
  readonly name: string;
  readonly id: string;
  readonly asked: readonly RequestKind[];
  readonly timeout: Milliseconds;
}

async function follow(
  cluster: Cluster,
  surface: ProcessSurface,
  { name, id, asked, timeout }: Followed,
): Promise<readonly IdentityPoolStatusRequest[]> {
  const until = plus(systemClock.now(), timeout);
  for (;;) {
    const pool = required(await cluster.get<IdentityPool>(kinds.identityPools, { name }));
    if (pool === undefined) throw new CommandError(`IdentityPool ${name} was deleted while its request was under way`);
    const found = requestsWith(pool, id, asked);
    if (found.length === asked.length && found.every(({ outcome }) => outcome !== 'InProgress')) return found;
    if (systemClock.now() >= until) throw new CommandError(timedOut(pool, found, timeout));
    await systemClock.sleepUntil(plus(systemClock.now(), lookEvery), surface.stop);
    if (surface.stop.aborted) throw new CommandError('interrupted; the request stays, and the operator carries it out');
  }
}

/** Pure: what the status says about the request. */
export function requestsWith(
  { status }: IdentityPool,
  id: string,
  asked: readonly RequestKind[],
): readonly IdentityPoolStatusRequest[] {
  return asked.flatMap((kind) =>
    (status?.requests ?? []).filter((one) => one.kind === kind && one.id === id).slice(0, 1),
  );
}

/** Pure: what was carried out with this id already, if that is all of it, so that asking again does nothing. An emergency is more than its parts. */
export function doneBefore(
  pool: IdentityPool,
  id: string,
  asked: readonly RequestKind[],
): readonly IdentityPoolStatusRequest[] {
  const done = requestsWith(pool, id, asked).filter(({ outcome }) => outcome === 'Done');
  return done.length === asked.length ? done : [];
}

/** Pure. */
export function earlierText(pool: string, { kind, id, doneAt }: IdentityPoolStatusRequest): string {
  const when = doneAt === undefined ? '' : ` at ${doneAt}`;
  return `IdentityPool ${pool}: ${kind} ${id} was carried out already${when}, so nothing is done again. Use another --id to ask again`;
}

function outcomeText(pool: string, { kind, id, outcome, doneAt, message }: IdentityPoolStatusRequest): string {
  const when = doneAt === undefined ? '' : ` at ${doneAt}`;
  return `IdentityPool ${pool}: ${kind} ${id} is ${outcome}${when}${message === undefined ? '' : `: ${message}`}`;
}

function timedOut(pool: IdentityPool, found: readonly IdentityPoolStatusRequest[], timeout: Milliseconds): string {
  const held = found.find(({ message }) => message !== undefined)?.message;
  const ready = (pool.status?.conditions ?? []).find(({ type }) => type === 'Ready');
  const why =
    held ??
    (found.length === 0
      ? `the operator has not taken it up; is it running? (Ready is ${ready?.status ?? 'not set'}${ready === undefined ? '' : `: ${ready.message}`})`
      : 'it is still under way');
  return `IdentityPool ${pool.metadata.name}: not handled within ${timeout / second} s: ${why}. The request stays and is carried out when it can be`;
}

/** Value of `--timeout`; default 5 minutes. */
export function timeoutOf(args: Arguments): Milliseconds {
  const text = valueOf(args, 'timeout');
  const timeout = text === undefined ? 5 * minute : parseDuration(text);
  if (timeout === undefined) throw new CommandError('--timeout must be a whole number with a unit, such as 90s or 10m');
  return timeout;
}

/** When and a little chance, so that two people in the same second do not ask for one thing. */
function newId(): string {
  return `cli-${toRfc3339(systemClock.now()).replaceAll(/[-:]/g, '')}-${randomBytes(3).toString('hex')}`;
}
