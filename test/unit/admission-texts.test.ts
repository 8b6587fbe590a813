import { readdirSync, readFileSync } from 'node:fs';
import test from 'ava';
import { parse } from 'yaml';
import {
  annotations,
  apiVersion,
  claimPrefix,
  deliverySecretName,
  labels,
  mountPath,
  operatorNamespace,
  operatorServiceAccount,
  secretTypes,
  volumeName,
} from '#src/api/names.ts';
import { readShippedPolicies } from '#src/kube/guard.ts';

const directory = new URL('../../manifests/admission/', import.meta.url);
const shipped = readShippedPolicies();

interface Named {
  readonly name: string;
  readonly expression: string;
}

interface Selector {
  readonly matchLabels: Readonly<Record<string, string>>;
}

interface PolicySpec {
  readonly failurePolicy: string;
  readonly paramKind?: { readonly apiVersion: string; readonly kind: string };
  readonly matchConstraints: { readonly namespaceSelector?: Selector; readonly objectSelector?: Selector };
  readonly matchConditions?: readonly Named[];
  readonly variables?: readonly Named[];
  readonly validations?: readonly {
    readonly expression: string;
    readonly messageExpression?: string;
    readonly message?: string;
    readonly reason: string;
  }[];
  readonly auditAnnotations?: readonly { readonly key: string; readonly valueExpression: string }[];
  readonly mutations?: readonly { readonly jsonPatch: { readonly expression: string } }[];
}

function spec(name: string): PolicySpec {
  const found = shipped.find((p) => p.name === `${name}.ci-identity.dev` && p.kind.endsWith('Policy'));
  return found!.spec as PolicySpec;
}

function named(list: readonly Named[] | undefined, name: string): string {
  return list!.find((entry) => entry.name === name)!.expression.replace(/\s+/g, ' ');
}

function text(name: string): string {
  return readFileSync(new URL(`${name}.yaml`, directory), 'utf8');
}

test('the three copies of the selector say the same', (t) => {
  const selector =
    /!\('kubernetes\.io\/config\.mirror'.* : 'jenkins\/label' in object\.metadata\.\?labels\.orValue\(\{\}\)\) &&/;
  const copies = [
    named(spec('inject').matchConditions, 'due'),
    named(spec('identities').matchConditions, 'wrong'),
    named(spec('identities').variables, 'selected'),
  ].map((expression) => selector.exec(expression)?.[0]);
  t.true(copies[0] !== undefined && copies[0].length > 500);
  t.is(copies[1], copies[0]);
  t.is(copies[2], copies[0]);
});

test('which containers are chosen is said in the same words everywhere', (t) => {
  const chosen = '!params.spec.?delivery.?containers.hasValue() || c.name in params.spec.delivery.containers)';
  const exists = `object.spec.containers.exists(c, ${chosen}`;
  const filter = `variables.containers.filter(c, ${chosen}`;
  t.true(named(spec('inject').matchConditions, 'due').includes(`${exists} && has(object.metadata.name)`));
  t.true(named(spec('identities').matchConditions, 'wrong').includes(`${exists}) ||`));
  t.is(named(spec('identities').variables, 'chosen'), filter);
  t.true(named(spec('identities').variables, 'selected').endsWith('&& size(variables.chosen) > 0'));
  t.true(spec('identities').validations![4]!.expression.includes(`(${chosen})`));
  const each = `object.spec.containers.transformList(i, c, ${chosen.slice(0, -1)},`;
  t.is(spec('inject').mutations![0]!.jsonPatch.expression.split(each).length, 3);
});

