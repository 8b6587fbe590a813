import { readFile, readdir } from 'node:fs/promises';
import test from 'ava';
import { parseAllDocuments } from 'yaml';
import { parseDuration } from '#src/clock.ts';
import { apiVersion, group, version } from '#src/api/names.ts';
import { conditionTypes } from '#src/api/reasons.ts';
import { type CrdSchema, kinds, nodesOf, plurals, readCrd, schemaOf } from '#test/api/crds-schema.ts';

const samples = new URL('../../manifests/samples/', import.meta.url);

/** Lints after gateway-api's and cluster-api's kube-api-linter: what every node of the schema has to have. */
const lints: readonly { readonly name: string; readonly breaks: (schema: CrdSchema, path: string) => boolean }[] = [
  {
    name: 'has a description',
    breaks: ({ description }) =>
      !/^\w.*\.$/s.test(description ?? '') && !/^(ci-identity\.dev\/v1alpha1|[A-Z]\w+)$/.test(description ?? ''),
  },
  { name: 'has a type', breaks: ({ type }) => type === undefined },
  { name: 'is no floating point number', breaks: ({ type }) => type === 'number' },
  {
    name: 'has no default, but for the status: it would be a difference to Git',
    breaks: (schema, path) => 'default' in schema && path !== 'status',
  },
  {
    name: 'has a list type and a bound, if it is a list',
    breaks: (schema) =>
      schema.type === 'array' && (schema['x-kubernetes-list-type'] === undefined || schema.maxItems === undefined),
  },
  {
    name: 'has a key, if it is a map list',
    breaks: (schema) =>
      schema['x-kubernetes-list-type'] === 'map' && (schema['x-kubernetes-list-map-keys'] ?? []).length === 0,
  },
  {
    name: 'has a bound, if it is a map',
    breaks: (schema) => schema.additionalProperties !== undefined && schema.maxProperties === undefined,
  },
  {
    name: 'has a bound, if it is text',
    breaks: (schema) =>
      schema.type === 'string' &&
      schema.maxLength === undefined &&
      schema.enum === undefined &&
      schema.format !== 'date-time',
  },
  {
    name: 'has a size, if it is a number',
    breaks: ({ type, format }) => type === 'integer' && format !== 'int32' && format !== 'int64',
  },
  { name: 'is no phase', breaks: (_, path) => path.endsWith('.phase') },
  { name: 'is called Ref, not Reference', breaks: (_, path) => path.endsWith('Reference') },
  { name: 'refuses with a sentence, not with a pattern', breaks: ({ pattern }) => pattern !== undefined },
  {
    name: 'keeps to what CEL can afford',
    breaks: ({ maxItems = 0, maxLength = 0 }, path) => maxItems > 64 || (maxLength > 317 && !path.startsWith('status')),
  },
];

