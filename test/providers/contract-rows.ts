import type { Row } from './contract.ts';
import { credentialRows } from './contract-credentials.ts';
import { registrationRows } from './contract-registration.ts';
import { tokenRows } from './contract-tokens.ts';

export const contractRows: readonly Row[] = [...registrationRows, ...credentialRows, ...tokenRows];
