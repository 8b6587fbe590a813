import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { runOrFail } from '#test/cluster/run.ts';
import { ensureKeycloak } from './distribution.ts';
import type { Keycloak } from './keycloak.ts';
import { administrator } from './server.ts';

/** Types lines into a shell where the real `kcadm.sh` is logged in, in a directory that goes afterwards; what they print. */
export async function typeAsAdministrator(keycloak: Keycloak, lines: string): Promise<string> {
  const { home } = await ensureKeycloak(() => {});
  const dir = await mkdtemp(join(tmpdir(), 'ci-identity-kcadm-'));
  const truststore = join(dir, 'ca.p12');
  const { username, password } = administrator;
  const script = [
    `keytool -importcert -noprompt -alias ca -file ${keycloak.caFile} -keystore ${truststore} -storepass ${password}`,
    `kcadm.sh config truststore --trustpass ${password} ${truststore}`,
    `kcadm.sh config credentials --server ${keycloak.origin} --realm master --user ${username} --password ${password}`,
  ];
  // Each line is a Java of its own that works for a moment.
  const quickly = '-XX:TieredStopAtLevel=1 -XX:+UseSerialGC';
  const env = { ...process.env, KC_OPTS: quickly, HOME: dir, PATH: `${join(home, 'bin')}:${process.env['PATH']}` };
  try {
    return await runOrFail('bash', ['-euc', `{ ${script.join('\n')}\n} >&2\ncd ${dir}\n${lines}`], { env });
  } finally {
    await rm(dir, { recursive: true, force: true });
  }
}