for (const kind of kinds) {
  for (const { name, breaks } of lints) {
    test(`${kind}: every field ${name}`, async (t) => {
      const nodes = nodesOf(schemaOf(await readCrd(kind))).filter(
        ({ path }) => path !== 'metadata' && path !== 'apiVersion' && path !== 'kind',
      );
      t.deepEqual(
        nodes.filter(({ path, schema }) => breaks(schema, path)).map(({ path }) => path),
        [],
      );
    });
  }

  test(`${kind}: no keyword of the schema is unknown to these tests`, async (t) => {
    const known = new Set([
      'default',
      'description',
      'type',
      'format',
      'properties',
      'items',
      'additionalProperties',
      'enum',
      'required',
      'minLength',
      'maxLength',
      'minItems',
      'maxItems',
      'maxProperties',
      'minimum',
      'maximum',
      'x-kubernetes-list-type',
      'x-kubernetes-list-map-keys',
      'x-kubernetes-validations',
    ]);
    const used = new Set(nodesOf(schemaOf(await readCrd(kind))).flatMap(({ schema }) => Object.keys(schema)));
    t.deepEqual(
      [...used].filter((keyword) => !known.has(keyword)),
      [],
    );
  });

  test(`${kind}: names, versions and columns`, async (t) => {
    const { metadata, spec } = await readCrd(kind);
    t.is(metadata.name, `${plurals[kind]}.${group}`);
    t.is(spec.scope, kind === 'CiIdentity' ? 'Namespaced' : 'Cluster');
    t.is(spec.names.kind, kind);
    t.is(spec.names.listKind, `${kind}List`);
    t.is(spec.names.singular, kind.toLowerCase());
    t.deepEqual(spec.names.categories, ['ci-identity']);
    t.is(spec.names.shortNames.length, 1);
    t.deepEqual(
      spec.versions.map(({ name }) => name),
      [version],
    );
    const [{ subresources, additionalPrinterColumns: columns }] = spec.versions;
    t.deepEqual(subresources, { status: {} });
    t.deepEqual(
      columns.filter(({ type }) => type === 'date').map(({ name }) => name),
      kind === 'IdentityPool' ? ['Credential Age', 'Age'] : ['Age'],
      'a date column shows ages of the past',
    );
    t.is(columns.at(-1)?.name, 'Message');
  });

  test(`${kind}: status begins with the conditions and names each of them`, async (t) => {
    const status = schemaOf(await readCrd(kind)).properties?.['status']?.properties ?? {};
    t.is(Object.keys(status)[0], 'conditions');
    t.true('observedGeneration' in status);
    const { description = '', items } = status['conditions'] ?? {};
    const own = Object.entries(conditionTypes).filter(
      ([, text]) => text.startsWith(`${kind}: `) || /^(Summary|kstatus): /.test(text),
    );
    t.deepEqual(
      own.filter(([type]) => !description.includes(type)).map(([type]) => type),
      [],
    );
    t.is(items?.properties?.['message']?.maxLength, 2048);
  });
}

test('one sentence stands for one rule, in all three kinds', async (t) => {
  const rules = new Map<string, Set<string>>();
  for (const kind of kinds) {
    for (const { schema } of nodesOf(schemaOf(await readCrd(kind)))) {
      for (const { message, rule } of schema['x-kubernetes-validations'] ?? []) {
        rules.set(message, (rules.get(message) ?? new Set()).add(rule));
      }
    }
  }
  t.true(rules.size > 30);
  t.deepEqual(
    [...rules].filter(([, texts]) => texts.size > 1).map(([message]) => message),
    [],
  );
});

