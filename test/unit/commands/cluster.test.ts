/** What an answer of the API server's authorizers means for `explain` and `simulate`. */
import test from 'ava';
import { Cluster } from '#src/commands/cluster.ts';
import type { ApiConnection } from '#src/kube/connection.ts';
import { noon } from '#test/support/builders.ts';

const evaluationError = 'Post "https://authorizer.example.com/authorize": context deadline exceeded';
const rows = [
  ['is held', 201, { status: { allowed: true } }, true],
  ['is held, and another authorizer is away', 201, { status: { allowed: true, evaluationError } }, true],
  ['is not held', 201, { status: { allowed: false } }, false],
  ['is not known while an authorizer is away', 201, { status: { allowed: false, evaluationError } }, undefined],
  ['is not known to a caller who may not ask', 403, {}, undefined],
] as const;

for (const [title, status, body, then] of rows)
  test(`a right ${title}`, async (t) => {
    const answer = { status, headers: {}, body, at: noon };
    const connection = { request: () => Promise.resolve(answer) } as unknown as ApiConnection;
    const cluster = new Cluster({
      connection,
      context: 'here',
      namespace: 'ci-payments',
      operatorNamespace: 'ci-identity-system',
      signal: new AbortController().signal,
    });
    t.is(await cluster.may('jenkins', { verb: 'use', resource: 'ciidentities' }), then);
  });
