import { existsSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { operatorNamespace } from '../api/names.ts';
import type { CiIdentity } from '../api/v1alpha1/ci-identity.ts';
import type { IdentityPool } from '../api/v1alpha1/identity-pool.ts';
import type { ScopePolicy } from '../api/v1alpha1/scope-policy.ts';
import { systemClock } from '../clock.ts';
import { OperatorError } from '../errors.ts';
import {
  type ApiConnection,
  type ApiResponse,
  type Method,
  type RequestParameters,
  connect,
} from '../kube/connection.ts';
import { loadConfig } from '../kube/kubeconfig.ts';
import { type Review, isHeld, reviewOf } from '../kube/reviews.ts';
import { type Kind, type Place, kinds, pathOf } from '../kube/resources.ts';
import { clean } from '../clean.ts';
import { type Arguments, valueOf } from './arguments.ts';
import { CommandError, type ProcessSurface } from './surface.ts';

/** What was read; `Withheld`: the caller has no right to it, with the sentence that says which right. */
export type Read<T> =
  { readonly is: 'Read'; readonly value: T } | { readonly is: 'Withheld'; readonly message: string };

/** A cluster as the caller may see it: every call is made with the rights of the kubeconfig, and a missing right is an answer. */
export class Cluster {
  readonly connection: ApiConnection;
  readonly context: string;
  /** Of `-n`, else of the context, else `default`. */
  readonly namespace: string;
  readonly operatorNamespace: string;
  readonly #signal: AbortSignal;

  constructor(o: {
    readonly connection: ApiConnection;
    readonly context: string;
    readonly namespace: string;
    readonly operatorNamespace: string;
    readonly signal: AbortSignal;
  }) {
    this.connection = o.connection;
    this.context = o.context;
    this.namespace = o.namespace;
    this.operatorNamespace = o.operatorNamespace;
    this.#signal = o.signal;
  }

  /** One call; every status but 401 is an answer. Throws CommandError when the API server is not reached or does not know the caller. */
  async call(method: Method, path: string, o: Omit<RequestParameters, 'signal'> = {}): Promise<ApiResponse> {
    const answer = await this.connection
      .request(method, path, { ...o, signal: this.#signal })
      .catch((error: unknown) => {
        if (!(error instanceof OperatorError) || error.reason !== 'ApiServerUnavailable') throw error;
        const code = /\(([A-Z_a-z ]+)\)/.exec(error.message)?.[1] ?? 'no answer';
        throw new CommandError(
          `the API server of context ${this.context} cannot be reached (${code}): check the kubeconfig and the network`,
        );
      });
    if (answer.status === 401) {
      throw new CommandError(
        `the API server does not accept the credentials of context ${this.context} (401): log in again, or name another context`,
      );
    }
    return answer;
  }

  /** Every object of a collection, page by page. */
  async list<T>(
    kind: Kind,
    place: Place = {},
    query: Readonly<Record<string, string>> = {},
  ): Promise<Read<readonly T[]>> {
    const items: T[] = [];
    for (let next: string | undefined; ;) {
      const page = { ...query, limit: '500', ...(next === undefined ? {} : { continue: next }) };
      const answer = await this.call('GET', pathOf(kind, place), { query: page });
      const read = readOf<ListBody<T>>(answer, 'list', kind, place);
      if (read.is === 'Withheld') return read;
      items.push(...(read.value.items ?? []));
      next = read.value.metadata?.continue;
      if (next === undefined || next === '') return { is: 'Read', value: items };
    }
  }

  /** One object; `undefined`: it does not exist. */
  async get<T>(kind: Kind, place: Place): Promise<Read<T | undefined>> {
    const answer = await this.call('GET', pathOf(kind, place));
    if (answer.status === 404) {
      if (!isKindKnown(answer)) throw notInstalled(kind);
      return { is: 'Read', value: undefined };
    }
    return readOf<T>(answer, 'get', kind, place);
  }

  /** Whether `user` may do that; `undefined`: the caller may not ask (create subjectaccessreviews), or an authorizer could not say. */
  async may(user: string, attributes: Readonly<Record<string, string>>): Promise<boolean | undefined> {
    const answer = await this.call('POST', pathOf(kinds.subjectAccessReviews), {
      body: reviewOf(user, attributes),
    });
    return answer.status === 201 ? isHeld(answer.body as Review) : undefined;
  }

  /** Throws CommandError where the namespace does not exist; a caller who may not look is believed. */
  async requireNamespace(name: string): Promise<void> {
    const found = await this.get<unknown>(kinds.namespaces, { name });
    if (found.is === 'Read' && found.value === undefined)
      throw new CommandError(`namespace ${name} does not exist in context ${this.context}`);
  }

  /** The caller's name, as the API server authenticated it. */
  async whoAmI(): Promise<string> {
    const kind: Kind = { group: 'authentication.k8s.io', version: 'v1', plural: 'selfsubjectreviews' };
    const body = { apiVersion: 'authentication.k8s.io/v1', kind: 'SelfSubjectReview' };
    const answer = await this.call('POST', pathOf(kind), { body });
    const { status } = answer.body as { readonly status?: { readonly userInfo?: { readonly username?: string } } };
    return status?.userInfo?.username ?? '(unknown)';
  }

  pools(): Promise<Read<readonly IdentityPool[]>> {
    return this.list<IdentityPool>(kinds.identityPools);
  }

  policies(): Promise<Read<readonly ScopePolicy[]>> {
    return this.list<ScopePolicy>(kinds.scopePolicies);
  }

  identities(namespace?: string): Promise<Read<readonly CiIdentity[]>> {
    return this.list<CiIdentity>(kinds.ciIdentities, namespace === undefined ? {} : { namespace });
  }
}

interface ListBody<T> {
  readonly metadata?: { readonly continue?: string };
  readonly items?: readonly T[] | null;
}

/** Connects as the kubeconfig says, runs `work`, and closes. Throws CommandError when the kubeconfig cannot be used. */
export async function withCluster<T>(
  args: Arguments,
  surface: ProcessSurface,
  work: (cluster: Cluster) => Promise<T>,
): Promise<T> {
  const context = valueOf(args, 'context');
  const source = {
    kubeconfig: kubeconfigOf(valueOf(args, 'kubeconfig'), surface),
    ...(context === undefined ? {} : { context }),
  };
  const config = loadConfig(source);
  const connection = await connect({ ...source, clock: systemClock });
  const elsewhere = valueOf(args, 'operator-namespace');
  try {
    const cluster = new Cluster({
      connection,
      context: config.context,
      namespace: valueOf(args, 'namespace') ?? config.namespace ?? 'default',
      operatorNamespace: elsewhere ?? operatorNamespace,
      signal: surface.stop,
    });
    if (elsewhere !== undefined) await cluster.requireNamespace(elsewhere);
    return await work(cluster);
  } finally {
    await connection.close();
  }
}

function kubeconfigOf(flag: string | undefined, { environment }: ProcessSurface): string | readonly string[] {
  if (flag !== undefined) return flag;
  const named = environment['KUBECONFIG'] ?? '';
  const listed = named.split(delimiter).filter((file) => file !== '' && existsSync(file));
  if (listed.length > 0) return listed;
  const home = join(environment['HOME'] ?? '', '.kube', 'config');
  if (named === '' && existsSync(home)) return home;
  const hint = named === '' ? '' : `; it names ${named}, which is not there`;
  throw new CommandError(`no kubeconfig is found: set KUBECONFIG to one, or name it with --kubeconfig FILE${hint}`);
}

/** What was read, or a CommandError where the answer is needed and the caller may not have it. */
export function required<T>(read: Read<T>): T {
  if (read.is === 'Withheld') throw new CommandError(read.message);
  return read.value;
}

function readOf<T>(answer: ApiResponse, verb: string, kind: Kind, place: Place): Read<T> {
  if (answer.status === 200) return { is: 'Read', value: answer.body as T };
  const where = place.namespace === undefined ? '' : ` in namespace ${place.namespace}`;
  const what = `${verb} ${kind.plural}${kind.group === '' ? '' : `.${kind.group}`}${where}`;
  if (answer.status === 403) {
    return { is: 'Withheld', message: `you may not ${what}: ask the cluster administrator for that right` };
  }
  if (answer.status === 404) throw notInstalled(kind);
  throw new CommandError(`${what} failed: the API server answers ${answer.status}: ${answerMessage(answer)}`);
}

function notInstalled(kind: Kind): CommandError {
  return new CommandError(
    `the cluster does not know ${kind.plural}.${kind.group}: the operator is not installed, or you look at another cluster; see README, Install`,
  );
}

/** A kind that is not installed is a 404 without details of an object. */
function isKindKnown({ body }: ApiResponse): boolean {
  return typeof body === 'object' && body !== null && 'details' in body && body.details !== undefined
    ? (body.details as { readonly name?: string }).name !== undefined
    : false;
}

/** The API server's own sentence, on one line. It may name objects and users, and quotes no Secret in what we send. */
export function answerMessage({ body }: ApiResponse): string {
  const message = typeof body === 'object' && body !== null && 'message' in body ? body.message : undefined;
  return typeof message === 'string' ? clean(message, 1_500) : 'no message';
}
