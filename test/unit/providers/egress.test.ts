import test from 'ava';
import fc from 'fast-check';
import {
  type AddressKind,
  addressKind,
  checkUrl,
  EgressRefused,
  guardedLookup,
  type Lookup,
  sharedLookup,
} from '#src/providers/egress.ts';

const addresses: Readonly<Record<AddressKind, readonly string[]>> = {
  Public: ['8.8.8.8', '193.0.6.139', '2606:4700:4700::1111', '2a00:1450:4001::1'],
  Private: [
    '127.0.0.1',
    '127.255.255.254',
    '10.0.0.1',
    '172.16.0.1',
    '172.31.255.255',
    '192.168.1.1',
    '100.64.0.1',
    '169.254.1.1',
    '::1',
    'fd12:3456::1',
    'fc00::1',
    'fe80::1',
    'fe80::1%eth0',
    '::ffff:10.0.0.1',
    '::ffff:8.8.8.8',
    '::ffff:127.0.0.1',
    '::7f00:1',
    '::8.8.8.8',
    '64:ff9b::a00:1',
    '64:ff9b::8.8.8.8',
    '2002:7f00:1::',
    '2002:808:808::1',
    '2001:0:4136:e378:8000:63bf:f7f7:f7f7',
  ],
  Never: [
    '169.254.169.254',
    '169.254.170.2',
    '100.100.100.200',
    '168.63.129.16',
    '192.0.0.192',
    'fd00:ec2::254',
    'fd20:ce::254',
    'fe80::a9fe:a9fe',
    '::ffff:169.254.169.254',
    '::a9fe:a9fe',
    '64:ff9b::a9fe:a9fe',
    '2002:a9fe:a9fe::1',
    '::ffff:0:169.254.169.254',
    '0.0.0.0',
    '0.1.2.3',
    '::',
    '255.255.255.255',
    '224.0.0.1',
    'ff02::1',
    '240.0.0.1',
    '192.0.2.1',
    '198.51.100.7',
    '203.0.113.9',
    '2001:db8::1',
    '3fff::1',
    '100::1',
    '4000::1',
    '::ffff:0.0.0.0',
    '2001:0:4136:e378:8000:63bf:5601:5601',
    'not an address',
    '',
    '1.2.3',
    '1.2.3.4.5',
  ],
};

for (const [kind, list] of Object.entries(addresses)) {
  test(`${kind}: ${list.length} addresses`, (t) => {
    for (const address of list) t.is(addressKind(address), kind as AddressKind, address);
  });
}

const refusedUrls = [
  'http://idp.example.com',
  'file:///etc/passwd',
  'ftp://idp.example.com',
  'data:text/plain,x',
  'javascript:alert(1)',
  'https://user@idp.example.com',
  'https://user:password@idp.example.com',
  'https://idp.example.com/#x',
  'https://idp.example.com\\@evil.example.com',
  'https://idp.example\t.com',
  'https://idp.example.com/\n',
  ' https://idp.example.com',
  'https://',
  'https:///',
  'https://idp.example.com:0',
  'https://idp.example.com:22',
  'https://idp.example.com:10250',
  'https://idp.example.com:65536',
  'https://a..b',
  'https://bücher.example',
  'https://127.0.0.1',
  'https://127.1',
  'https://0x7f.0.0.1',
  'https://0177.0.0.1',
  'https://2130706433',
  'https://0x7f000001',
  'https://[::1]',
  'https://[::ffff:127.0.0.1]',
  'https://[::127.0.0.1]',
  'https://[fd00::1]',
  'https://10.0.0.1',
  'https://0',
  'https://169.254.169.254/latest',
  'https://[fd00:ec2::254]',
  `https://${'a'.repeat(254)}.example`,
  `https://x.example/${'a'.repeat(2_048)}`,
];

test('URLs that are never called without permission', (t) => {
  for (const url of refusedUrls) t.throws(() => checkUrl(url, false), { instanceOf: EgressRefused }, url);
});

test('a refused URL stays refused, a name that resolves to a refused address may resolve to another one', async (t) => {
  for (const url of ['http://idp.example.com', 'https://10.0.0.1', 'https://[::1]', 'https://169.254.169.254'])
    t.like(
      t.throws(() => checkUrl(url, false)),
      { lasting: true },
      url,
    );
  for (const list of [['10.0.0.1'], ['169.254.169.254'], []]) {
    const resolved = resolve(
      guardedLookup(() => false, resolver(list)),
      true,
    );
    t.like(await t.throwsAsync(resolved), { name: 'EgressRefused', lasting: false });
  }
});

test('permission opens private networks and nothing else', (t) => {
  for (const url of ['https://127.0.0.1:8443', 'https://10.0.0.1', 'https://[::1]', 'https://[fd12::1]']) {
    t.is(checkUrl(url, true).protocol, 'https:', url);
  }
  for (const url of [
    'https://169.254.169.254',
    'https://[::ffff:169.254.169.254]',
    'https://0.0.0.0',
    'https://[::]',
    'http://127.0.0.1',
  ]) {
    t.throws(() => checkUrl(url, true), { instanceOf: EgressRefused }, url);
  }
});

