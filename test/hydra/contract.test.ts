import { contractRows } from '#test/providers/contract-rows.ts';
import { runContract } from '#test/providers/contract-run.ts';
import { hydraJwt, hydraOpaque } from '#test/providers/contract-traits.ts';
import { hydraSubject } from './contract-subject.ts';

for (const traits of [hydraOpaque, hydraJwt]) runContract(traits, () => hydraSubject(traits), contractRows);
