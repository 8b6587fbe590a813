import type { Clock } from '#src/clock.ts';
import { OperatorError } from '#src/errors.ts';
import { Http, type HttpAnswer, type HttpRequest } from '#src/providers/http.ts';

/** The wire to a provider whose answers the test gives; keeps what was sent. */
export class ScriptedHttp extends Http {
  readonly sent: HttpRequest[] = [];
  answer: (request: HttpRequest) => HttpAnswer | Promise<HttpAnswer>;

  constructor(issuer: string, clock: Clock, answer: (request: HttpRequest) => HttpAnswer | Promise<HttpAnswer>) {
    super({ issuer, clock, caBundle: () => undefined, allowPrivateNetwork: () => true });
    this.answer = answer;
  }

  override async send(request: HttpRequest): Promise<HttpAnswer> {
    this.sent.push(request);
    return this.answer(request);
  }
}

/** The error with which it ends; rejects where it succeeds, or ends with another. */
export function failure(work: Promise<unknown>): Promise<OperatorError> {
  return work.then(
    () => Promise.reject(new Error('it succeeded')),
    (error: unknown) => (error instanceof OperatorError ? error : Promise.reject(error as Error)),
  );
}

export function json(status: number, body: object, headers: Readonly<Record<string, string>> = {}): HttpAnswer {
  return { status, headers, body: JSON.stringify(body) };
}
