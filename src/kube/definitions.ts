import { readFileSync } from 'node:fs';
import { parse } from 'yaml';
import type { ObjectMeta } from '../api/meta.ts';
import { group, version } from '../api/names.ts';
import { type Clock, type Instant, type Milliseconds, parseRfc3339, plus, second } from '../clock.ts';
import { OperatorError } from '../errors.ts';
import type { ApiConnection } from './connection.ts';
import { get, kinds } from './resources.ts';

/** The part of a JSON schema that says which members exist. */
export interface Schema {
  readonly properties?: Readonly<Record<string, Schema>>;
  readonly items?: Schema;
  readonly additionalProperties?: Schema | boolean;
}

/** A CustomResourceDefinition, as far as it is looked at. */
export interface Definition {
  readonly metadata: ObjectMeta;
  readonly spec: {
    readonly versions: readonly {
      readonly name: string;
      readonly served?: boolean;
      readonly schema?: { readonly openAPIV3Schema?: Schema };
    }[];
  };
  readonly status?: { readonly conditions?: readonly { readonly type: string; readonly status: string }[] };
}

const files = ['identitypools', 'scopepolicies', 'ciidentities'] as const;
const remedy = 'run kubectl apply --server-side -k crds with the files of this version';
/** Members that a sentence names. */
const mostNamed = 5;

/** The definitions that this version ships, read from `crds` beside the source (the image has both). Throws when one is missing. */
export function readShippedDefinitions(): readonly Definition[] {
  const directory = new URL('../../crds/', import.meta.url);
  return files.map((file) => parse(readFileSync(new URL(`${file}.yaml`, directory), 'utf8')) as Definition);
}

/**
 * What is wrong with the installed definitions of our kinds, a sentence each; none: all fit. A newer definition fits: it only has more.
 * Throws what the API server yields for a call that it refuses.
 */
export async function definitionProblems(
  connection: ApiConnection,
  shipped: readonly Definition[],
  signal: AbortSignal,
): Promise<readonly string[]> {
  const problems = await Promise.all(
    shipped.map(async (wanted) => {
      const { name } = wanted.metadata;
      return problemOf(
        wanted,
        await get<Definition>(connection, kinds.customResourceDefinitions, { name }, { signal }),
      );
    }),
  );
  return problems.filter((problem) => problem !== undefined);
}

/** So long the objects of a kind that was made anew may take to come back. */
const comeBack: Milliseconds = 30 * second;

type DefinitionMeta = Pick<ObjectMeta, 'uid' | 'creationTimestamp' | 'deletionTimestamp'>;

/** A kind, and how to look at its definition: yields the metadata, `undefined` where there is none. */
interface KindOptions {
  readonly name: string;
  readonly clock: Pick<Clock, 'now'>;
  readonly look: (signal: AbortSignal) => Promise<DefinitionMeta | undefined>;
}

/**
 * Tells objects that somebody deleted from those that went because their whole kind did, so that nobody decided about them: yields why it went,
 * which it says while the definition is gone or being deleted, and for 30 s after it was made anew. `undefined`: somebody deleted them. To be
 * asked after objects were seen to be gone.
 */
export function whyKindGoes(o: KindOptions): (signal: AbortSignal) => Promise<string | undefined> {
  const { name, clock, look } = o;
  let known: string | undefined;
  let anew: { readonly uid: string; readonly since: Instant } | undefined;
  return async (signal) => {
    const found = await look(signal);
    known ??= found?.uid ?? '';
    if (found?.uid === undefined || found.deletionTimestamp !== undefined)
      return `CustomResourceDefinition ${name} is gone or being deleted; ${remedy}`;
    const { uid } = found;
    if (uid === known) return undefined;
    if (anew?.uid !== uid) anew = { uid, since: clock.now() };
    if (clock.now() < plus(anew.since, comeBack))
      return `CustomResourceDefinition ${name} was made anew, and its objects have a moment to come back`;
    known = uid;
    return undefined;
  };
}

/** The same where the objects count as unknown then: what this returns throws (Waiting) why their kind went. */
export function kindStands(o: KindOptions): (signal: AbortSignal) => Promise<void> {
  const whyGoes = whyKindGoes(o);
  return async (signal) => {
    const why = await whyGoes(signal);
    if (why === undefined) return;
    const message = `${why}. What goes with its kind was deleted by nobody, so it counts as unknown`;
    throw new OperatorError({ class: 'Waiting', reason: 'ApiRefused', message });
  };
}

/** What of a kind a process can tell that began after the kind was made anew. */
export interface KindLife {
  /** What is older and not there any more went with its kind; while it goes, that is everything. */
  readonly since: Instant;
  /** The definition is gone or being deleted. */
  readonly goes: boolean;
}

export async function kindLife({ clock, look }: KindOptions, signal: AbortSignal): Promise<KindLife> {
  const found = await look(signal);
  const goes = found === undefined || found.deletionTimestamp !== undefined;
  const since = goes ? undefined : parseRfc3339(found.creationTimestamp ?? '');
  return { since: since ?? clock.now(), goes };
}

/** What {@link whyKindGoes} and {@link kindLife} look at. */
export async function definitionMeta(
  connection: ApiConnection,
  name: string,
  signal: AbortSignal,
): Promise<ObjectMeta | undefined> {
  return (await get<Definition>(connection, kinds.customResourceDefinitions, { name }, { signal }))?.metadata;
}

/** `installed`: `undefined` where it does not exist. */
export function problemOf(shipped: Definition, installed: Definition | undefined): string | undefined {
  const subject = `CustomResourceDefinition ${shipped.metadata.name}`;
  if (installed === undefined) return `${subject}: it is not installed, so nothing of its kind can exist; ${remedy}`;
  if (schemaOf(installed) === undefined) return `${subject}: it does not serve ${group}/${version}; ${remedy}`;
  const missing = missingMembers(shipped, installed);
  if (missing.length === 0) return undefined;
  const more = missing.length > mostNamed ? ` and ${missing.length - mostNamed} more` : '';
  return `${subject}: it is of an older version and lacks ${missing.slice(0, mostNamed).join(', ')}${more}, which the API server would drop without a word; ${remedy}`;
}

/** Paths of the members of our version that `wanted` has and `found` has not, outermost only. */
export function missingMembers(wanted: Definition, found: Definition): readonly string[] {
  return missingIn(schemaOf(wanted) ?? {}, schemaOf(found) ?? {}, []);
}

function missingIn(wanted: Schema, found: Schema, at: readonly string[]): readonly string[] {
  const own = Object.entries(wanted.properties ?? {}).flatMap(([name, schema]) => {
    const there = found.properties?.[name];
    return there === undefined ? [[...at, name].join('.')] : missingIn(schema, there, [...at, name]);
  });
  const inner = ([a, b]: readonly [Schema | boolean | undefined, Schema | boolean | undefined]): readonly string[] =>
    typeof a === 'object' && typeof b === 'object' ? missingIn(a, b, at) : [];
  return [
    ...own,
    ...inner([wanted.items, found.items]),
    ...inner([wanted.additionalProperties, found.additionalProperties]),
  ];
}

function schemaOf({ spec }: Definition): Schema | undefined {
  return spec.versions.find(({ name }) => name === version)?.schema?.openAPIV3Schema;
}
