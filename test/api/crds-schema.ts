import { readFile } from 'node:fs/promises';
import { parse } from 'yaml';

/** A structural schema of a CRD, as far as tests look at it. */
export interface CrdSchema {
  readonly description?: string;
  readonly type?: string;
  readonly format?: string;
  readonly properties?: Readonly<Record<string, CrdSchema>>;
  readonly items?: CrdSchema;
  readonly additionalProperties?: CrdSchema;
  readonly enum?: readonly string[];
  readonly required?: readonly string[];
  readonly pattern?: string;
  readonly minLength?: number;
  readonly maxLength?: number;
  readonly minItems?: number;
  readonly maxItems?: number;
  readonly minProperties?: number;
  readonly maxProperties?: number;
  readonly minimum?: number;
  readonly maximum?: number;
  readonly 'x-kubernetes-list-type'?: 'set' | 'map' | 'atomic';
  readonly 'x-kubernetes-list-map-keys'?: readonly string[];
  readonly 'x-kubernetes-validations'?: readonly CelRule[];
}

export interface CelRule {
  readonly rule: string;
  readonly message: string;
  readonly fieldPath?: string;
  readonly reason?: string;
}

export interface Crd {
  readonly metadata: { readonly name: string };
  readonly spec: {
    readonly scope: 'Cluster' | 'Namespaced';
    readonly names: Readonly<Record<'kind' | 'plural' | 'singular' | 'listKind', string>> & {
      readonly shortNames: readonly string[];
      readonly categories: readonly string[];
    };
    readonly versions: readonly [CrdVersion, ...CrdVersion[]];
  };
}

export interface CrdVersion {
  readonly name: string;
  readonly subresources?: { readonly status?: object };
  readonly additionalPrinterColumns: readonly {
    readonly name: string;
    readonly type: string;
    readonly jsonPath: string;
    readonly priority?: number;
  }[];
  readonly schema: { readonly openAPIV3Schema: CrdSchema };
}

export type Kind = 'IdentityPool' | 'ScopePolicy' | 'CiIdentity';
export const kinds: readonly Kind[] = ['IdentityPool', 'ScopePolicy', 'CiIdentity'];
export const plurals: Readonly<Record<Kind, string>> = {
  IdentityPool: 'identitypools',
  ScopePolicy: 'scopepolicies',
  CiIdentity: 'ciidentities',
};

export async function readCrd(kind: Kind): Promise<Crd> {
  return parse(await readFile(new URL(`../../crds/${plurals[kind]}.yaml`, import.meta.url), 'utf8')) as Crd;
}

export function schemaOf(crd: Crd): CrdSchema {
  return crd.spec.versions[0].schema.openAPIV3Schema;
}

/** A node of the schema with its path: `spec.ceiling.scopes[]` is an item, `spec.provider.audience.scopes{}` a value of a map. */
export interface Node {
  readonly path: string;
  readonly schema: CrdSchema;
}

/** `schema` and everything below it. */
export function nodesOf(schema: CrdSchema, path = ''): readonly Node[] {
  const members = Object.entries(schema.properties ?? {}).map(
    ([key, member]) => [path === '' ? key : `${path}.${key}`, member] as const,
  );
  const below = [
    ...members,
    ...(schema.items === undefined ? [] : [[`${path}[]`, schema.items] as const]),
    ...(schema.additionalProperties === undefined ? [] : [[`${path}{}`, schema.additionalProperties] as const]),
  ];
  return [{ path, schema }, ...below.flatMap(([at, member]) => nodesOf(member, at))];
}

const bounds = [
  'pattern',
  'minLength',
  'maxLength',
  'minItems',
  'maxItems',
  'minProperties',
  'maxProperties',
  'minimum',
  'maximum',
  'enum',
] as const;

/** One thing that the API server checks: a bound, `required`, `duplicate` (a set or map list), or a CEL rule by its sentence. */
export function constraintsOf(schema: CrdSchema): readonly string[] {
  return nodesOf(schema)
    .filter(({ path }) => path === '' || path === 'spec' || path.startsWith('spec.'))
    .flatMap(({ path, schema: node }) => [
      ...bounds.filter((bound) => node[bound] !== undefined).map((bound) => `${path} ${bound}`),
      ...(node.required ?? []).map((name) => `${path === '' ? '' : `${path}.`}${name} required`),
      ...(['set', 'map'].includes(node['x-kubernetes-list-type'] ?? '') ? [`${path} duplicate`] : []),
      ...(node['x-kubernetes-validations'] ?? []).map(({ message }) => `${path} rule: ${message}`),
    ]);
}
