import type { Profile } from './profile.ts';
import { generic } from './profiles/generic.ts';
import { glewlwyd } from './profiles/glewlwyd.ts';
import { hydra } from './profiles/hydra.ts';
import { keycloak } from './profiles/keycloak.ts';
import { spring } from './profiles/spring.ts';

/** One row per product, by the name that the configuration uses. */
export const profiles: Readonly<Record<string, Profile>> = {
  Generic: generic,
  Keycloak: keycloak,
  Glewlwyd: glewlwyd,
  Hydra: hydra,
  Spring: spring,
};
