import type { Redacted } from '../../redacted.ts';
import type { Clock } from '../../clock.ts';
import type { Variant } from '../../domain/client/record.ts';
import { withoutUndefined } from '../fields.ts';
import type { Http } from '../http.ts';
import type { Capabilities, IdentityProvider } from '../port.ts';
import { carriers } from './audiences.ts';
import { supportedMethods } from './authentication.ts';
import type { Offer } from './offer.ts';
import type { Discovery, Metadata } from './discovery.ts';
import type { AssertionAudience, AudienceMapping, Profile } from './profile.ts';
import type { Reach } from './reach.ts';
import { Registration } from './registration.ts';
import type { RegistrationToken } from './registration-token.ts';
import { Tokens } from './tokens.ts';

/** What all pools of one issuer share. */
export interface OidcIssuer {
  readonly issuer: string;
  readonly http: Http;
  readonly clock: Clock;
  readonly discovery: Discovery;
  readonly profile: Profile;
  readonly reach: Reach;
  /** Whether it changes clients that it registered (RFC 7592 §2.2). */
  readonly changes: Offer;
  readonly registrationToken: () => RegistrationToken;
  readonly managementToken: () => Redacted<string> | undefined;
  /** Whom its JWTs name as their issuer; `undefined`: the issuer. */
  readonly tokenIssuer: () => string | undefined;
  /** `undefined`: as the profile says. */
  readonly assertionAudience: () => AssertionAudience | undefined;
}

/** From the profile, refined by metadata and tokens as they are seen; good for decisions at any time. */
export function capabilitiesOf(issuer: OidcIssuer, audience: AudienceMapping): Capabilities {
  const metadata = issuer.discovery.known;
  return {
    variants: variantsOf(issuer, metadata),
    clientIdBy: issuer.profile.clientIdBy,
    ...withoutUndefined({ registersOnly: issuer.profile.registersOnly }),
    revocation: issuer.reach.of(metadata, issuer.clock.now(), issuer.profile.introspection),
    credentialPropagation: issuer.profile.credentialPropagation,
    ignoredScopes: issuer.profile.ignoredScopes,
    carrierScopes: (audiences) => carriers(audiences, audience, issuer.profile),
  };
}

/** Where clients are not changed, only a new one takes a new credential. */
function variantsOf({ profile, changes, clock }: OidcIssuer, metadata: Metadata | undefined): readonly Variant[] {
  if (!registers(profile, metadata)) return [];
  const variants = profile.variants(supportedMethods(metadata));
  return changes.stands(clock.now()) ? variants : variants.filter((variant) => variant === 'NewClient');
}

/** Before the first discovery nothing is ruled out. */
function registers(profile: Profile, metadata: Metadata | undefined): boolean {
  return metadata === undefined || profile.registrationEndpoint(metadata) !== undefined;
}

/** One issuer as one pool asks it: the way of naming audiences is the pool's. */
export interface OidcAdapter extends IdentityProvider {
  readonly tokens: Tokens;
}

/** Cheap and without state of its own: everything that is learnt stays in `issuer`. */
export function oidcAdapter(issuer: OidcIssuer, audience: AudienceMapping): OidcAdapter {
  const clients = new Registration({
    ...issuer,
    carriers: (audiences) => carriers(audiences, audience, issuer.profile),
  });
  return {
    get capabilities() {
      return capabilitiesOf(issuer, audience);
    },
    tokens: new Tokens({ ...issuer, audience }),
    ...(registers(issuer.profile, issuer.discovery.known) ? { clients } : {}),
  };
}
