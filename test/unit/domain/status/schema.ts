import { readFileSync } from 'node:fs';
import { Ajv } from 'ajv';
import { parse } from 'yaml';

interface Schema {
  readonly properties?: Readonly<Record<string, Schema>>;
  readonly items?: Schema;
  readonly [keyword: string]: unknown;
}

/** What is wrong with a status in the eyes of the CRD; a member that the CRD does not know is wrong too, because it would be pruned. */
export function statusProblems(file: string): (status: unknown) => readonly string[] {
  const crd = parse(readFileSync(new URL(`../../../../crds/${file}`, import.meta.url), 'utf8')) as {
    readonly spec: { readonly versions: readonly [{ readonly schema: { readonly openAPIV3Schema: Schema } }] };
  };
  const status = crd.spec.versions[0].schema.openAPIV3Schema.properties?.['status'];
  const validate = new Ajv({ strict: false, validateFormats: false, allErrors: true }).compile(
    closed(status ?? { not: {} }),
  );
  return (value) => {
    validate(structuredClone(value));
    return (validate.errors ?? []).map(
      ({ instancePath, message, params }) => `${instancePath} ${message} ${JSON.stringify(params)}`,
    );
  };
}

function closed(schema: Schema): Schema {
  return {
    ...schema,
    ...(schema.items === undefined ? {} : { items: closed(schema.items) }),
    ...(schema.properties === undefined
      ? {}
      : {
          properties: Object.fromEntries(Object.entries(schema.properties).map(([name, one]) => [name, closed(one)])),
          additionalProperties: false,
        }),
  };
}
