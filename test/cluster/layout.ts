import { createHash } from 'node:crypto';
import { homedir, tmpdir, userInfo } from 'node:os';
import { join } from 'node:path';

/** Instances on one machine at the same time; each owns a block of ports and three networks. */
export const maximumInstances = 250;

/** Where clusters live that were given no directory. */
export function rootDirectory(): string {
  return join(tmpdir(), `ci-identity-cluster-${userInfo().uid}`);
}

/** Where `npm run cluster -- up` puts a cluster without `--dir`. */
export function defaultDirectory(): string {
  return join(rootDirectory(), 'default');
}

/** The directory that outlives clusters and work trees: `$XDG_CACHE_HOME` or `~/.cache`, below it our name. */
export function cacheDirectory(): string {
  return join(process.env['XDG_CACHE_HOME'] || join(homedir(), '.cache'), 'ci-identity-operator', 'cluster');
}

/** A name for a path that fits into a lock's name. */
export function shortHash(path: string): string {
  return createHash('sha256').update(path).digest('hex').slice(0, 16);
}

export interface Addresses {
  readonly etcdPort: number;
  readonly etcdPeerPort: number;
  readonly apiServerPort: number;
  readonly serviceNetwork: string;
  /** First address of the service network: `kubernetes.default`. */
  readonly serviceAddress: string;
  readonly podNetwork: string;
  /** The two ends of the link between machine and node. */
  readonly hostAddress: string;
  readonly nodeAddress: string;
  /** The link's name on the machine. */
  readonly link: string;
}

/** What instance number `index` may use; below the range that the kernel hands out for outgoing connections. */
export function addressesOf(index: number): Addresses {
  const firstPort = 20_000 + index * 4;
  return {
    etcdPort: firstPort,
    etcdPeerPort: firstPort + 1,
    apiServerPort: firstPort + 2,
    serviceNetwork: `10.214.${index}.0/24`,
    serviceAddress: `10.214.${index}.1`,
    podNetwork: `10.213.${index}.0/24`,
    hostAddress: `10.215.${index}.1`,
    nodeAddress: `10.215.${index}.2`,
    link: `ci-identity${index}`,
  };
}

/** The files of a cluster in `dir`. */
export function filesOf(dir: string) {
  const pki = join(dir, 'pki');
  return {
    state: join(dir, 'cluster.json'),
    pki,
    authority: join(pki, 'ca.crt'),
    authorityKey: join(pki, 'ca.key'),
    serviceAccountKey: join(pki, 'service-account.key'),
    serviceAccountPublicKey: join(pki, 'service-account.pub'),
    logs: join(dir, 'logs'),
    log: (process: string) => join(dir, 'logs', `${process}.log`),
    kubeconfig: (user: string) => join(dir, 'kubeconfig', `${user}.yaml`),
    kubeconfigs: join(dir, 'kubeconfig'),
    auditLog: join(dir, 'logs', 'audit.jsonl'),
    auditPolicy: join(dir, 'audit-policy.yaml'),
    etcd: join(dir, 'etcd'),
    node: join(dir, 'node'),
  } as const;
}
