import { established } from '#test/support/established.ts';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseAllDocuments } from 'yaml';
import { ensureBinaries } from '#test/cluster/binaries.ts';
import { run } from '#test/cluster/run.ts';
import { agentNamespaceDocuments, namespaceDocument, serviceAccountDocument } from '#test/support/lab.ts';
import { targetOf, versionOf } from './target.ts';

/** A cluster that was there before the quickstart and stays: what is created in it is removed again, and nothing else. */
export interface Guest {
  readonly server: string;
  readonly dir: string;
  /** What would be created, one line per kind. */
  readonly plan: readonly string[];
  /** Throws with stderr when it fails. */
  readonly kubectl: (args: readonly string[], input?: string) => Promise<string>;
  /** Throws where anything of the plan is there. */
  requireAbsent(): Promise<void>;
  /** Creates everything of the plan; an object that appeared in the meantime makes it fail. */
  install(): Promise<void>;
  /** A kubeconfig for a service account, good for two hours, in `dir`. */
  kubeconfigFor(namespace: string, name: string): Promise<string>;
  /** Removes what `install` created, also after half an installation; from now on nothing else is done in the cluster. */
  remove(operator: { runs(): boolean; stop(): Promise<void> }): Promise<void>;
}

export interface GuestOptions {
  readonly kubeconfig: string;
  readonly context?: string;
  readonly log: (line: string) => void;
}

const root = fileURLToPath(new URL('../../', import.meta.url));
const teamNamespace = 'ci-payments';
export const creatorsNamespace = 'ci-identity-quickstart';

/** Looks before anything is changed; throws a sentence when the quickstart cannot run there. */
export async function visit(options: GuestOptions): Promise<Guest> {
  const target = targetOf(options.kubeconfig, options.context);
  const program = await kubectlProgram(options.log);
  const always = async (args: readonly string[], input?: string, signal?: AbortSignal): Promise<string> => {
    const { stdout, stderr, code } = await run(program, [...target.args, ...args], {
      env: target.env,
      detached: true,
      ...(input === undefined ? {} : { input }),
      ...(signal === undefined ? {} : { signal }),
    });
    if (code !== 0) throw new Error(`kubectl ${args.join(' ')}: ${stderr.trim()}`);
    return stdout;
  };
  const underWay = new Set<Promise<unknown>>();
  const leaving = new AbortController();
  const kubectl = async (args: readonly string[], input?: string): Promise<string> => {
    if (leaving.signal.aborted) throw new Error('interrupted');
    // What changes something is awaited, so that nothing comes after its removal; what only waits is not.
    const work = always(args, input, args[0] === 'wait' ? leaving.signal : undefined);
    underWay.add(work);
    return work.finally(() => underWay.delete(work));
  };
  requireVersion(await versionOf(program, target));
  await requireRights(kubectl);
  const documents = await plannedDocuments(kubectl);
  const text = listOf(documents);
  const requireAbsent = async (): Promise<void> => {
    const present = (await kubectl(['get', '-f', '-', '--ignore-not-found', '-o', 'name'], text)).trim();
    if (present === '') return;
    throw new Error(
      `some of what the quickstart would create is there already, and it never touches what it did not create: ${present.split('\n').join(', ')}. Use another cluster, or the installation that is there`,
    );
  };
  await requireAbsent();
  const cluster = await clusterOf(kubectl);
  const dir = mkdtempSync(join(tmpdir(), 'ci-identity-guest-'));
  return {
    server: cluster.server,
    dir,
    plan: planOf(documents),
    kubectl,
    requireAbsent,
    async install() {
      const isDefinition = (one: Document): boolean => one.kind === 'CustomResourceDefinition';
      const create = (some: readonly Document[]): Promise<string> => kubectl(['create', '-f', '-'], listOf(some));
      await create(documents.filter(isDefinition));
      const plurals = documents.filter(isDefinition).map(({ metadata }) => `crd/${metadata.name}`);
      await established(kubectl, ...plurals);
      await create(documents.filter((one) => !isDefinition(one)));
    },
    async kubeconfigFor(namespace, name) {
      const token = await kubectl(['create', 'token', name, '-n', namespace, '--duration=2h']);
      const file = join(dir, `${namespace}-${name}.json`);
      const config = {
        apiVersion: 'v1',
        kind: 'Config',
        'current-context': 'guest',
        clusters: [{ name: 'guest', cluster }],
        users: [{ name: 'guest', user: { token: token.trim() } }],
        contexts: [{ name: 'guest', context: { cluster: 'guest', user: 'guest' } }],
      };
      writeFileSync(file, JSON.stringify(config), { mode: 0o600 });
      return file;
    },
    async remove(operator) {
      leaving.abort();
      await Promise.allSettled(underWay);
      await removeIdentities(always, () => operator.runs());
      await operator.stop();
      await removeEvents(always);
      const wait = ['--ignore-not-found', '--wait=true', '--timeout=120s'];
      await always(['delete', '-f', '-', ...wait], listOf(documents.toReversed()));
      const left = (await always(['get', '-f', '-', '--ignore-not-found', '-o', 'name'], text)).trim();
      rmSync(dir, { recursive: true, force: true });
      if (left !== '') throw new Error(`could not be removed, do it by hand: ${left.split('\n').join(', ')}`);
    },
  };
}

