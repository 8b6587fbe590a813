import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { readFile, writeFile } from 'node:fs/promises';
import { isIP } from 'node:net';
import { join } from 'node:path';
import { promisify } from 'node:util';

const run = promisify(execFile);

export interface ServerCertificate {
  readonly caPem: string;
  readonly caFile: string;
  readonly certPem: string;
  readonly keyPem: string;
}

/**
 * Makes a certificate authority and one server certificate in `dir` with the openssl command; P-256, valid for `days` (negative:
 * already expired). What is in `dir` already is used again.
 */
export async function makeServerCertificate(
  dir: string,
  hosts: readonly string[],
  days = 30,
): Promise<ServerCertificate> {
  const file = (name: string): string => join(dir, name);
  if (!existsSync(file('tls.pem'))) {
    await makeAuthority(file);
    await sign(file, hosts, days);
  }
  return readAll(file);
}

/** Another server certificate of the same authority in the place of the one in `dir`. */
export async function renewServerCertificate(
  dir: string,
  hosts: readonly string[],
  days = 30,
): Promise<ServerCertificate> {
  const file = (name: string): string => join(dir, name);
  await sign(file, hosts, days);
  return readAll(file);
}

async function readAll(file: (name: string) => string): Promise<ServerCertificate> {
  const read = (name: string): Promise<string> => readFile(file(name), 'utf8');
  const [caPem, certPem, keyPem] = await Promise.all([read('ca.pem'), read('tls.pem'), read('tls.key')]);
  return { caPem, caFile: file('ca.pem'), certPem, keyPem };
}

const newKey = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes'];

async function makeAuthority(file: (name: string) => string): Promise<void> {
  await run('openssl', [
    'req',
    '-x509',
    ...newKey,
    '-keyout',
    file('ca.key'),
    '-out',
    file('ca.pem'),
    '-days',
    '30',
    '-subj',
    '/CN=test CA',
    '-addext',
    'basicConstraints=critical,CA:TRUE',
    '-addext',
    'keyUsage=critical,keyCertSign,cRLSign',
  ]);
}

async function sign(file: (name: string) => string, hosts: readonly string[], days: number): Promise<void> {
  await run('openssl', [
    'req',
    ...newKey,
    '-keyout',
    file('tls.key'),
    '-out',
    file('tls.csr'),
    '-subj',
    '/CN=test provider',
  ]);
  const names = hosts.map((host) => `${isIP(host) === 0 ? 'DNS' : 'IP'}:${host}`).join(',');
  await writeFile(file('tls.ext'), `subjectAltName=${names}\nbasicConstraints=CA:FALSE\nextendedKeyUsage=serverAuth\n`);
  await run('openssl', [
    'x509',
    '-req',
    '-in',
    file('tls.csr'),
    '-CA',
    file('ca.pem'),
    '-CAkey',
    file('ca.key'),
    '-CAcreateserial',
    '-out',
    file('tls.pem'),
    '-days',
    String(days),
    '-extfile',
    file('tls.ext'),
  ]);
}
