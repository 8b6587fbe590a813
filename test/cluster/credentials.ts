import { generateKeyPair } from 'node:crypto';
import { mkdir, readFile, rename, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { stringify } from 'yaml';
import { addressesOf, filesOf } from './layout.ts';
import { type CertificateRequest, type KeyPair, createAuthority, issueCertificate } from './x509.ts';

const authorityName = 'ci-identity-cluster';

/** How a kubeconfig's user proves who it is. */
export type Credential = KeyPair | { readonly token: string };

/** Makes the cluster's authority, the API server's certificates and the key that signs service account tokens. */
export async function createCredentials(dir: string, index: number): Promise<void> {
  const files = filesOf(dir);
  await mkdir(files.pki, { recursive: true, mode: 0o700 });
  await mkdir(files.kubeconfigs, { recursive: true, mode: 0o700 });
  await writeKeyPair(files.pki, 'ca', createAuthority(authorityName));
  // RS256, as in most clusters: providers that verify service account tokens meet nothing unusual.
  const { publicKey, privateKey } = await promisify(generateKeyPair)('rsa', { modulusLength: 2048 });
  await writeFile(files.serviceAccountKey, privateKey.export({ type: 'pkcs8', format: 'pem' }), { mode: 0o600 });
  await writeFile(files.serviceAccountPublicKey, publicKey.export({ type: 'spki', format: 'pem' }));
  const { hostAddress, serviceAddress } = addressesOf(index);
  const domain = 'kubernetes.default.svc.cluster.local';
  const names = domain.split('.').map((_, at, labels) => labels.slice(0, at + 1).join('.'));
  await issueToFile(dir, 'apiserver', {
    commonName: 'kube-apiserver',
    serverNames: ['127.0.0.1', 'localhost', hostAddress, serviceAddress, ...names],
  });
  await issueToFile(dir, 'apiserver-kubelet', { commonName: 'kube-apiserver', organizations: ['system:masters'] });
}

/** Signs a certificate with the cluster's authority. */
export async function issue(dir: string, request: CertificateRequest): Promise<KeyPair> {
  const files = filesOf(dir);
  const authority = {
    certificate: await readFile(files.authority, 'utf8'),
    key: await readFile(files.authorityKey, 'utf8'),
  };
  return issueCertificate(authority, authorityName, request);
}

/** Signs a certificate and writes it to `pki/NAME.crt` and `pki/NAME.key`. */
export async function issueToFile(dir: string, name: string, request: CertificateRequest): Promise<void> {
  await writeKeyPair(filesOf(dir).pki, name, await issue(dir, request));
}

/** Writes a kubeconfig for one user and returns its path. `name` becomes the file's name. */
export async function writeKubeconfig(
  dir: string,
  name: string,
  server: string,
  credential: Credential,
  namespace?: string,
): Promise<string> {
  const authority = await readFile(filesOf(dir).authority);
  const base64 = (text: string): string => Buffer.from(text).toString('base64');
  const cluster = server.startsWith('https:') ? { 'certificate-authority-data': authority.toString('base64') } : {};
  const user =
    'token' in credential
      ? credential
      : {
          'client-certificate-data': base64(credential.certificate),
          'client-key-data': base64(credential.key),
        };
  const path = filesOf(dir).kubeconfig(name);
  const content = {
    apiVersion: 'v1',
    kind: 'Config',
    clusters: [{ name: authorityName, cluster: { server, ...cluster } }],
    users: [{ name, user }],
    contexts: [{ name, context: { cluster: authorityName, user: name, ...(namespace && { namespace }) } }],
    'current-context': name,
  };
  const temporary = `${path}.${process.pid}.tmp`;
  await writeFile(temporary, stringify(content), { mode: 0o600 });
  await rename(temporary, path);
  return path;
}

async function writeKeyPair(directory: string, name: string, pair: KeyPair): Promise<void> {
  await writeFile(join(directory, `${name}.crt`), pair.certificate);
  await writeFile(join(directory, `${name}.key`), pair.key, { mode: 0o600 });
}
