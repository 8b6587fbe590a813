import { systemClock } from '#src/clock.ts';
import { type Issuer, Issuers, type IssuerSettings } from '#src/providers/issuers.ts';
import { Redacted } from '#src/redacted.ts';

/** The operator's view of a product that runs on this machine. */
export function issuerAt(
  product: { readonly issuer: string; readonly caPem: string },
  profile: string,
  registrationToken: string,
  change: Partial<IssuerSettings> = {},
): Issuer {
  const issuers = new Issuers({ clock: systemClock, random: () => 0.5 });
  issuers.configure([
    {
      url: product.issuer,
      profile,
      registrationToken: () => new Redacted(registrationToken),
      caBundle: () => product.caPem,
      allowPrivateNetwork: true,
      ...change,
    },
  ]);
  return issuers.get(change.url ?? product.issuer)!;
}
