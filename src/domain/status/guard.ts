import type { ConditionType } from '../../api/reasons.ts';
import type { Guard } from '../access/access.ts';
import { cut } from '../access/explain.ts';
import { about, draft, type Draft } from './conditions.ts';

/** Nothing is minted while admission policies are missing. No draft: they are whole. */
export function guardDraft(type: ConditionType, guard: Guard, subject?: string): readonly Draft[] {
  if (guard.is === 'Intact') return [];
  if (guard.is === 'Unknown') {
    const message = 'the admission policies of the operator have not been read yet.';
    return [draft(type, 'Unknown', 'GuardUnknown', subject === undefined ? message : about(subject, message))];
  }
  const objects = cut(guard.objects.join(', '), 800);
  const message = `no token is minted, because admission policies of the operator are missing or were edited: ${objects}. Apply manifests/admission of the running version again; where one was edited, kubectl replace -f its file, because apply leaves added fields in place.`;
  return [draft(type, 'False', 'GuardMissing', subject === undefined ? message : about(subject, message))];
}
