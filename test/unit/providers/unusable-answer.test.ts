/** Which failed registrations were answered with something that is no answer, so that the next one would be answered so as well. */
import test from 'ava';
import { minute } from '#src/clock.ts';
import type { OperatorError } from '#src/errors.ts';
import type { HttpAnswer } from '#src/providers/http.ts';
import { surelyWithoutEffect, unusableAnswer } from '#src/providers/no-effect.ts';
import { UnusableAnswer, unreachable } from '#src/providers/unreachable.ts';
import { noon } from '#test/support/builders.ts';
import { VirtualClock } from '#test/support/virtual-clock.ts';
import { registrationOver } from './registration-over.ts';
import { failure, ScriptedHttp } from './scripted-http.ts';

const issuer = 'https://idp.example.com';
const clock = new VirtualClock(noon);

function refusedBy(answer: HttpAnswer | OperatorError): Promise<OperatorError> {
  const http = new ScriptedHttp(issuer, clock, () => (answer instanceof Error ? Promise.reject(answer) : answer));
  const registration = registrationOver(http, { issuer, clock });
  const desired = { scopes: [], audiences: [], maxTokenLifetime: minute, tag: 't', keys: [] };
  return failure(registration.register(desired as never, new AbortController().signal));
}

const answer = (status: number, body: string): HttpAnswer => ({ status, headers: {}, body });
const broken = (error: Error): OperatorError => unreachable(error, { issuer, now: noon });

for (const [title, given, unusable] of [
  ['a page', answer(200, '<!doctype html><p>Sign in'), /^200 without a JSON object$/],
  ['no client id', answer(201, '{"client_name":"ci"}'), /^201 without a usable client id$/],
  ['a client id that is a number', answer(201, '{"client_id":7}'), /^201 without a usable client id$/],
  ['an empty one', answer(201, '{"client_id":""}'), /^201 without a usable client id$/],
  ['one that is too long', answer(201, `{"client_id":"${'a'.repeat(513)}"}`), /^201 without a usable client id$/],
  ['202', answer(202, '{}'), /^answers something unexpected \(202\)$/],
  ['303', answer(303, ''), /^redirects, which is never followed \(303\)$/],
  [
    'too many bytes',
    broken(new UnusableAnswer('the answer has more than 9 bytes')),
    /^the answer has more than 9 bytes$/,
  ],
  ['500', answer(500, '{}'), undefined],
  ['a refusal', answer(400, '{"error":"invalid_client_metadata"}'), undefined],
  ['a refusal with a page', answer(403, '<!doctype html><p>blocked'), undefined],
  ['nothing', broken(new DOMException('late', 'TimeoutError')), undefined],
] as const)
  test(`a registration is answered with ${title}: ${unusable === undefined ? 'no unusable answer' : 'unusable'}`, async (t) => {
    const error = await refusedBy(given);
    const said = unusableAnswer(error);
    if (unusable === undefined) t.is(said, undefined);
    else {
      t.regex(said ?? '', unusable);
      t.false(surelyWithoutEffect(error), 'it may have made a client');
    }
  });
