import { readFileSync } from 'node:fs';
import test from 'ava';
import { parseAllDocuments } from 'yaml';
import { operatorNamespace, poolFinalizer } from '#src/api/names.ts';
import { readShippedDefinitions } from '#src/kube/definitions.ts';

interface Policy {
  readonly spec: {
    readonly matchConstraints: { readonly resourceRules: readonly { readonly resourceNames: readonly string[] }[] };
    readonly validations: readonly { readonly expression: string }[];
  };
}

test('what uninstall.ci-identity.dev keeps: the namespace of the records and every kind, for pools with the finalizer', (t) => {
  const [policy] = parseAllDocuments(readFileSync('manifests/controller/uninstall.yaml', 'utf8')).map((one): unknown =>
    one.toJS(),
  );
  const { matchConstraints, validations } = (policy as Policy).spec;
  const names = readShippedDefinitions().map(({ metadata }) => metadata.name);
  t.deepEqual(
    matchConstraints.resourceRules.flatMap(({ resourceNames }) => resourceNames).toSorted(),
    [operatorNamespace, ...names].toSorted(),
  );
  t.true(validations[0]?.expression.includes(`'${poolFinalizer}'`));
});
