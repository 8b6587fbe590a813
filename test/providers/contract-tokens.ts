/** Rows about tokens: what is granted, for whom, and what revoking it reaches. */
import { createRemoteJWKSet, customFetch, errors, jwtVerify } from 'jose';
import { Agent, fetch } from 'undici';
import { hour, systemClock } from '#src/clock.ts';
import { checkMinted } from '#src/domain/token-check.ts';
import { OperatorError } from '#src/errors.ts';
import { Redacted } from '#src/redacted.ts';
import { ask, desired, failure, registered, type Row, signal, type Subject, type Traits } from './contract.ts';

const outcomes = { Immediate: 'Confirmed', IntrospectionOnly: 'Requested', ExpiryOnly: 'NotSupported' } as const;

/** What a resource server does that never asks the provider: signature, issuer, audience and time by JWKS (RFC 9068 §4). */
async function verifiesAlone(s: Subject, token: string): Promise<boolean> {
  const agent = new Agent({ connect: { ca: s.caPem } });
  const fetchThere = (url: string | URL): Promise<Response> =>
    fetch(url, { dispatcher: agent }) as unknown as Promise<Response>;
  try {
    const document = await fetchThere(`${s.issuer.url}/.well-known/openid-configuration`);
    const { jwks_uri: uri } = (await document.json()) as { readonly jwks_uri: string };
    const keys = createRemoteJWKSet(new URL(uri), { [customFetch]: fetchThere });
    await jwtVerify(token, keys, { issuer: s.issuer.url, audience: s.audience });
    return true;
  } catch (error) {
    if (error instanceof errors.JOSEError) return false;
    throw error;
  } finally {
    await agent.close();
  }
}

/** What the operator makes of a token that was asked for in this way. */
async function outcomeOf(s: Subject, by: keyof Traits['audienceBy']): Promise<string> {
  const choice = { audienceBy: by, ...(by === 'Scope' ? { audienceScopes: { [s.audience]: s.carrier } } : {}) };
  // Its tokens may be of another kind, from which another reach of revocation would be learnt.
  const issuer = s.another();
  const { clients, tokens, capabilities } = issuer.provider(choice);
  const key = await issuer.generateKey();
  const wanted = ask(s.audience, s.scopes[0]);
  try {
    const client = await clients!.register(desired(s, [s.scopes[0]], key), signal());
    const minted = await tokens.mint(wanted, client.clientId, key, signal());
    const carrierScopes = capabilities.carrierScopes(wanted.audiences);
    const rules = { ...capabilities, carrierScopes, maxLifetime: hour, onExceed: 'Refuse' } as const;
    const verdict = checkMinted(wanted, minted, rules, systemClock.now());
    if (verdict.is === 'Unusable') return verdict.reason;
    const told = s.told?.(minted.value.reveal()) ?? tokens.introspect(minted.value, client.clientId, key, signal());
    const seen = minted.audiences ?? (await told)?.audiences;
    return seen?.length === 1 && seen[0] === s.audience ? 'Right' : 'Unseen';
  } catch (error) {
    if (error instanceof OperatorError) return error.reason;
    throw error;
  } finally {
    await issuer.close();
  }
}

const ways = ['Resource', 'Audience', 'Scope', 'None'] as const;
const expiryOnly = ({ revocation }: Traits): string | undefined =>
  revocation === 'ExpiryOnly' ? 'it revokes nothing of this kind' : undefined;

