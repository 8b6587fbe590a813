/** Every way of replacing a credential that a real provider here offers, and what one rotation of that kind comes by. */
import { startGlewlwyd } from '#test/glewlwyd/glewlwyd.ts';
import type { EffectName } from '#src/controllers/effect-names.ts';
import { administratorManages, administratorsKey, secret } from '#test/clients/support.ts';
import { type FaultProxy, startFaultProxy } from '#test/support/fault-proxy.ts';
import { type Lab, type LabProvider, startLab, startLabWith } from '#test/support/lab.ts';
import { type Call, type ProviderView, viewOfGlewlwyd, viewOfOidcProvider } from './provider-view.ts';

/** A lab whose provider offers the variant. */
export interface Place {
  readonly lab: Lab<LabProvider>;
  readonly view: ProviderView;
  /** What a person does before each rotation, if the rotation is theirs to begin; the program is not running. */
  prepare?(): Promise<void>;
}

export interface Variant {
  readonly name: 'TwoKeys' | 'TokenRotates' | 'NewClient' | 'InPlace' | 'External';
  readonly spec: Readonly<Record<string, unknown>>;
  /** What the client machine comes by in one rotation, and how often; compared with a rotation that nobody disturbs. */
  readonly effects: Readonly<Partial<Record<EffectName, number>>>;
  /** Requests that change something at the provider in one rotation, those of the build's session among them; compared as well. */
  readonly calls: Readonly<Partial<Record<Call, number>>>;
  /** Refused once: the effect that stores a refusal needs one. */
  readonly refusals: Readonly<Partial<Record<EffectName, Call>>>;
  start(): Promise<Place>;
}

/** Verified, and asked once more when it is taken out, which is refused: there is nothing to revoke then. */
const proofs = { 'client.Prove.call': 2, 'client.Prove.record': 2, 'client.Prove.revoke': 1 } as const;

/** The update that makes the new credential known, and the one that takes the old one out. */
const update = (times: number): Readonly<Partial<Record<EffectName, number>>> => ({
  'client.Update.metadata': times,
  'client.Update.intent': times,
  'client.Update.call': times,
  'client.Update.answer': times,
});

/** Proof, token of the build, proof that the old one is refused; the tokens of the first proof and the build's old one are revoked. */
const tokens = { token: 3, revocation: 2 } as const;

/** Tokens outlive any death of the program, and half a minute without a leader after it. */
const settings = { tokenLifetime: 300, deliveryLag: '2s' } as const;

async function atOidcProvider(): Promise<Place & { readonly lab: Lab }> {
  const lab = await startLab(settings);
  lab.provider.settings.rotateManagementToken = false;
  return { lab, view: viewOfOidcProvider(lab.provider) };
}

/** A PUT gives a new management token, which is lost with its answer. An administrator's, by `managementTokenRef`, takes its place then. */
async function atTokenRotator(): Promise<Place> {
  const lab = await startLab(settings);
  lab.provider.settings.rotateManagementToken = true;
  await administratorManages(lab);
  return { lab, view: viewOfOidcProvider(lab.provider) };
}

async function atAdministrators(): Promise<Place> {
  const { lab } = await atOidcProvider();
  const { provider } = lab;
  const first = administratorsKey();
  provider.addClient('theirs', { token_endpoint_auth_method: 'private_key_jwt', jwks: { keys: [first.jwk] } });
  await secret(lab, 'theirs', { credential: first.secret });
  let current = first;
  return {
    lab,
    view: viewOfOidcProvider(provider, 'theirs'),
    async prepare() {
      const next = administratorsKey();
      provider.editClient('theirs', { jwks: { keys: [current.jwk, next.jwk] } });
      await secret(lab, 'theirs', { credential: next.secret });
      current = next;
    },
  };
}

async function atGlewlwyd(): Promise<Place> {
  const proxies: FaultProxy[] = [];
  const glewlwyd = await startGlewlwyd({
    tokenTtl: settings.tokenLifetime,
    async front(target, { caFile, keyPem: key, certPem }) {
      const proxy = await startFaultProxy({ target, caFile, certificate: { key, certificate: certPem } });
      proxies.push(proxy);
      return proxy.url;
    },
  });
  const [proxy] = proxies;
  if (proxy === undefined) throw new Error('Glewlwyd has no proxy in front of it');
  const { issuer, caPem } = glewlwyd;
  const lab = await startLabWith(
    async () => ({
      issuer,
      caPem,
      initialAccessToken: await glewlwyd.registrationToken(),
      async stop() {
        await proxy.stop();
        await glewlwyd.stop();
      },
    }),
    { profile: 'Glewlwyd', ...settings },
  );
  return { lab, view: viewOfGlewlwyd(glewlwyd, proxy) };
}

const twoKeys: Omit<Variant, 'name' | 'start'> = {
  spec: {},
  effects: { 'client.Plan.record': 1, ...update(2), ...proofs, 'client.Record.record': 2 },
  calls: { update: 2, ...tokens },
  refusals: { 'client.Update.refusal': 'update' },
};

export const variants: readonly Variant[] = [
  { name: 'TwoKeys', ...twoKeys, start: atOidcProvider },
  { name: 'TokenRotates', ...twoKeys, start: atTokenRotator },
  {
    name: 'NewClient',
    spec: { client: { authentication: 'ClientSecretBasic' }, rotation: { allowSubjectChange: true } },
    effects: {
      'client.Plan.record': 1,
      'client.Register.metadata': 1,
      'client.Register.intent': 1,
      'client.Register.call': 1,
      'client.Register.answer': 1,
      ...proofs,
      'client.Record.record': 2,
      'client.Observe.metadata': 2,
      'client.Observe.call': 2,
      'client.Observe.record': 2,
      'client.Deregister.metadata': 1,
      'client.Deregister.intent': 1,
      'client.Deregister.call': 1,
      'client.Deregister.answer': 1,
    },
    calls: { register: 1, delete: 1, ...tokens },
    refusals: { 'client.Register.refusal': 'register', 'client.Deregister.refusal': 'delete' },
    start: atOidcProvider,
  },
  {
    name: 'InPlace',
    spec: { client: { authentication: 'ClientSecretBasic' } },
    effects: { 'client.Plan.record': 1, ...update(1), ...proofs, 'client.Record.record': 3 },
    calls: { update: 1, ...tokens },
    refusals: { 'client.Update.refusal': 'update' },
    start: atGlewlwyd,
  },
  {
    name: 'External',
    spec: {
      client: {
        authentication: 'PrivateKeyJwt',
        existing: { clientId: 'theirs', credentialRef: { name: 'theirs', key: 'credential' } },
      },
    },
    effects: {
      'client.Plan.record': 1,
      'client.Prove.call': 1,
      'client.Prove.record': 1,
      'client.Prove.revoke': 1,
      'client.Record.record': 4,
    },
    calls: { token: 2, revocation: 2 },
    refusals: {},
    start: atAdministrators,
  },
];
