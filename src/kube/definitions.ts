import { readFileSync } from 'node:fs';
import { parse } from 'yaml';
import { group, version } from '../api/names.ts';
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
  readonly metadata: { readonly name: string };
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

/** `installed`: `undefined` where it does not exist. */
export function problemOf(shipped: Definition, installed: Definition | undefined): string | undefined {
  const subject = `CustomResourceDefinition ${shipped.metadata.name}`;
  if (installed === undefined) return `${subject}: it is not installed, so nothing of its kind can exist; ${remedy}`;
  const [wanted, found] = [schemaOf(shipped), schemaOf(installed)];
  if (found === undefined) return `${subject}: it does not serve ${group}/${version}; ${remedy}`;
  const missing = missingMembers(wanted ?? {}, found);
  if (missing.length === 0) return undefined;
  const more = missing.length > mostNamed ? ` and ${missing.length - mostNamed} more` : '';
  return `${subject}: it is of an older version and lacks ${missing.slice(0, mostNamed).join(', ')}${more}, which the API server would drop without a word; ${remedy}`;
}

/** Paths of the members that `wanted` has and `found` has not, outermost only. */
export function missingMembers(wanted: Schema, found: Schema, at: readonly string[] = []): readonly string[] {
  const own = Object.entries(wanted.properties ?? {}).flatMap(([name, schema]) => {
    const there = found.properties?.[name];
    return there === undefined ? [[...at, name].join('.')] : missingMembers(schema, there, [...at, name]);
  });
  const inner = ([a, b]: readonly [Schema | boolean | undefined, Schema | boolean | undefined]): readonly string[] =>
    typeof a === 'object' && typeof b === 'object' ? missingMembers(a, b, at) : [];
  return [
    ...own,
    ...inner([wanted.items, found.items]),
    ...inner([wanted.additionalProperties, found.additionalProperties]),
  ];
}

function schemaOf({ spec }: Definition): Schema | undefined {
  return spec.versions.find(({ name }) => name === version)?.schema?.openAPIV3Schema;
}