test('the locked annotations are the ones that names.ts has, in both directions of the rule', (t) => {
  const locked = `['${annotations.requester}', '${annotations.defaultIdentity}', '${annotations.identities}']`;
  const { message } = spec('claims').validations![0]!;
  t.deepEqual(
    spec('claims').validations!.map(({ expression }) => expression),
    ['variables.tooMany', '!variables.tooMany'],
    'whatever comes through the match condition is refused',
  );
  for (const copy of [named(spec('claims').matchConditions, 'changed'), named(spec('claims').variables, 'changed')]) {
    t.is(copy.split(`k.startsWith('${claimPrefix}') || k in ${locked}`).length, 3);
    t.is(copy.match(/ in \[/g)?.length, 2);
  }
  const relabelled = named(spec('claims').variables, 'relabelled');
  t.is(relabelled.split(`labels[?'${labels.injected}'].orValue('')`).length, 3);
  t.true(named(spec('claims').matchConditions, 'changed').startsWith(`${relabelled} ||`));
  t.true(named(spec('claims').matchConditions, 'changed').includes(`${locked}.exists(k,`));
  t.is(
    message,
    'annotations identity.ci-identity.dev/… and ci-identity.dev/{requester,default,identities} and label ci-identity.dev/injected are set when a pod is created and never change',
  );
  for (const copy of [
    named(spec('bindings').matchConditions, 'claiming'),
    named(spec('bindings').variables, 'carried'),
  ])
    t.is(copy.split(`k.startsWith('${claimPrefix}') || k in ${locked}`).length, 2);
  t.true(
    named(spec('bindings').matchConditions, 'claiming').startsWith(
      `has(object.metadata.labels) && '${labels.injected}' in object.metadata.labels ||`,
    ),
  );
  t.deepEqual(
    spec('bindings').validations!.map(({ expression }) => expression),
    ['variables.tooMany', '!variables.tooMany'],
  );
});

test('every policy that refuses says in the audit log of the API server that it did', (t) => {
  for (const { name, kind, spec: raw } of shipped) {
    if (kind !== 'ValidatingAdmissionPolicy') continue;
    const { validations = [], auditAnnotations = [] } = raw as PolicySpec;
    t.true(validations.length > 0 && auditAnnotations.length > 0, name);
  }
});

test('names in the policies are those of names.ts', (t) => {
  const operator = `system:serviceaccount:${operatorNamespace}:${operatorServiceAccount}`;
  t.is(named(spec('secrets').variables, 'operator'), `request.userInfo.username == '${operator}'`);
  t.true(named(spec('secrets').matchConditions, 'wrong').startsWith(`request.userInfo.username == '${operator}' ?`));
  t.deepEqual(spec('secrets').matchConstraints.namespaceSelector, {
    matchExpressions: [{ key: 'kubernetes.io/metadata.name', operator: 'NotIn', values: [operatorNamespace] }],
  });
  t.is(text('secrets').split(`'${secretTypes.token}'`).length, 4);
  t.is(named(spec('inject').variables, 'dir'), `'${mountPath('')}' + variables.id`);
  t.is(named(spec('identities').variables, 'dir'), `'${mountPath('')}' + variables.id`);
  t.is(named(spec('inject').variables, 'volume'), `'${volumeName('')}' + variables.id`);
  t.is(deliverySecretName('a', 'b'), `${volumeName('a')}.b`);
  for (const name of ['use', 'pods']) {
    t.is(
      spec(name)
        .variables!.find((v) => v.name === 'ids')!
        .expression.match(/substring\((\d+)\)/)?.[1],
      String(claimPrefix.length),
      name,
    );
  }
  t.deepEqual(
    [...text('pods').matchAll(/name\.substring\((\d+)\)/g)].map((m) => m[1]),
    Array(5).fill(String(volumeName('').length)),
  );
});

test('inject and identities look at the same namespaces and parameters', (t) => {
  for (const name of ['inject', 'identities']) {
    t.deepEqual(spec(name).matchConstraints.namespaceSelector, { matchLabels: { [labels.inject]: 'enabled' } });
    t.deepEqual(spec(name).paramKind, { apiVersion, kind: 'CiIdentity' });
  }
  for (const name of ['use', 'claims', 'bindings', 'pods', 'secrets']) {
    t.is(spec(name).paramKind, undefined, `${name} must not depend on a cache of parameters`);
    if (name !== 'secrets')
      t.is(spec(name).matchConstraints.namespaceSelector, undefined, `${name} covers all namespaces`);
  }
});

test('use and claims look at the pods with the label that injection writes; pods refuses claims without it; nobody else selects objects', (t) => {
  const labelled = { matchLabels: { [labels.injected]: 'true' } };
  for (const name of ['use', 'claims']) t.deepEqual(spec(name).matchConstraints.objectSelector, labelled, name);
  for (const name of ['inject', 'identities', 'bindings', 'pods', 'secrets'])
    t.is(spec(name).matchConstraints.objectSelector, undefined, name);
  t.true(
    spec('inject').mutations![0]!.jsonPatch.expression.includes(
      `path: '/metadata/labels/' + jsonpatch.escapeKey('${labels.injected}'), value: 'true'}`,
    ),
  );
  const label = `object.metadata.?labels[?'${labels.injected}'].orValue('')`;
  t.true(named(spec('inject').matchConditions, 'due').includes(`|| ${label} != 'true' ||`));
  t.true(named(spec('pods').matchConditions, 'wrong').includes(` : ${label} != 'true' ||`));
  t.is(
    spec('pods').validations!.at(-1)!.expression,
    `!variables.create || size(variables.ids) == 0 || ${label} == 'true'`,
  );
});

test('use checks each of twelve claims twice, with the same words', (t) => {
  const rules = spec('use').validations!.slice(1);
  t.is(rules.length, 24);
  const generic = rules.map((rule, i) => {
    const index = Math.floor(i / 2);
    const open = (s: string): string =>
      s
        .replaceAll(`ids[${index}]`, 'ids[N]')
        .replace(`size(variables.ids) <= ${index} ||`, 'size(variables.ids) <= N ||');
    return { expression: open(rule.expression), messageExpression: open(rule.messageExpression!) };
  });
  for (const [i, rule] of generic.entries()) t.deepEqual(rule, generic[i % 2]!, `validation ${i + 1}`);
  t.true(
    generic[0]!.expression.startsWith('size(variables.ids) <= N ||') &&
      generic[0]!.expression.includes('authorizer.group('),
  );
  t.true(generic[1]!.expression.includes('!authorizer.serviceAccount('));
});

test('the match condition of use asks what its validations ask, of as many claims as its budget allows', (t) => {
  const wrong = named(spec('use').matchConditions, 'wrong');
  const [creator, account] = spec('use').validations!.slice(1, 3);
  const asked = /(?<=> 12 \|\| !?)authorizer\..*$/;
  const words = [creator!, account!].map(({ expression }) =>
    asked
      .exec(expression)![0]
      .replace('variables.ids[0]', 'k.substring(25)')
      .replace('variables.serviceAccount', named(spec('use').variables, 'serviceAccount')),
  );
  t.true(wrong.endsWith(` !${words[0]} || ${words[1]})))`), wrong);
  // One check costs 350,000 of the 1,000,000 that one expression may spend.
  const claims = Number(/> (\d+) \|\|/.exec(wrong)?.[1]);
  t.true(claims >= 1 && claims * 2 * 350_000 < 1_000_000);
});

test('everything fails closed, denies with 403 and has a sentence', (t) => {
  for (const name of ['inject', 'use', 'identities', 'claims', 'bindings', 'pods', 'secrets']) {
    t.is(spec(name).failurePolicy, 'Fail', name);
    for (const rule of spec(name).validations ?? []) {
      t.is(rule.reason, 'Forbidden', name);
      t.true((rule.message ?? rule.messageExpression ?? '').length > 20, name);
    }
  }
  for (const binding of shipped.filter((p) => p.kind === 'ValidatingAdmissionPolicyBinding')) {
    const bound = binding.spec as {
      policyName: string;
      validationActions: readonly string[];
      matchResources?: unknown;
    };
    t.is(bound.policyName, binding.name);
    t.deepEqual(bound.validationActions, ['Deny']);
    t.is(bound.matchResources, undefined);
  }
});

test('pods looks away only where none of its rules finds a name of ours', (t) => {
  const { matchConditions, variables, validations } = spec('pods');
  const wrong = named(matchConditions, 'wrong');
  const rules = [named(variables, 'badVolumes'), ...validations!.map(({ expression }) => expression)].join(' ');
  const looks = [...rules.matchAll(/\w(?:\.\?\w+)+\.orValue\(''\)\.startsWith\('ci-identity-'\)/g)].map(
    ([look]) => look,
  );
  t.is(looks.length, 14);
  // The same in other words: `has(v.csi) && v.csi.?x…` for `v.?csi.?x…`; sources are looked at where `has(v.projected)`.
  for (const look of looks) {
    const guarded = look.replace(/^(\w)\.\?(\w+)(?=\.\?)/, 'has($1.$2) && $1.$2');
    t.true(wrong.includes(guarded), guarded);
  }
  t.true(wrong.includes("v.name.startsWith('ci-identity-')"));
  for (const key of [annotations.identities, annotations.requester, annotations.defaultIdentity])
    t.true(wrong.includes(`'${key}' in object.metadata.annotations`), key);
  t.true(wrong.includes(`k.startsWith('${claimPrefix}') &&`));
  for (const list of ['object.spec.containers', 'object.spec.?initContainers', 'object.spec.ephemeralContainers'])
    t.true(wrong.includes(list), list);
});

test('nothing of a pod is looked through, in any policy, before it is known to have few entries', (t) => {
  const plain = (expression: string): string =>
    expression.replaceAll('.?', '.').replace(/\.orValue\((\[\]|\{\})\)/g, '');
  for (const name of ['inject', 'use', 'identities', 'claims', 'bindings', 'pods']) {
    const { matchConditions = [], variables = [], validations = [], mutations = [] } = spec(name);
    const expressions = plain(
      [
        ...[...matchConditions, ...variables].map(({ expression }) => expression),
        ...validations.flatMap(({ expression, messageExpression }) => [expression, messageExpression ?? '']),
        ...mutations.map(({ jsonPatch }) => jsonPatch.expression),
      ].join('\n'),
    );
    const folds = expressions.matchAll(
      /\b((?:object|oldObject|c|v)(?:\.\w+)+)\)?\.(?:exists|all|filter|map|transformList)\(/g,
    );
    const sizes = [...expressions.matchAll(/size\(([^()]*)\) (?:>|<=) (?:2000|64)\b/g)].flatMap(([, of]) =>
      of!.split(' + '),
    );
    if (/\.map\(c, size\(c\.env\) \+ size\(c\.volumeMounts\)\)\.sum\(\) (?:>|<=) 1000\b/.test(expressions))
      sizes.push('c.env', 'c.volumeMounts');
    const lists = new Set([...folds].map(([, list]) => list!));
    t.true(lists.size > 0, name);
    for (const list of lists) t.true(sizes.includes(list), `${name}: ${list}`);
    t.deepEqual(new Set(expressions.match(/(?<=size\([^()]*\) (?:>|<=) )\d{4,}/g)), new Set(['2000']), name);
  }
});

test('inject and identities look through as many containers and entries in them, which each identity repeats', (t) => {
  const all = 'object.spec.containers + object.spec.?initContainers.orValue([])';
  const entriesOf = (list: string): string =>
    `(${list}).map(c, size(c.?env.orValue([])) + size(c.?volumeMounts.orValue([]))).sum()`;
  const due = named(spec('inject').matchConditions, 'due');
  // The API server itself refuses ephemeral containers before validation.
  for (const [condition, list] of [
    [due, `${all} + object.spec.?ephemeralContainers.orValue([])`],
    [named(spec('identities').matchConditions, 'wrong'), all],
  ] as const)
    for (const few of [`size(${list}) <= 64 &&`, `${entriesOf(list)} <= 1000 &&`]) t.true(condition.includes(few), few);
  t.is(named(spec('identities').variables, 'large'), `size(${all}) > 64 || ${entriesOf(all)} > 1000`);
  t.true(due.startsWith('size(object.spec.containers) <= 64 &&'), 'the selector looks through containers');
});

test('the second run of the mutation ends only where the first wrote everything', (t) => {
  const { matchConditions, variables, mutations } = spec('inject');
  const due = named(matchConditions, 'due');
  const written = [named(variables, 'wanted'), named(variables, 'claim'), mutations![0]!.jsonPatch.expression].join(
    ' ',
  );
  const suffixes = [...written.matchAll(/variables\.env \+ '(\w+)'/g)].map(([, name]) => name!);
  t.is(suffixes.length, 3, suffixes.join());
  for (const suffix of suffixes) t.true(due.includes(`'${suffix}'`), suffix);
  for (const part of [
    'identity.ci-identity.dev/',
    'ci-identity.dev/requester',
    'ci-identity.dev/default',
    'CI_IDENTITY_TOKEN_FILE',
    'CI_IDENTITY_POD_UID',
    'readOnly',
    'mountPath',
  ])
    t.true(written.includes(part) && due.includes(part), part);
});

test('the kustomization lists every policy file', (t) => {
  const files = readdirSync(directory).filter((file) => file !== 'kustomization.yaml' && file.endsWith('.yaml'));
  const { resources } = parse(text('kustomization')) as { resources: readonly string[] };
  t.deepEqual(resources.toSorted(), files.toSorted());
  t.is(files.length, 8);
});

test('expressions are literal blocks: folded ones are read differently by different YAML parsers', (t) => {
  for (const file of readdirSync(directory))
    t.notRegex(readFileSync(new URL(file, directory), 'utf8'), /: >[-+]?$/m, file);
});