export const tokenRows: readonly Row[] = [
  {
    title: 'proof: a scope that the client did not register',
    async run(t, s, traits) {
      const { client, tokens, key } = await registered(s);
      const work = tokens.mint(ask(s.audience, s.scopes[1]), client.clientId, key, signal());
      if (traits.unregisteredScope === 'Granted') return void t.deepEqual((await work).scopes, [s.scopes[1]]);
      const error = await failure(t, work);
      t.deepEqual([error.class, error.reason, error.whose], ['Terminal', 'ScopeRefused', 'Object']);
    },
  },
  {
    title: 'proof: a scope that nobody knows is refused, or visibly missing from what was granted',
    async run(t, s, traits) {
      const { client, tokens, key } = await registered(s);
      const work = tokens.mint(ask(s.audience, s.scopes[0], 'unheard:of'), client.clientId, key, signal());
      if (traits.unknownScope === 'Refused') t.is((await failure(t, work)).reason, 'ScopeRefused');
      else t.deepEqual((await work).scopes, [s.scopes[0]]);
    },
  },
  {
    title: 'proof: an audience that the provider does not know is refused',
    async run(t, s) {
      const { client, tokens, key } = await registered(s);
      const error = await failure(t, tokens.mint(ask(s.unknownAudience, s.scopes[0]), client.clientId, key, signal()));
      t.deepEqual([error.class, error.reason], ['Terminal', 'ScopeRefused']);
    },
  },
  ...ways.map((by): Row => ({
    title: `proof: an audience asked for by ${by}`,
    async run(t, s, { audienceBy }) {
      t.is(await outcomeOf(s, by), audienceBy[by]);
    },
  })),
  {
    title: 'revoke: it is idempotent, and what it reaches is said',
    async run(t, s, { revocation, introspection }) {
      const { client, provider, tokens, key } = await registered(s);
      const { value } = await tokens.mint(ask(s.audience, s.scopes[0]), client.clientId, key, signal());
      const outcome = await tokens.revoke(value, client.clientId, key, signal());
      t.deepEqual([provider.capabilities.revocation, outcome], [revocation, outcomes[revocation]]);
      if (revocation === 'ExpiryOnly') return;
      const told = await tokens.introspect(value, client.clientId, key, signal());
      t.is(told?.active, introspection === 'Client' ? false : undefined);
      t.false(await s.isLive(value.reveal()));
      t.is(await tokens.revoke(value, client.clientId, key, signal()), outcomes[revocation]);
      t.is(await tokens.revoke(new Redacted('never-issued'), client.clientId, key, signal()), 'Confirmed');
    },
  },
  {
    title: 'revoke: only the token that is revoked dies',
    missing: expiryOnly,
    async run(t, s) {
      const { client, tokens, key } = await registered(s);
      const wanted = ask(s.audience, s.scopes[0]);
      const first = await tokens.mint(wanted, client.clientId, key, signal());
      const second = await tokens.mint(wanted, client.clientId, key, signal());
      t.not(first.sha256, second.sha256);
      await tokens.revoke(first.value, client.clientId, key, signal());
      const alive = await (s.told?.(second.value.reveal()) ??
        tokens.introspect(second.value, client.clientId, key, signal()));
      t.deepEqual([alive?.active, alive?.scopes, alive?.audiences], [true, [s.scopes[0]], [s.audience]]);
    },
  },
  {
    title: 'revoke: a resource server that checks the signature alone is not reached',
    missing: ({ tokenFormat }) => (tokenFormat === 'opaque' ? 'nobody can check an opaque token alone' : undefined),
    async run(t, s) {
      const { client, tokens, key } = await registered(s);
      const { value } = await tokens.mint(ask(s.audience, s.scopes[0]), client.clientId, key, signal());
      t.true(await verifiesAlone(s, value.reveal()));
      await tokens.revoke(value, client.clientId, key, signal());
      t.true(await verifiesAlone(s, value.reveal()));
      t.false(await verifiesAlone(s, `${value.reveal().slice(0, -4)}AAAA`));
    },
  },
  {
    title: 'revoke: whether another client can revoke a token',
    missing: expiryOnly,
    async run(t, s, { revoker }) {
      const [one, other] = [await registered(s), await registered(s)];
      const { value } = await one.tokens.mint(ask(s.audience, s.scopes[0]), one.client.clientId, one.key, signal());
      await one.tokens.revoke(value, other.client.clientId, other.key, signal()).catch((error: OperatorError) => {
        t.is(error.class, 'Terminal');
      });
      t.is(await s.isLive(value.reveal()), revoker === 'ItsClient');
    },
  },
];
