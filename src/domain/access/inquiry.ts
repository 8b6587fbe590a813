import type { CiIdentity } from '../../api/v1alpha1/ci-identity.ts';
import type { Known } from '../../decision.ts';
import { type AuthorizeInput, askedOf } from './authorize.ts';
import { type Verdict, judge } from './judge.ts';
import type { Question } from './rules.ts';

/** What somebody wants to know about an identity: everything, or one scope, one audience, or one pair. */
export interface Inquiry {
  readonly scope?: string;
  readonly audience?: string;
}

/** `NotAsked`: the identity does not ask for it; the message says what would become of it if it did. */
export interface Answer extends Omit<Verdict, 'outcome' | 'say'> {
  readonly outcome: Verdict['outcome'] | 'NotAsked';
  readonly message: string;
}

/**
 * Why an identity has what it has and has not what it has not, by the same verdicts that decide about tokens. At least one answer; a scope
 * that it does not ask for is judged as if it did. `Unknown`: an object that decides could not be read.
 */
export function answersTo(input: AuthorizeInput, inquiry: Inquiry): Known<readonly Answer[]> {
  const asked = askedOf(input);
  if (asked.is === 'Unknown') return asked;
  if (asked.is !== 'Question') return seen([{ ...asked.denial, ...inquiry, outcome: 'Denied' }]);
  const isAbout = ({ scope, audience }: Verdict): boolean =>
    (inquiry.scope === undefined || scope === inquiry.scope) &&
    (inquiry.audience === undefined || audience === undefined || audience === inquiry.audience);
  const answers = judge(asked.question)
    .verdicts.filter(isAbout)
    .map((verdict) => answerOf(verdict));
  return seen(answers.length > 0 ? answers : ifAsked(asked.question, inquiry));
}

function answerOf({ say, ...verdict }: Verdict, outcome: Answer['outcome'] = verdict.outcome): Answer {
  return { ...verdict, outcome, message: say() };
}

function ifAsked({ identity, ...rest }: Question, inquiry: Inquiry): readonly Answer[] {
  const spec: CiIdentity['spec'] = {
    ...identity.spec,
    ...(inquiry.scope === undefined ? {} : { scopes: [inquiry.scope] }),
    ...(inquiry.audience === undefined ? {} : { audiences: [inquiry.audience] }),
  };
  const { verdicts } = judge({ ...rest, identity: { ...identity, spec } });
  return verdicts.filter(({ outcome }) => outcome !== 'LeftOut').map((verdict) => answerOf(verdict, 'NotAsked'));
}

function seen(answers: readonly Answer[]): Known<readonly Answer[]> {
  return { is: 'Seen', value: answers };
}
