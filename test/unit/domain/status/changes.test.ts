import test from 'ava';
import type { Condition } from '#src/api/meta.ts';
import { changeToTell } from '#src/domain/status/changes.ts';

const condition = (text: string): Condition => {
  const [type = '', status = '', reason = ''] = text.split(/[=/]/);
  return { type, status: status as Condition['status'], reason, message: '', lastTransitionTime: '' };
};
const ready = 'Ready=True/Ready';
const refused = 'Ready=False/CredentialRefused';
const lets = 'Authenticating=True/Authenticated';
const lost = 'Authenticating=False/ClientGone';

for (const [what, before, now, told] of [
  ['nothing changed', [ready, lets], [ready, lets], undefined],
  ['a new pool', [], ['Ready=False/Registering', lets], 'Registering'],
  ['the provider lets us in no longer: one event, which names the cause', [ready, lets], [refused, lost], 'ClientGone'],
  ['the cause is known better', [refused, 'Authenticating=False/CredentialRefused'], [refused, lost], 'ClientGone'],
  ['only what manages the client is lost', [ready, lets], [ready, lost], 'ClientGone'],
  ['a pool that never got in', [], [refused, lost], 'ClientGone'],
  ['all is well again', [refused, lost], [ready, lets], 'Ready'],
  ['it lets us in again, and that was all', [ready, lost], [ready, lets], 'Authenticated'],
  ['a kind without providers', ['Ready=False/NoRule'], [ready], 'Ready'],
] as const)
  test(`which change is told: ${what}`, (t) => {
    t.is(changeToTell(before.map(condition), now.map(condition))?.reason, told);
  });