interface Document {
  readonly kind: string;
  readonly metadata: { readonly name: string; readonly namespace?: string };
}

type Kubectl = Guest['kubectl'];

/** As kubectl reads many objects at once. */
export function listOf(items: readonly unknown[]): string {
  return JSON.stringify({ apiVersion: 'v1', kind: 'List', items });
}

async function kubectlProgram(log: (line: string) => void): Promise<string> {
  const found = await run('kubectl', ['version', '--client']).then(
    ({ code }) => code === 0,
    () => false,
  );
  return found ? 'kubectl' : (await ensureBinaries(['kubectl'], log)).kubectl;
}

function requireVersion(version: unknown): void {
  const { serverVersion } = version as {
    readonly serverVersion?: { readonly major: string; readonly minor: string; readonly gitVersion: string };
  };
  const [major, minor] = [
    Number.parseInt(serverVersion?.major ?? '', 10),
    Number.parseInt(serverVersion?.minor ?? '', 10),
  ];
  if (major > 1 || minor >= 36) return;
  throw new Error(
    `the API server has version ${serverVersion?.gitVersion ?? 'unknown'}, and mutating admission policies need 1.36: use a newer cluster`,
  );
}

/** Whoever grants rights must hold them, so this takes an administrator. */
async function requireRights(kubectl: Kubectl): Promise<void> {
  const { stdout } = await kubectl(['auth', 'can-i', '*', '*', '--all-namespaces']).then(
    (text) => ({ stdout: text }),
    (error: Error) => ({ stdout: error.message }),
  );
  if (stdout.trim().split('\n').includes('yes')) return;
  throw new Error(
    'installing definitions, roles and admission policies takes a cluster administrator, and this user is none: use another context',
  );
}

async function plannedDocuments(kubectl: Kubectl): Promise<readonly Document[]> {
  const files = ['namespace', 'rbac', 'aggregated-roles'].map((name) =>
    readFileSync(join(root, `manifests/controller/${name}.yaml`), 'utf8'),
  );
  const texts = [
    await kubectl(['kustomize', join(root, 'crds')]),
    ...files,
    await kubectl(['kustomize', join(root, 'manifests/admission')]),
    namespaceDocument(creatorsNamespace),
    serviceAccountDocument(creatorsNamespace, 'jenkins'),
    ...agentNamespaceDocuments(teamNamespace, creatorsNamespace),
  ];
  return texts.flatMap((text) =>
    parseAllDocuments(text).flatMap((document) => (document.toJS() as Document | null) ?? []),
  );
}

function planOf(documents: readonly Document[]): readonly string[] {
  const kinds = [...new Set(documents.map(({ kind }) => kind))];
  return kinds.map((kind) => {
    const names = documents
      .filter((one) => one.kind === kind)
      .map(({ metadata: { name, namespace } }) => (namespace === undefined ? name : `${namespace}/${name}`));
    return `${kind}: ${names.join(', ')}`;
  });
}

/** Where the API server is and whom it trusts, without anybody's credentials. */
async function clusterOf(kubectl: Kubectl): Promise<{ readonly server: string; readonly [member: string]: unknown }> {
  const config = JSON.parse(await kubectl(['config', 'view', '--raw', '--minify', '--flatten', '-o', 'json'])) as {
    readonly clusters?: readonly { readonly cluster: { readonly server: string } }[];
  };
  const cluster = config.clusters?.[0]?.cluster;
  if (cluster === undefined) throw new Error('the kubeconfig has no cluster in this context');
  return cluster;
}

/** Those about cluster-scoped objects are in namespace default; an operator that runs may still write some. */
async function removeEvents(kubectl: Kubectl): Promise<void> {
  for (const kind of ['IdentityPool', 'ScopePolicy'])
    await kubectl(['delete', 'events', '-n', 'default', `--field-selector=involvedObject.kind=${kind}`]).catch(
      () => '',
    );
}

/** Pods and identities first, so that the operator revokes and deregisters; a pool that nobody can finish any more loses its finalizer. */
async function removeIdentities(kubectl: Kubectl, operatorRuns: () => boolean): Promise<void> {
  const quietly = async (...args: readonly string[]): Promise<string> =>
    kubectl(args).catch((error: Error) => error.message);
  await quietly(
    'delete',
    'pods',
    '--all',
    '-n',
    teamNamespace,
    '--ignore-not-found',
    '--grace-period=1',
    '--timeout=60s',
  );
  await quietly('delete', 'ciidentities', '--all', '-n', teamNamespace, '--ignore-not-found', '--timeout=30s');
  await quietly('delete', 'scopepolicies', 'publishers', '--ignore-not-found', '--timeout=30s');
  await quietly('delete', 'identitypools', 'ci-bots', '--ignore-not-found', `--timeout=${operatorRuns() ? 30 : 1}s`);
  await quietly('patch', 'identitypools', 'ci-bots', '--type=merge', '-p', '{"metadata":{"finalizers":null}}');
}
