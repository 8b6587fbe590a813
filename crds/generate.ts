/**
 * `npm run generate`: makes the types of `src/api/v1alpha1` from the CRDs of this folder. The CRDs are the source, the types are checked in,
 * and `test/unit/generated.test.ts` compares the two.
 */
import { readFile, writeFile } from 'node:fs/promises';
import { type JSONSchema, compile } from 'json-schema-to-typescript';
import { parse } from 'yaml';

/** The part of a structural schema that types are made of. */
export interface Schema {
  readonly description?: string;
  readonly type?: string;
  readonly properties?: Readonly<Record<string, Schema>>;
  readonly items?: Schema;
  readonly additionalProperties?: Schema;
  readonly enum?: readonly string[];
  readonly required?: readonly string[];
}

/** The part of a CustomResourceDefinition that is read here and in tests. */
export interface Definition {
  readonly spec: {
    readonly names: { readonly kind: string };
    readonly versions: readonly [{ readonly schema: { readonly openAPIV3Schema: Schema } }];
  };
}

const folder = new URL('./', import.meta.url);
const definitionFiles: readonly string[] = ['identitypools.yaml', 'scopepolicies.yaml', 'ciidentities.yaml'];

async function readDefinition(file: string): Promise<Definition> {
  return parse(await readFile(new URL(file, folder), 'utf8')) as Definition;
}

/** Every generated file: its place and its text. Writes nothing. */
export async function generate(): Promise<readonly { readonly file: URL; readonly text: string }[]> {
  return Promise.all(
    definitionFiles.map(async (source) => {
      const { kind, schema } = read(await readDefinition(source));
      const name = kind.replaceAll(/(?<!^)[A-Z]/g, '-$&').toLowerCase();
      return { file: new URL(`../src/api/v1alpha1/${name}.ts`, folder), text: await typesOf(kind, schema, source) };
    }),
  );
}

function read(definition: Definition): { readonly kind: string; readonly schema: Schema } {
  const { names, versions } = definition.spec;
  return { kind: names.kind, schema: versions[0].schema.openAPIV3Schema };
}

async function typesOf(kind: string, schema: Schema, source: string): Promise<string> {
  const text = await compile(toJsonSchema(schema, kind), kind, {
    additionalProperties: false,
    bannerComment: `/** Made from crds/${source} by \`npm run generate\`: edit that file instead. */\nimport type { Condition, ObjectMeta } from '../meta.ts';\n`,
    // The bounds are the API server's business; as tuple types they only get in the way.
    ignoreMinAndMaxItems: true,
    style: { printWidth: 120, singleQuote: true, bracketSpacing: true },
  });
  return asReadonly(text.replaceAll(/\/\*\*\n +\* (.*)\n +\*\//g, '/** $1 */'));
}

/** Gives every object a name made of its path, and puts in the types of `src/api/meta.ts`. `name` is the name of what is read. */
function toJsonSchema(schema: Schema, name: string): JSONSchema {
  if (schema.items !== undefined) {
    const item = name.endsWith('Conditions')
      ? { tsType: 'Condition' }
      : toJsonSchema(schema.items, name.replace(/s$/, ''));
    return { type: 'array', items: item, ...describe(schema) };
  }
  if (schema.additionalProperties !== undefined) {
    const value = toJsonSchema(schema.additionalProperties, `${name}Value`);
    return { type: 'object', additionalProperties: value, ...describe(schema) };
  }
  if (schema.properties === undefined)
    return { type: schema.type as 'string', ...describe(schema), ...(schema.enum && { enum: [...schema.enum] }) };
  const properties = Object.entries(schema.properties).map(
    ([key, value]) => [key, memberOf(name, key, value)] as const,
  );
  // Every object that the API server hands out has these.
  const always = 'metadata' in schema.properties ? ['apiVersion', 'kind', 'metadata'] : [];
  return {
    type: 'object',
    title: name,
    ...describe(schema),
    required: [...always, ...(schema.required ?? [])],
    properties: Object.fromEntries(properties),
  };
}

function memberOf(owner: string, key: string, schema: Schema): JSONSchema {
  if (key === 'metadata') return { tsType: 'ObjectMeta' };
  const parent = owner.replace(/Spec$/, '');
  return toJsonSchema(schema, `${parent}${key.charAt(0).toUpperCase()}${key.slice(1)}`);
}

function describe(schema: Schema): { readonly description?: string } {
  return schema.description === undefined ? {} : { description: schema.description };
}

/** json-schema-to-typescript knows no `readonly`; its output has one member per line, and objects in lists have names. */
function asReadonly(text: string): string {
  return text
    .replaceAll(/^( +)(\w+\??: |\[k: string\]: )/gm, '$1readonly $2')
    .replaceAll(/: (\w+|\([^()]+\))\[\];$/gm, ': readonly $1[];');
}

if (import.meta.main) {
  for (const { file, text } of await generate()) {
    await writeFile(file, text);
    console.log(`wrote ${file.pathname}`);
  }
}
