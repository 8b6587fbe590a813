import { spawn } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { run } from './run.ts';

/** One of the Go modules below `test/cluster/go`: nothing but a `go.mod` and a `go.sum` that pin what is built. */
export type GoModule = 'kubernetes' | 'containerd' | 'runc' | 'cni' | 'hydra';

function goModuleDirectory(module: GoModule): string {
  return join(import.meta.dirname, 'go', module);
}

/** The version that `go.mod` pins for a Go package's module, such as `v1.36.3`. */
export async function pinnedVersion(module: GoModule, path: string): Promise<string> {
  const text = await readFile(join(goModuleDirectory(module), 'go.mod'), 'utf8');
  const version = text
    .split('\n')
    .map((line) =>
      line
        .trim()
        .replace(/^require /, '')
        .split(' '),
    )
    .find(([name, candidate]) => name === path && candidate?.startsWith('v'))?.[1];
  if (!version) throw new Error(`${goModuleDirectory(module)}/go.mod does not require ${path}`);
  return version;
}

/** Says in one sentence why Go cannot build `module` here, or returns `undefined` where it can. */
export async function whyGoCannotBuild(module: GoModule): Promise<string | undefined> {
  // Inside the module, so that an older Go either switches toolchain or says that it may not.
  const result = await run('go', ['version'], { cwd: goModuleDirectory(module) }).catch(() => undefined);
  if (!result) return 'Go is not on the PATH';
  return result.code === 0 ? undefined : result.stderr.trim().replaceAll('\n', '; ');
}

export interface GoBuild {
  readonly module: GoModule;
  readonly package: string;
  readonly output: string;
  readonly ldflags?: string;
  readonly tags?: string;
  /** C headers and static libraries, or `Own`: its C code brings all that it needs. Absent: cgo stays off. */
  readonly cgo?: 'Own' | { readonly include: string; readonly lib: string; readonly libraries: readonly string[] };
}

/** Runs `go build` for one program. Fails with the end of Go's output. */
export async function goBuild(build: GoBuild): Promise<void> {
  const args = ['build', '-p', '2', '-trimpath', '-buildvcs=false', '-mod=readonly'];
  args.push('-ldflags', build.ldflags ?? '-s -w', '-o', build.output);
  if (build.tags) args.push('-tags', build.tags);
  const environment: NodeJS.ProcessEnv = { ...process.env, GOWORK: 'off', CGO_ENABLED: build.cgo ? '1' : '0' };
  if (build.cgo !== undefined && build.cgo !== 'Own') {
    environment['CGO_CFLAGS'] = `-I${build.cgo.include}`;
    environment['CGO_LDFLAGS'] = `-L${build.cgo.lib} ${build.cgo.libraries.map((name) => `-l${name}`).join(' ')}`;
    environment['PKG_CONFIG'] = 'true'; // what it would tell stands here, and a machine without it can build too
  }
  const child = spawn('go', [...args, build.package], {
    cwd: goModuleDirectory(build.module),
    env: environment,
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  let output = '';
  child.stderr.setEncoding('utf8').on('data', (text: string) => (output = (output + text).slice(-4000)));
  const code = await new Promise<number | null>((resolve, reject) => {
    child.once('error', reject).once('close', resolve);
  });
  if (code !== 0) throw new Error(`go build ${build.package} failed (${code ?? 'killed'}):\n${output}`);
}
