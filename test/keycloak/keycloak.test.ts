/** Everything about Keycloak in one file, because its start takes longer than all the rest: one server serves it all. */
import test from 'ava';
import { logOnFailure } from '#test/support/hooks.ts';
import { testClients } from './client-tests.ts';
import { testContract } from './contract-tests.ts';
import { type Keycloak, startKeycloak } from './keycloak.ts';
import { testAccidents, testFirstSteps } from './operator-tests.ts';
import { testRotation } from './rotation-tests.ts';
import { type Stage, startStage } from './stage.ts';

let keycloak: Keycloak;
let stage: Stage | undefined;

const started = (): Stage => {
  if (stage === undefined) throw new Error('the operator did not start');
  return stage;
};

test.serial.before('start Keycloak', async () => {
  keycloak = await startKeycloak({ log: console.error });
});

test.serial.before('start the operator', async (t) => {
  t.timeout(360_000);
  stage = await startStage(keycloak, 11); // one for each client that is made below, also by a rotation
});

testContract(() => keycloak);
testFirstSteps(started);
testRotation(started);
testClients(started);
testAccidents(started);

logOnFailure(() => stage?.program);

test.after.always('stop everything', async () => {
  await stage?.stop();
  await keycloak?.stop();
});
