import test from 'ava';
import { instant } from '#src/clock.ts';
import { unreachable } from '#src/providers/unreachable.ts';
import { EgressRefused } from '#src/providers/egress.ts';
import { surelyWithoutEffect } from '#src/providers/no-effect.ts';
import { tunnelConnector } from '#src/providers/tunnel.ts';

const issuer = 'https://idp.example.com';
const unknown = (code: string): Error => Object.assign(new Error(`getaddrinfo ${code} idp.example.com`), { code });

for (const [what, failure, sentence] of [
  ['cannot be resolved by the operator', unknown('ENOTFOUND'), /does not resolve here, and the proxy of this issuer/],
  ['cannot be resolved by the operator now', unknown('EAI_AGAIN'), /does not resolve here, and the proxy/],
  [
    'has an address that may not be called',
    new EgressRefused('its address 10.0.0.1 is private', false),
    /10\.0\.0\.1 is private/,
  ],
] as const)
  test(`a name that ${what}: the proxy is not asked, and the sentence says why`, async (t) => {
    const connect = tunnelConnector({
      // Nobody listens there: whoever asks is told of a proxy that does not answer.
      proxyUrl: 'http://127.0.0.1:9',
      lookup: (_host, _options, callback) => callback(failure, '', 4),
      tls: {},
    });
    const error = await new Promise<unknown>((resolve) => {
      connect({ hostname: 'idp.example.com', port: '443', protocol: 'https:' }, (...[met]) => resolve(met));
    });
    const told = unreachable(error, { issuer, now: instant(0) });
    t.regex(told.message, sentence);
    t.true(surelyWithoutEffect(told));
  });