test('a sentence is no shouting, ends without a full stop and fits into one line of a log', async (t) => {
  for (const kind of kinds) {
    for (const { path, schema } of nodesOf(schemaOf(await readCrd(kind)))) {
      for (const { message } of schema['x-kubernetes-validations'] ?? []) {
        t.regex(message, /^[\w'. -]+[^\n]*[^.!]$/, path);
        t.true(message.length <= 300, `${path}: ${message}`);
      }
    }
  }
});

test('what the admission policies rely on is as it was when they were proven', async (t) => {
  const nodes = new Map(nodesOf(schemaOf(await readCrd('CiIdentity'))).map(({ path, schema }) => [path, schema]));
  const bound = (path: string, keyword: keyof CrdSchema): unknown => nodes.get(path)?.[keyword];
  t.is(
    nodes.get('')?.['x-kubernetes-validations']?.[0]?.rule,
    "self.metadata.name.matches('^[a-z0-9]([-a-z0-9]*[a-z0-9])?$') && size(self.metadata.name) <= 50",
  );
  const relied: readonly (readonly [string, keyof CrdSchema, number])[] = [
    ['spec.pool', 'maxLength', 63],
    ['spec.roles', 'maxItems', 64],
    ['spec.roles[]', 'maxLength', 63],
    ['spec.agents.podSelector.matchLabels', 'maxProperties', 16],
    ['spec.agents.podSelector.matchLabels{}', 'maxLength', 63],
    ['spec.agents.podSelector.matchExpressions', 'maxItems', 16],
    ['spec.agents.podSelector.matchExpressions[].key', 'maxLength', 317],
    ['spec.agents.podSelector.matchExpressions[].values', 'maxItems', 32],
    ['spec.agents.podSelector.matchExpressions[].values[]', 'maxLength', 63],
    ['spec.delivery.containers', 'minItems', 1],
    ['spec.delivery.containers', 'maxItems', 16],
    ['spec.delivery.containers[]', 'maxLength', 63],
    ['status.conditions', 'maxItems', 16],
    ['status.conditions[].message', 'maxLength', 2048],
  ];
  for (const [path, keyword, value] of relied) t.is(bound(path, keyword), value, `${path} ${keyword}`);
});

test('the label selectors of the two kinds are the same', async (t) => {
  const find = async (kind: 'ScopePolicy' | 'CiIdentity', path: string): Promise<object> => {
    const { properties } = nodesOf(schemaOf(await readCrd(kind))).find((node) => node.path === path)?.schema ?? {};
    const text = JSON.stringify(properties, (key, value: unknown) => (key === 'description' ? undefined : value));
    return JSON.parse(text) as object;
  };
  t.deepEqual(
    await find('ScopePolicy', 'spec.rules[].namespaceSelector'),
    await find('CiIdentity', 'spec.agents.podSelector'),
  );
});

test('each duration that a description names is one', async (t) => {
  for (const kind of kinds) {
    for (const { path, schema } of nodesOf(schemaOf(await readCrd(kind)))) {
      for (const [text] of (schema.description ?? '').matchAll(/\b\d+[a-z]\b/g))
        t.not(parseDuration(text), undefined, `${path}: ${text}`);
    }
  }
});

test('the smallest useful set has 23 lines', async (t) => {
  const text = await readFile(new URL('first-identity.yaml', samples), 'utf8');
  t.is(text.trimEnd().split('\n').length, 23);
  t.deepEqual(
    parseAllDocuments(text).map((document) => document.toJS() as unknown),
    [
      {
        apiVersion,
        kind: 'IdentityPool',
        metadata: { name: 'ci-bots' },
        spec: {
          provider: { issuer: 'https://idp.example.com/realms/ci' },
          ceiling: { scopes: ['artifacts:publish'], audiences: ['https://registry.example.com'] },
        },
      },
      {
        apiVersion,
        kind: 'ScopePolicy',
        metadata: { name: 'publishers' },
        spec: {
          rules: [{ role: 'publisher', pool: 'ci-bots', namespaces: ['ci-payments'], scopes: ['artifacts:publish'] }],
        },
      },
      {
        apiVersion,
        kind: 'CiIdentity',
        metadata: { namespace: 'ci-payments', name: 'publisher' },
        spec: { pool: 'ci-bots', roles: ['publisher'] },
      },
    ],
  );
});

test('the long samples mention every field of the spec', async (t) => {
  for (const kind of kinds) {
    const text = await readFile(new URL(`${kind.toLowerCase()}.yaml`, samples), 'utf8');
    const fields = nodesOf(schemaOf(await readCrd(kind)))
      .filter(({ path }) => /^spec\.[\w.[\]]*$/.test(path) && !path.endsWith('[]'))
      .map(({ path }) => path.split('.').at(-1)?.replace('[]', '') ?? '')
      // Parts of a label selector are Kubernetes' own.
      .filter((field) => !['matchLabels', 'matchExpressions', 'key', 'operator', 'values'].includes(field));
    t.true(fields.length > 5, `${kind} has ${fields.length} fields`);
    t.deepEqual(
      [...new Set(fields)].filter((field) => !new RegExp(`\\b${field}:`).test(text)),
      [],
      kind,
    );
  }
});

test('kustomize installs all three', async (t) => {
  const text = await readFile(new URL('../../crds/kustomization.yaml', import.meta.url), 'utf8');
  const files = (await readdir(new URL('../../crds/', import.meta.url))).filter(
    (name) => name.endsWith('.yaml') && name !== 'kustomization.yaml',
  );
  t.is(files.length, kinds.length);
  t.true(files.every((name) => text.includes(`- ${name}\n`)));
});
