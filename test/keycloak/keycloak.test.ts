/** Everything about Keycloak in one file, because its start takes longer than all the rest: one server serves it all. */
import test from 'ava';
import { testContract } from './contract-tests.ts';
import { type Keycloak, startKeycloak } from './keycloak.ts';
import { testOperator } from './operator-tests.ts';

let keycloak: Keycloak;

test.serial.before('start Keycloak', async () => {
  keycloak = await startKeycloak({ log: console.error });
});

testContract(() => keycloak);
testOperator(() => keycloak);

test.after.always('stop Keycloak', () => keycloak?.stop());
