import test from 'ava';
import { systemClock } from '#src/clock.ts';
import { type Issuer, Issuers } from '#src/providers/issuers.ts';
import { Redacted } from '#src/redacted.ts';
import { behaviours, type Subject } from './contract.ts';
import { type OidcProvider, type OidcProviderOptions, startOidcProvider } from './oidc-provider.ts';

const audience = 'https://registry.example.com';

function issuerFor(provider: OidcProvider, token = provider.initialAccessToken): Issuer {
  const issuers = new Issuers({ clock: systemClock, random: () => 0.5 });
  issuers.configure([
    {
      url: provider.issuer,
      profile: 'Generic',
      registrationToken: () => new Redacted(token),
      caBundle: () => provider.caPem,
      allowPrivateNetwork: true,
    },
  ]);
  return issuers.get(provider.issuer)!;
}

const products: Readonly<Record<string, OidcProviderOptions>> = {
  'oidc-provider, opaque tokens': {},
  'oidc-provider, JWTs': { tokenFormat: 'jwt' },
  'oidc-provider as it comes: no software_id, a management token that stays': {
    keepSoftwareId: false,
    rotateManagementToken: false,
  },
};

for (const [name, options] of Object.entries(products)) {
  let provider: OidcProvider;
  let subject: Subject;
  test.before(`start ${name}`, async () => {
    provider = await startOidcProvider(options);
    subject = {
      issuer: issuerFor(provider),
      scopes: ['artifacts:publish', 'artifacts:read'],
      audience,
      unknownAudience: 'https://unknown.example.com',
      withRegistrationToken: (token) => issuerFor(provider, token),
      removeClient: (clientId) => provider.removeClient(clientId),
      editClient: (clientId, change) => provider.editClient(clientId, change),
      unknownScope: 'Dropped',
      rotatesManagementToken: options.rotateManagementToken ?? true,
      tokenFormat: options.tokenFormat ?? 'opaque',
    };
  });
  test.after.always(`stop ${name}`, async () => {
    await subject.issuer.close();
    await provider.stop();
  });
  for (const [title, behaviour] of Object.entries(behaviours)) {
    test(`${name}: ${title}`, (t) => behaviour(t, subject));
  }
}
