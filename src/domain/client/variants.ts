/** How a credential is replaced: by capability, and never by a silent break. */
import { assertNever } from '../../errors.ts';
import type { AuthenticationMethod } from './credential.ts';
import type { ClientSnapshot, Desired } from './machine.ts';
import type { Variant } from './record.ts';

/**
 * The best variant that the provider offers for a client that authenticates with the method `now`, and that the pool allows; `undefined`:
 * none. A client has one method at a time, so another one takes a new client: where that is not allowed, the credential is rotated as it is.
 */
export function rotationVariant(
  capabilities: NonNullable<ClientSnapshot['capabilities']>,
  desired: Desired,
  now: AuthenticationMethod,
): Variant | undefined {
  const { variants } = capabilities;
  if (now !== desired.authentication && desired.allowSubjectChange && variants.includes('NewClient'))
    return 'NewClient';
  return variants.find((variant) => suits(variant, desired, now));
}

/** The variant of a client that does not exist yet: how it will be rotated; `None` where it cannot be without a new `sub`. */
export function firstVariant(capabilities: NonNullable<ClientSnapshot['capabilities']>, desired: Desired): Variant {
  return rotationVariant(capabilities, desired, desired.authentication) ?? capabilities.variants[0] ?? 'None';
}

function suits(variant: Variant, desired: Desired, now: AuthenticationMethod): boolean {
  const key = now === 'PrivateKeyJwt';
  switch (variant) {
    case 'TwoKeys':
      return key;
    case 'TwoSecrets':
    case 'InPlace':
      return !key;
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

/** How the next credential authenticates: as the pool asks where it comes with a client of its own, otherwise as its client does. */
export function nextMethod(
  variant: Variant,
  desired: Desired,
  current: AuthenticationMethod | undefined,
): AuthenticationMethod {
  return isOwnClient(variant) || current === undefined ? desired.authentication : current;
}
