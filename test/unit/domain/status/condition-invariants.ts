import type { Condition } from '#src/api/meta.ts';
import { conditionTypes, reasons } from '#src/api/reasons.ts';
import { parseRfc3339 } from '#src/clock.ts';

interface Observed {
  readonly observedGeneration?: number;
  readonly conditions?: readonly Condition[];
}

/**
 * What must hold of the conditions of every object at every time (after `conditions/check/fail.go` of Flux), as sentences about what does
 * not. `own`: the condition types that the kind has beside Ready and the two kstatus marks.
 */
export function brokenInvariants(status: Observed | undefined, generation: number, own: readonly string[]): string[] {
  const broken: string[] = [];
  const conditions = status?.conditions ?? [];
  const of = (type: string): Condition | undefined => conditions.find((condition) => condition.type === type);
  const expect = (holds: boolean, sentence: string): void => {
    if (!holds) broken.push(sentence);
  };
  const ready = of('Ready');
  const stalled = of('Stalled');
  const reconciling = of('Reconciling');
  expect(ready !== undefined, 'Ready must exist');
  expect(ready?.status !== 'True' || stalled === undefined, 'Ready=True forbids Stalled');
  expect(ready?.status !== 'True' || reconciling === undefined, 'Ready=True forbids Reconciling');
  expect(stalled === undefined || reconciling === undefined, 'Stalled and Reconciling exclude each other');
  for (const mark of [stalled, reconciling]) {
    expect(mark === undefined || mark.status === 'True', 'a kstatus mark is there only while it is true');
    expect(
      mark === undefined || (mark.reason === ready?.reason && mark.message === ready.message),
      'a kstatus mark says what Ready says',
    );
  }
  expect(status?.observedGeneration === generation, 'status.observedGeneration must be the generation');
  expect(new Set(conditions.map(({ type }) => type)).size === conditions.length, 'each type occurs once');
  expect(conditions[0] === ready, 'Ready comes first');
  const suspended = ready?.reason === 'Suspended';
  for (const type of own) expect(of(type) !== undefined, `${type} must exist`);
  for (const { type, status: value, reason, message, observedGeneration, lastTransitionTime } of conditions) {
    expect(type in conditionTypes, `${type} is not in the table of conditions`);
    expect(['Ready', 'Reconciling', 'Stalled', ...own].includes(type), `${type} does not belong to this kind`);
    expect(reason in reasons, `${type}: reason ${reason} is not in the table`);
    expect(observedGeneration === generation, `${type}: observedGeneration must be the generation`);
    expect(message.length > 0 && message.length <= 2_048, `${type}: message has ${message.length} characters`);
    expect(!/\p{Cc}/u.test(message), `${type}: message has control characters`);
    expect(
      parseRfc3339(lastTransitionTime) !== undefined && !lastTransitionTime.includes('.'),
      `${type}: time is not RFC 3339 in seconds`,
    );
    const summed = ['Authorized', 'Probed', 'Issuing', 'Valid', 'Registered', 'CredentialCurrent'].includes(type);
    const counts = summed && reason !== 'NotProbed';
    expect(suspended || !counts || ready?.status !== 'True' || value === 'True', `Ready=True needs ${type}=True`);
  }
  return broken;
}
