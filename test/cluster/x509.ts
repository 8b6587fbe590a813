import {
  type KeyObject,
  createHash,
  createPrivateKey,
  createPublicKey,
  generateKeyPairSync,
  randomBytes,
  sign,
} from 'node:crypto';
import { isIP } from 'node:net';

/** A certificate and its private key, both PEM. */
export interface KeyPair {
  readonly certificate: string;
  readonly key: string;
}

export interface CertificateRequest {
  readonly commonName: string;
  /** Kubernetes takes a client certificate's organizations for its user's groups. */
  readonly organizations?: readonly string[];
  /** What the certificate serves as; a client certificate without, a server certificate with names. */
  readonly serverNames?: readonly string[];
}

/** Makes a self-signed certificate authority that is valid for ten years. */
export function createAuthority(commonName: string): KeyPair {
  const { publicKey, privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const extensions = [
    extension('2.5.29.19', true, sequence(boolean(true))),
    extension('2.5.29.15', true, bits(Buffer.from([0x06]), 1)), // keyCertSign, cRLSign
    extension('2.5.29.14', false, octets(keyIdentifier(publicKey))),
  ];
  const name = distinguishedName(commonName, []);
  return { certificate: certificate(name, name, publicKey, privateKey, extensions), key: pem(privateKey) };
}

/** Makes a key and a certificate that `authority` signs, valid for one year (from an hour ago, for clocks that differ). */
export function issueCertificate(authority: KeyPair, issuer: string, request: CertificateRequest): KeyPair {
  const { publicKey, privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const authorityKey = createPrivateKey(authority.key);
  const names = request.serverNames ?? [];
  const usage = names.length > 0 ? '1.3.6.1.5.5.7.3.1' : '1.3.6.1.5.5.7.3.2';
  const extensions = [
    extension('2.5.29.15', true, bits(Buffer.from([0x80]), 7)), // digitalSignature
    extension('2.5.29.37', false, sequence(objectIdentifier(usage))),
    extension('2.5.29.35', false, sequence(tagged(0x80, keyIdentifier(createPublicKey(authorityKey))))),
    ...(names.length > 0 ? [extension('2.5.29.17', false, sequence(...names.map(generalName)))] : []),
  ];
  const subject = distinguishedName(request.commonName, request.organizations ?? []);
  const issuerName = distinguishedName(issuer, []);
  return { certificate: certificate(issuerName, subject, publicKey, authorityKey, extensions), key: pem(privateKey) };
}

function certificate(issuer: Buffer, subject: Buffer, key: KeyObject, signer: KeyObject, extensions: Buffer[]): string {
  const algorithm = sequence(objectIdentifier('1.2.840.10045.4.3.2')); // ecdsa-with-SHA256
  const hour = 3_600_000;
  const years = issuer.equals(subject) ? 10 : 1;
  const serial = randomBytes(16);
  serial[0] = (serial[0]! & 0x3f) | 0x40; // positive, and no leading zero octet
  const body = sequence(
    tagged(0xa0, integer(Buffer.from([2]))),
    integer(serial),
    algorithm,
    issuer,
    sequence(time(Date.now() - hour), time(Date.now() + years * 365 * 24 * hour)),
    subject,
    key.export({ type: 'spki', format: 'der' }),
    tagged(0xa3, sequence(...extensions)),
  );
  const der = sequence(body, algorithm, bits(sign('sha256', body, signer), 0));
  return `-----BEGIN CERTIFICATE-----\n${der.toString('base64').replace(/.{64}/g, '$&\n').trimEnd()}\n-----END CERTIFICATE-----\n`;
}

function pem(key: KeyObject): string {
  return key.export({ type: 'pkcs8', format: 'pem' }).toString();
}

function keyIdentifier(key: KeyObject): Buffer {
  return createHash('sha1')
    .update(key.export({ type: 'spki', format: 'der' }))
    .digest();
}

function distinguishedName(commonName: string, organizations: readonly string[]): Buffer {
  const attribute = (type: string, value: string): Buffer =>
    tagged(0x31, sequence(objectIdentifier(type), tagged(0x0c, Buffer.from(value))));
  return sequence(...organizations.map((value) => attribute('2.5.4.10', value)), attribute('2.5.4.3', commonName));
}

function generalName(name: string): Buffer {
  return isIP(name) === 4
    ? tagged(0x87, Buffer.from(name.split('.').map(Number)))
    : tagged(0x82, Buffer.from(name, 'ascii'));
}

function extension(type: string, critical: boolean, value: Buffer): Buffer {
  return sequence(objectIdentifier(type), ...(critical ? [boolean(true)] : []), octets(value));
}

// DER, as much of it as a certificate needs.

function tagged(tag: number, ...content: Buffer[]): Buffer {
  const value = Buffer.concat(content);
  if (value.length < 0x80) return Buffer.concat([Buffer.from([tag, value.length]), value]);
  const length = value.length < 0x100 ? [0x81, value.length] : [0x82, value.length >> 8, value.length & 0xff];
  return Buffer.concat([Buffer.from([tag, ...length]), value]);
}

function sequence(...content: Buffer[]): Buffer {
  return tagged(0x30, ...content);
}

function integer(value: Buffer): Buffer {
  return tagged(0x02, value);
}

function boolean(value: boolean): Buffer {
  return tagged(0x01, Buffer.from([value ? 0xff : 0]));
}

function octets(value: Buffer): Buffer {
  return tagged(0x04, value);
}

function bits(value: Buffer, unused: number): Buffer {
  return tagged(0x03, Buffer.from([unused]), value);
}

function objectIdentifier(dotted: string): Buffer {
  const [first = 0, second = 0, ...rest] = dotted.split('.').map(Number);
  const octetsOf = (arc: number): number[] => {
    const low = [arc & 0x7f];
    for (let high = arc >>> 7; high > 0; high >>>= 7) low.unshift((high & 0x7f) | 0x80);
    return low;
  };
  return tagged(0x06, Buffer.from([first * 40 + second, ...rest.flatMap(octetsOf)]));
}

function time(milliseconds: number): Buffer {
  // UTCTime until 2049, which RFC 5280 demands; a cluster for tests does not live longer.
  const digits = new Date(milliseconds).toISOString().replace(/[-:T]/g, '').slice(2, 14);
  return tagged(0x17, Buffer.from(`${digits}Z`));
}
