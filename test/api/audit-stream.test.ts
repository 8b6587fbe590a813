/** The audit stream in trouble, on the real operator: a full disk, a pipe that nobody reads, and files that are rotated under it. */
import { execFileSync, spawn } from 'node:child_process';
import {
  closeSync,
  constants,
  copyFileSync,
  existsSync,
  mkdirSync,
  openSync,
  readFileSync,
  renameSync,
  rmSync,
  truncateSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { join } from 'node:path';
import test from 'ava';
import { verifyChain } from '#src/telemetry/audit-chain.ts';
import { eventually } from '#test/support/eventually.ts';
import { stopAfterwards } from '#test/support/hooks.ts';
import { nextPodName } from '#test/support/jenkins-pod.ts';
import { type Lab, startLab } from '#test/support/lab.ts';
import type { OperatorProcess } from '#test/support/operator-process.ts';
import {
  type Pod,
  auditOf,
  createPod,
  deliveryOf,
  dies,
  identity,
  identityReady,
  metric,
  page,
  policy,
  pool,
  sha256,
  team,
  tokenOf,
} from './operator-lab.ts';

let lab: Lab;
const newPod = (): Promise<Pod> => createPod(lab, nextPodName(), ['publisher']);
const deletePod = (pod: Pod): Promise<string> => lab.kubectl(['delete', 'pod', '-n', team, pod.name, '--wait=false']);

test.before(async () => {
  lab = await startLab({ tokenLifetime: 600, deliveryLag: '10s' });
});

stopAfterwards(() => [lab]);

async function leading(auditPath: string): Promise<OperatorProcess> {
  const operator = lab.operator({ auditPath });
  await operator.ready(60_000);
  await metric(operator, /^ci_identity_leader 1$/m);
  return operator;
}

async function installed(): Promise<void> {
  await lab.guarded();
  await lab.apply(
    pool('ci-bots', lab.provider.issuer),
    policy('publishers', { role: 'publisher', pool: 'ci-bots', scopes: ['artifacts:publish'] }),
    identity('publisher', { pool: 'ci-bots', roles: ['publisher'] }),
  );
  await identityReady(lab, 'publisher');
}

const chainOf = (...files: readonly string[]): ReturnType<typeof verifyChain> =>
  verifyChain(files.flatMap((file) => readFileSync(file, 'utf8').split('\n')));

const blocked = (operator: OperatorProcess, why: RegExp): Promise<true> =>
  eventually('it says that the audit stream is blocked', async () => {
    const { status, text } = await page(operator, '/readyz');
    const metrics = (await page(operator, '/metrics')).text;
    const waits =
      /^ci_identity_audit_waiting_lines [1-9]/m.test(metrics) && /^ci_identity_audit_blocked 1$/m.test(metrics);
    const refuses = /^ci_identity_failures_total\{.*reason="AuditBlocked".*\} [1-9]/m.test(metrics);
    return status === 503 && why.test(text) && waits && refuses ? true : undefined;
  });

/** How many tokens were issued, once that has not changed for a second: a call may have been under way when the stream got blocked. */
async function atRest(): Promise<number> {
  let last = -1;
  return eventually(
    'no call is under way any more',
    () => {
      const now = lab.provider.issued();
      if (now === last) return now;
      last = now;
      return undefined;
    },
    { everyMs: 1_000 },
  );
}

/** While it is blocked: what a pod has is taken back, and no pod gets anything. */
async function revokesAndMintsNothing(
  t: { is(a: unknown, b: unknown): unknown },
  pod: Pod,
  token: string,
): Promise<Pod> {
  const issued = await atRest();
  const waiting = await newPod();
  await deletePod(pod);
  await dies(lab.provider, token, 20_000);
  // So long a pod never waits for its token where nothing holds it up.
  await new Promise((resolve) => setTimeout(resolve, 3_000));
  t.is(lab.provider.issued(), issued);
  return waiting;
}

test.serial(
  'rotation by renaming, by copying and truncating, and SIGHUP: every line is in one of the files, in order',
  async (t) => {
    const path = join(lab.dir, 'rotated.audit');
    const operator = await leading(path);
    await installed();
    const text = (): string =>
      [path, `${path}.1`, `${path}.2`]
        .flatMap((file) => (existsSync(file) ? [readFileSync(file, 'utf8')] : []))
        .join('');
    // Resolves when its last line is written.
    const session = async (): Promise<void> => {
      const pod = await newPod();
      const token = await tokenOf(lab, pod, 'publisher');
      await deletePod(pod);
      await dies(lab.provider, token);
      await eventually('the audit says Revoked', () =>
        auditOf({ audit: text }).find(
          ({ event, token_sha256 }) => event === 'Revoked' && token_sha256 === sha256(token),
        ),
      );
    };
    // That the file has another name is noticed a little later: a session that was quicker is in the old file as a whole.
    const inNewFile = (): Promise<true> =>
      eventually('the new file is written', async () => {
        await session();
        return existsSync(path) && readFileSync(path, 'utf8').includes('Revoked') ? true : undefined;
      });
    await session();
    renameSync(path, `${path}.1`);
    process.kill(operator.pid, 'SIGHUP');
    await inNewFile();
    renameSync(path, `${path}.2`);
    await inNewFile();
    copyFileSync(path, `${path}.3`);
    truncateSync(path);
    await session();
    await operator.stop();
    t.like(chainOf(`${path}.1`, `${path}.2`, `${path}.3`, path), { is: 'Whole', processes: 1, torn: [] });
  },
);

test.serial('a pipe that nobody reads: nothing is minted, revocation goes on, nothing is lost', async (t) => {
  const path = join(lab.dir, 'pipe.audit');
  execFileSync('mkfifo', [path]);
  const operator = await leading(path);
  const pod = await newPod();
  const token = await tokenOf(lab, pod, 'publisher');
  // Full from now on: empty lines are no audit lines.
  const pipe = openSync(path, constants.O_RDWR | constants.O_NONBLOCK);
  t.teardown(() => closeSync(pipe));
  for (const size of [65_536, 4_096, 1]) fill(pipe, Buffer.alloc(size, '\n'));
  const trigger = await newPod();
  await blocked(operator, /^not ok audit stream: .*nobody reads it/m);
  const waiting = await revokesAndMintsNothing(t, pod, token);
  const out = join(lab.dir, 'pipe.read');
  const reader = spawn('sh', ['-c', `cat "${path}" > "${out}"`], { stdio: 'ignore' });
  t.teardown(() => void reader.kill('SIGKILL'));
  for (const one of [trigger, waiting]) await tokenOf(lab, one, 'publisher', undefined, 60_000);
  await operator.stop();
  await eventually('the reader has it all', () => (readFileSync(out, 'utf8').includes('"Stopped"') ? true : undefined));
  t.like(chainOf(out), { is: 'Whole', processes: 1, torn: [] });
});

function fill(pipe: number, bytes: Buffer): void {
  try {
    for (;;) writeSync(pipe, bytes);
  } catch {
    // Full is what it shall be.
  }
}

const root = process.getuid?.() === 0;
const disk = root ? test.serial : test.serial.skip;
if (!root) test('skipped: a full disk needs a file system of its own, and mounting one needs root', (t) => t.pass());

disk('a full disk: nothing is minted, revocation goes on, and with room again nothing is lost', async (t) => {
  const mount = join(lab.dir, 'disk');
  mkdirSync(mount);
  execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=256k', 'tmpfs', mount]);
  t.teardown(() => void execFileSync('umount', ['-l', mount]));
  const path = join(mount, 'audit.log');
  const operator = await leading(path);
  const pod = await newPod();
  const token = await tokenOf(lab, pod, 'publisher');
  const ballast = join(mount, 'ballast');
  try {
    writeFileSync(ballast, Buffer.alloc(1 << 20));
  } catch {
    // Full is what it shall be.
  }
  const triggers: Pod[] = [];
  await eventually(
    'the last page of the file is full too',
    async () => {
      triggers.push(await newPod());
      return (await page(operator, '/readyz')).status === 503 ? true : undefined;
    },
    { everyMs: 1_000, timeoutMs: 60_000 },
  );
  await blocked(operator, /^not ok audit stream: .*ENOSPC/m);
  const waiting = await revokesAndMintsNothing(t, pod, token);
  t.is((await deliveryOf(lab, waiting, 'publisher').catch(() => undefined))?.files['token'], undefined);
  rmSync(ballast);
  for (const one of [...triggers, waiting]) await tokenOf(lab, one, 'publisher', undefined, 60_000);
  await operator.ready(60_000);
  await operator.stop();
  const verdict = chainOf(path);
  t.like(verdict, { is: 'Whole', processes: 1 });
  t.regex(readFileSync(path, 'utf8'), /"event":"Revoked"/);
});
