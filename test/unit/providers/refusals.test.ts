/** What people read of a refusal: what the endpoint does, and what to do about it. */
import test from 'ava';
import { type Operation, refused } from '#src/providers/classify.ts';
import { noon } from '#test/support/builders.ts';

const rows: readonly (readonly [Operation, status: number, body: string | object, says: string])[] = [
  ['Token', 429, '', 'token endpoint asks to wait (429). The work keeps its place.'],
  ['Token', 500, '', 'token endpoint fails (500). It is tried again.'],
  ['Token', 200, {}, 'answers something unexpected (200). Compare the issuer URL with what the provider calls itself.'],
  ['Token', 403, '<html>', 'answers with a page instead of JSON (403). A proxy or firewall seems to stand before the'],
  [
    'Token',
    403,
    '',
    'refuses without an error code of OAuth (403). If a gateway or firewall before the provider says that, let the operator through',
  ],
  [
    'Token',
    400,
    { error: 'invalid_scope' },
    'refuses the scope or audience (400 invalid_scope). Allow it for this client',
  ],
  [
    'Token',
    401,
    { error: 'invalid_client' },
    'refuses the credential of the client (401 invalid_client). See whether the',
  ],
  ['Token', 404, '', 'token endpoint is not where its metadata says (404). The metadata is read again.'],
  ['Token', 400, { error: 'x' }, 'refuses the request for a token (400 x). Compare the profile of this issuer with'],
  [
    'Revoke',
    400,
    { error: 'x' },
    'revocation endpoint refuses the request (400 x). Compare the profile of this issuer with',
  ],
  ['Introspect', 400, { error: 'x' }, 'introspection endpoint refuses the request (400 x). Compare the profile'],
  [
    'Register',
    401,
    { error: 'invalid_token' },
    'registration endpoint refuses the credential with which clients are registered (401 invalid_token). It may have expired or be used up: put a new initial access token into the Secret of registrationTokenRef.',
  ],
  [
    'Register',
    404,
    '',
    'refuses to register the client (404). Switch dynamic client registration on at the provider, or name an existing client in the pool.',
  ],
  [
    'Register',
    405,
    '',
    'refuses to register the client (405). Switch dynamic client registration on at the provider, or name an existing client in the pool.',
  ],
  ['Register', 403, { error: 'x' }, 'refuses to register the client (403 x). Allow these scopes and metadata for'],
  [
    'Register',
    400,
    { error: 'x' },
    "refuses to register the client (400 x). Compare the pool's scopes and authentication",
  ],
  [
    'Manage',
    401,
    { error: 'invalid_token' },
    'client management endpoint refuses the token that manages this client (401 invalid_token). Give managementTokenRef of this issuer, or hand in a new registration access token',
  ],
  [
    'Manage',
    405,
    '',
    'offers no way to change or delete clients (405). Set rotation.allowSubjectChange of the pool, so that a rotation registers a new client; delete there by hand what shall go',
  ],
  ['Manage', 400, { error: 'x' }, "refuses the change of the client (400 x). Compare the pool's scopes"],
  ['Discovery', 404, '', 'metadata document is not there (404). Correct the issuer URL in the configuration.'],
];

for (const [operation, status, body, says] of rows)
  test(`${operation}: ${says}`, (t) => {
    const text = typeof body === 'string' ? body : JSON.stringify(body);
    const where = { issuer: 'https://idp.example.com', now: noon };
    const { message } = refused({ status, headers: {}, body: text }, operation, where);
    t.true(message.includes(says), message);
    t.false(message.includes('Asked was'), 'nothing was asked for');
  });
