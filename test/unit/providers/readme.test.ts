/** What the README of the providers shows is what the tests run. */
import { readFileSync } from 'node:fs';
import test from 'ava';
import { kcadmClient, kcadmSteps } from '#test/keycloak/kcadm.ts';

const read = (path: string): string => readFileSync(new URL(`../../../${path}`, import.meta.url), 'utf8');
const readme = read('src/providers/README.md');

function shown(mark: string): string {
  const [, rest = ''] = readme.split(`<!-- ${mark} -->`);
  return /```\w+\n(.*?)```/s.exec(rest)?.[1]?.trim() ?? '';
}

test("the administrator's steps for Keycloak", (t) => {
  const steps = kcadmSteps('ci', ['artifacts:publish'], { 'https://registry.example.com': 'registry-audience' });
  t.is(shown('kcadm'), steps);
});

for (const [mark, credential] of [
  ['kcadm-key', 'Certificate'],
  ['kcadm-secret', 'Secret'],
] as const) {
  test(`a client that an administrator makes by hand in Keycloak: ${mark}`, (t) => {
    t.is(shown(mark), kcadmClient('ci', 'jenkins', ['artifacts:publish', 'registry-audience'], credential));
  });
}

test('how a resource server checks a token', (t) => {
  const [, region = ''] = read('test/quickstart/validate.ts').split(/\/\/ #(?:end)?region.*\n/);
  t.is(shown('validate'), region.trim());
});