test('every spelling of an IPv4 address is judged like the address', (t) => {
  const spellings = (a: number, b: number, c: number, d: number): readonly string[] => {
    const whole = ((a * 256 + b) * 256 + c) * 256 + d;
    const hex = (n: number): string => `0x${n.toString(16)}`;
    const octal = (n: number): string => `0${n.toString(8)}`;
    const pair = `${((a << 8) | b).toString(16)}:${((c << 8) | d).toString(16)}`;
    return [
      `${a}.${b}.${c}.${d}`,
      `${whole}`,
      hex(whole),
      [a, b, c, d].map(hex).join('.'),
      [a, b, c, d].map(octal).join('.'),
      `${a}.${b}.${c * 256 + d}`,
      `[::ffff:${pair}]`,
      `[::ffff:${a}.${b}.${c}.${d}]`,
    ];
  };
  const byte = fc.integer({ min: 0, max: 255 });
  fc.assert(
    fc.property(fc.constantFrom(10, 127, 169, 192, 172, 100, 0), byte, byte, byte, (a, b, c, d) => {
      if (addressKind(`${a}.${b}.${c}.${d}`) === 'Public') return;
      for (const host of spellings(a, b, c, d))
        t.throws(() => checkUrl(`https://${host}/`, false), { instanceOf: EgressRefused }, host);
    }),
    { numRuns: 300 },
  );
});

test('anything at all: an URL that may be called is https and stays what it was', (t) => {
  fc.assert(
    fc.property(
      fc.oneof(
        fc.webUrl({ validSchemes: ['https', 'http', 'ftp'] }),
        fc.string(),
        fc.string().map((s) => `https://${s}`),
      ),
      (text) => {
        try {
          t.is(checkUrl(text, false).protocol, 'https:');
        } catch (error) {
          t.true(error instanceof EgressRefused);
        }
      },
    ),
    { numRuns: 1_000 },
  );
});

/** A name service that answers with a fixed list, or another one at each question. */
const resolver = (...answers: readonly (readonly string[])[]): Lookup => {
  let asked = 0;
  return (_host, _options, callback) => {
    const answer = answers[Math.min(asked, answers.length - 1)]!;
    asked += 1;
    callback(
      null,
      answer.map((address) => ({ address, family: address.includes(':') ? 6 : 4 })),
    );
  };
};
const resolve = (lookup: Lookup, all: boolean): Promise<unknown> =>
  new Promise((done, fail) =>
    lookup('idp.example.com', { all }, (error, address) => (error === null ? done(address) : fail(error))),
  );

test('one forbidden address among many refuses the name', async (t) => {
  const guarded = (...list: readonly string[]) =>
    resolve(
      guardedLookup(() => false, resolver(list)),
      true,
    );
  t.deepEqual(await guarded('8.8.8.8'), [{ address: '8.8.8.8', family: 4 }]);
  await t.throwsAsync(guarded('8.8.8.8', '10.0.0.1'), { instanceOf: EgressRefused });
  await t.throwsAsync(guarded('2606:4700:4700::1111', '::1'), { instanceOf: EgressRefused });
  await t.throwsAsync(guarded(), { instanceOf: EgressRefused });
  await t.throwsAsync(
    resolve(
      guardedLookup(() => true, resolver(['169.254.169.254'])),
      true,
    ),
    { instanceOf: EgressRefused },
  );
});

test('names of the cluster and of this machine are judged by their address like any other', async (t) => {
  const hosts: Readonly<Record<string, string>> = {
    'kubernetes.default': '10.96.0.1',
    'kubernetes.default.svc': '10.96.0.1',
    'vault.secrets.svc.cluster.local.': '10.96.7.7',
    localhost: '127.0.0.1',
    'localhost.': '::1',
    'metadata.google.internal': '169.254.169.254',
  };
  for (const [host, address] of Object.entries(hosts)) {
    t.is(checkUrl(`https://${host}/`, false).hostname, host);
    const error = await t.throwsAsync(
      resolve(
        guardedLookup(() => false, resolver([address])),
        true,
      ),
      { instanceOf: EgressRefused },
      host,
    );
    t.true(error?.message.includes(address));
  }
});

test('a name that turns to a private address later is refused then', async (t) => {
  const guarded = guardedLookup(() => false, resolver(['8.8.8.8'], ['127.0.0.1']));
  t.is(await resolve(guarded, false), '8.8.8.8');
  await t.throwsAsync(resolve(guarded, false), { instanceOf: EgressRefused });
});

test('a name is asked for once at a time, whoever waits for it, and anew by whoever comes later', async (t) => {
  const asked: string[] = [];
  const answers: (() => void)[] = [];
  const shared = sharedLookup((host, { family }, callback) => {
    asked.push(`${host} ${family ?? 'any'}`);
    const address = `8.8.8.${asked.length}`;
    answers.push(() => callback(null, [{ address, family: 4 }]));
  });
  const guarded = guardedLookup(() => false, shared);
  const ask = (host: string, family?: number): Promise<unknown> =>
    new Promise((done, fail) => {
      const options = family === undefined ? {} : { family };
      guarded(host, options, (error, address) => (error === null ? done(address) : fail(error)));
    });
  const dead = Array.from({ length: 16 }, () => ask('dead.example.com'));
  const others = [ask('idp.example.com'), ask('idp.example.com', 4)];
  t.deepEqual(asked, ['dead.example.com any', 'idp.example.com any', 'idp.example.com 4']);
  for (const answer of answers.splice(0)) answer();
  t.deepEqual(new Set(await Promise.all(dead)), new Set(['8.8.8.1']));
  t.deepEqual(await Promise.all(others), ['8.8.8.2', '8.8.8.3']);
  const later = ask('dead.example.com');
  answers[0]!();
  t.is(await later, '8.8.8.4');
});

test('a thousand addresses are cut to a few', async (t) => {
  const many = Array.from({ length: 1_000 }, (_, index) => `8.8.${index % 200}.8`);
  const found = (await resolve(
    guardedLookup(() => false, resolver(many)),
    true,
  )) as readonly unknown[];
  t.true(found.length <= 32);
});
