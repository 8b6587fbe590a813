/** How a credential is replaced: by capability, and never by a silent break. */
import { assertNever } from '../../errors.ts';
import type { AuthenticationMethod } from './credential.ts';
import type { ClientSnapshot, Desired } from './machine.ts';
import type { Variant } from './record.ts';

/**
 * The best variant that the provider offers for this method of authentication and that the pool allows; `undefined`: none. A method change
 * breaks the old credential of the same client, so only a new client (or an administrator) can do it.
 */
export function rotationVariant(
  capabilities: NonNullable<ClientSnapshot['capabilities']>,
  desired: Desired,
  now: AuthenticationMethod,
): Variant | undefined {
  const changed = now !== desired.authentication;
  return capabilities.variants.find((variant) => suits(variant, desired, changed));
}

/** The variant of a client that does not exist yet: how it will be rotated; `None` where it cannot be without a new `sub`. */
export function firstVariant(capabilities: NonNullable<ClientSnapshot['capabilities']>, desired: Desired): Variant {
  return rotationVariant(capabilities, desired, desired.authentication) ?? capabilities.variants[0] ?? 'None';
}

function suits(variant: Variant, desired: Desired, methodChanged: boolean): boolean {
  const key = desired.authentication === 'PrivateKeyJwt';
  switch (variant) {
    case 'TwoKeys':
      return key && !methodChanged;
    case 'TwoSecrets':
      return !key && !methodChanged;
    case 'InPlace':
      return !key && !methodChanged;
    case 'NewClient':
      return desired.allowSubjectChange;
    case 'External':
    case 'None':
      return false;
    default:
      return assertNever(variant);
  }
}

/** Each generation is a client of its own at the provider. */
export function isOwnClient(variant: Variant): boolean {
  return variant === 'NewClient';
}
