import { createHash } from 'node:crypto';

/** One file, directory or symbolic link in an image; paths without a leading slash. */
export interface ImageEntry {
  readonly path: string;
  /** Permission bits. */
  readonly mode: number;
  readonly content: Buffer | { readonly linkTo: string } | 'directory';
}

export interface Image {
  /** With tag; choose one other than `latest`, which a kubelet would pull. */
  readonly name: string;
  /** Or the layer's tar as it is. */
  readonly entries: readonly ImageEntry[] | Buffer;
  readonly command: readonly string[];
  /** Default `/`. */
  readonly workingDirectory?: string;
  /** Directories that are looked through for programs before the usual ones. */
  readonly path?: readonly string[];
}

/** A docker archive of images with one layer each: what `docker load` and `ctr images import` read. Images with the same entries share a layer. */
export function imageArchive(images: readonly Image[]): Buffer {
  const layers = new Map<Image['entries'], { file: string; tar: Buffer; digest: string }>();
  const files: ImageEntry[] = [];
  const manifest = images.map(({ name, entries, command, workingDirectory = '/', path = [] }) => {
    let layer = layers.get(entries);
    if (!layer) {
      const content = Buffer.isBuffer(entries) ? entries : tar(entries);
      const digest = sha256(content);
      layer = { file: `${digest}.tar`, tar: content, digest };
      layers.set(entries, layer);
      files.push({ path: layer.file, mode: 0o644, content });
    }
    const configuration = Buffer.from(
      JSON.stringify({
        architecture: process.arch === 'x64' ? 'amd64' : process.arch,
        os: 'linux',
        config: {
          Cmd: command,
          Env: [`PATH=${[...path, '/usr/local/bin', '/usr/bin', '/bin'].join(':')}`],
          WorkingDir: workingDirectory,
        },
        rootfs: { type: 'layers', diff_ids: [`sha256:${layer.digest}`] },
      }),
    );
    const configurationFile = `${sha256(configuration)}.json`;
    files.push({ path: configurationFile, mode: 0o644, content: configuration });
    return { Config: configurationFile, RepoTags: [name], Layers: [layer.file] };
  });
  return tar([...files, { path: 'manifest.json', mode: 0o644, content: Buffer.from(JSON.stringify(manifest)) }]);
}

/** The file system of an image with busybox and a link for each of its applets: sh, cat, sleep, wget, nc, httpd … */
export function busyboxEntries(busybox: Buffer, applets: readonly string[]): readonly ImageEntry[] {
  const directory = (path: string, mode = 0o755): ImageEntry => ({ path, mode, content: 'directory' });
  return [
    directory('bin'),
    directory('etc'),
    directory('tmp', 0o1777),
    directory('root', 0o700),
    { path: 'bin/busybox', mode: 0o755, content: busybox },
    ...applets.map((applet) => ({ path: `bin/${applet}`, mode: 0o777, content: { linkTo: 'busybox' } })),
    {
      path: 'etc/passwd',
      mode: 0o644,
      content: Buffer.from('root:x:0:0::/root:/bin/sh\nnobody:x:65534:65534::/tmp:/bin/sh\n'),
    },
    { path: 'etc/group', mode: 0o644, content: Buffer.from('root:x:0:\nnobody:x:65534:\n') },
  ];
}

function sha256(content: Buffer): string {
  return createHash('sha256').update(content).digest('hex');
}

function tar(entries: readonly ImageEntry[]): Buffer {
  const blocks = entries.flatMap((entry) => {
    const body = Buffer.isBuffer(entry.content) ? entry.content : Buffer.alloc(0);
    return [header(entry, body.length), body, Buffer.alloc((512 - (body.length % 512)) % 512)];
  });
  return Buffer.concat([...blocks, Buffer.alloc(1024)]);
}

/** A ustar header: owner root, modification time 0, so that the same content gives the same digest. */
function header({ path, mode, content }: ImageEntry, size: number): Buffer {
  if (Buffer.byteLength(path) > 100) throw new Error(`${path} is longer than the 100 bytes of a tar header`);
  const block = Buffer.alloc(512);
  const octal = (value: number, at: number, width: number): void => {
    block.write(`${value.toString(8).padStart(width - 1, '0')}\0`, at, 'ascii');
  };
  block.write(path, 0);
  octal(mode, 100, 8);
  octal(0, 108, 8);
  octal(0, 116, 8);
  octal(size, 124, 12);
  octal(0, 136, 12);
  block.write(content === 'directory' ? '5' : Buffer.isBuffer(content) ? '0' : '2', 156, 'ascii');
  if (typeof content === 'object' && 'linkTo' in content) block.write(content.linkTo, 157);
  block.write('ustar\x0000', 257, 'binary');
  block.fill(' ', 148, 156); // the checksum counts itself as spaces
  const sum = block.reduce((total, byte) => total + byte, 0);
  block.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148, 'ascii');
  return block;
}
