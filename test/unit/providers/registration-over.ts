import { minute } from '#src/clock.ts';
import type { Http } from '#src/providers/http.ts';
import { Offer } from '#src/providers/oidc/offer.ts';
import { profiles } from '#src/providers/oidc/profiles.ts';
import { Registration } from '#src/providers/oidc/registration.ts';

type Options = ConstructorParameters<typeof Registration>[0];

/** Over calls that the test answers, at a provider of profile Generic whose metadata are known and where nobody gave a token. */
export function registrationOver(http: Http, o: Pick<Options, 'issuer' | 'clock'> & Partial<Options>): Registration {
  const { issuer } = o;
  const metadata = { issuer, tokenEndpoint: `${issuer}/token`, registrationEndpoint: `${issuer}/register` };
  return new Registration({
    changes: new Offer(),
    http,
    discovery: { get: () => Promise.resolve(metadata), known: metadata, forget: () => undefined } as never,
    profile: profiles['Generic']!,
    registrationToken: () => undefined,
    managementToken: () => undefined,
    carriers: () => [],
    ...o,
  });
}

/** A client that asks for nothing in particular. */
export function plainClient(clientId: string): never {
  const nothing = { scopes: [], audiences: [], keys: [] };
  return { clientId, name: 'ci-bots 1', maxTokenLifetime: minute, tag: 't', ...nothing } as never;
}
