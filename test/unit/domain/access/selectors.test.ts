import test from 'ava';
import { isEmptySelector, matches, selectsPod } from '#src/domain/access/selectors.ts';
import { identity } from './objects.ts';

const labels = { team: 'payments', stage: '' };

for (const [what, selector, expected] of [
  ['no clause', {}, true],
  ['equal label', { matchLabels: { team: 'payments' } }, true],
  ['other value', { matchLabels: { team: 'search' } }, false],
  ['absent label', { matchLabels: { tier: '' } }, false],
  ['present and empty', { matchLabels: { stage: '' } }, true],
  ['one of two wrong', { matchLabels: { team: 'payments', stage: 'x' } }, false],
  ['In', { matchExpressions: [{ key: 'team', operator: 'In', values: ['search', 'payments'] }] }, true],
  ['In, absent key', { matchExpressions: [{ key: 'tier', operator: 'In', values: ['a'] }] }, false],
  ['In, other values', { matchExpressions: [{ key: 'team', operator: 'In', values: ['a'] }] }, false],
  ['NotIn, other values', { matchExpressions: [{ key: 'team', operator: 'NotIn', values: ['a'] }] }, true],
  ['NotIn, absent key', { matchExpressions: [{ key: 'tier', operator: 'NotIn', values: ['a'] }] }, true],
  ['NotIn, its value', { matchExpressions: [{ key: 'team', operator: 'NotIn', values: ['payments'] }] }, false],
  ['Exists', { matchExpressions: [{ key: 'stage', operator: 'Exists' }] }, true],
  ['Exists, absent key', { matchExpressions: [{ key: 'tier', operator: 'Exists' }] }, false],
  ['DoesNotExist', { matchExpressions: [{ key: 'tier', operator: 'DoesNotExist' }] }, true],
  ['DoesNotExist, present key', { matchExpressions: [{ key: 'team', operator: 'DoesNotExist' }] }, false],
  ['unknown operator', { matchExpressions: [{ key: 'team', operator: 'Gt', values: ['1'] }] }, false],
  ['a name that every object has', { matchExpressions: [{ key: 'toString', operator: 'Exists' }] }, false],
  [
    'labels and expressions',
    { matchLabels: { team: 'payments' }, matchExpressions: [{ key: 'tier', operator: 'Exists' }] },
    false,
  ],
] as const) {
  test(`selector: ${what} → ${expected}`, (t) => t.is(matches(selector, labels), expected));
}

test('an empty selector is one without a clause', (t) => {
  t.true(isEmptySelector({}));
  t.true(isEmptySelector({ matchLabels: {}, matchExpressions: [] }));
  t.false(isEmptySelector({ matchLabels: { a: 'b' } }));
});

const agent = { 'jenkins/label': 'maven' };
for (const [what, spec, podLabels, containers, expected] of [
  ['an agent pod', {}, agent, ['jnlp'], true],
  ['a pod without the label of the plugin', {}, { app: 'web' }, ['web'], false],
  ['labels alone', {}, agent, undefined, true],
  ['its own selector', { agents: { podSelector: { matchLabels: { app: 'web' } } } }, { app: 'web' }, ['web'], true],
  ['its own selector, no match', { agents: { podSelector: { matchLabels: { app: 'web' } } } }, agent, ['jnlp'], false],
  ['one of its containers', { delivery: { containers: ['maven', 'kaniko'] } }, agent, ['jnlp', 'kaniko'], true],
  ['none of its containers', { delivery: { containers: ['maven'] } }, agent, ['jnlp'], false],
] as const) {
  test(`selectsPod: ${what} → ${expected}`, (t) => {
    t.is(selectsPod(identity(spec as object), podLabels as Record<string, string>, containers), expected);
  });
}
