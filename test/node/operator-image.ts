import { execFile } from 'node:child_process';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { imageArchive } from '#test/cluster/image-archive.ts';

const run = promisify(execFile);
const root = fileURLToPath(new URL('../../', import.meta.url));

/** The tag that `manifests/controller/deployment.yaml` names. */
const name = 'ci-identity-operator:0.1.0';

/**
 * Writes a docker archive with what `manifests/controller/Containerfile` puts into the image (there is no engine here to build it): the program,
 * its packages without those for development, the admission policies, its own roles, Node from the lockfile, and this machine's C library for a base.
 * Resolves with the path; the caller removes its directory.
 */
export async function writeOperatorImage(): Promise<string> {
  const dir = await mkdtemp(join(tmpdir(), 'operator-image-'));
  const layer = join(dir, 'layer.tar');
  const app = [
    'package.json',
    'src',
    'manifests/admission',
    'manifests/controller/rbac.yaml',
    'crds',
    ...(await packages()),
  ];
  const below = ['--transform=flags=r;s,^,app/,', '--owner=0', '--group=0', '--sort=name'];
  await run('tar', ['-C', root, ...below, '-cf', layer, ...app]);
  await run('tar', ['-C', '/', '--dereference', '--owner=0', '--group=0', '-rf', layer, ...sharedObjects()]);
  const image = {
    name,
    entries: await readFile(layer),
    command: ['node', 'src/main.ts', 'controller'],
    workingDirectory: '/app',
    path: [`/app/${nodeDirectory()}`],
  };
  const archive = join(dir, 'image.tar');
  await writeFile(archive, imageArchive([image]));
  await rm(layer);
  return archive;
}

/** Paths below the root; what is nested in a package comes with it. */
async function packages(): Promise<readonly string[]> {
  const { stdout } = await run('npm', ['ls', '--omit=dev', '--all', '--parseable'], { cwd: root });
  const paths = stdout.split('\n').flatMap((path) => {
    const [, below] = path.split(root);
    return below?.startsWith('node_modules/') === true && below.lastIndexOf('node_modules/') === 0 ? [below] : [];
  });
  return [...new Set(paths)];
}

function nodeDirectory(): string {
  return `node_modules/node-linux-${process.arch}/bin`;
}

/** The libraries and the loader that Node runs with, without the leading slash. */
function sharedObjects(): readonly string[] {
  const { sharedObjects: all } = process.report.getReport() as { sharedObjects: readonly string[] };
  return all.filter((path) => path.startsWith('/') && !path.startsWith(root)).map((path) => path.slice(1));
}
