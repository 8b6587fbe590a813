/** What the READMEs name is there, and every file of src/ is named by the README of its folder, so that a newcomer finds it. */
import { existsSync, globSync, readFileSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import test from 'ava';

interface Page {
  readonly file: string;
  readonly folder: string;
  readonly text: string;
}

const pages: readonly Page[] = ['README.md', ...globSync('{src,test,manifests}/**/README.md')].map((file) => ({
  file,
  folder: dirname(file),
  text: readFileSync(file, 'utf8'),
}));
const files = globSync('{src,test,manifests,crds}/**/*.{ts,yaml}', { exclude: ['**/node_modules/**'] });

/** Words in code marks. */
function marked(text: string): readonly string[] {
  return [...text.matchAll(/`([^`\n]+)`/g)].flatMap(([, words = '']) => words.split(/\s+/));
}

/** The files that a page names; patterns are left out, and on the first page the files of its readers. */
function named({ file, text }: Page): readonly string[] {
  const ours = file === 'README.md' ? /^(src|test|manifests|crds)\/[\w./-]+\.(ts|yaml)$/ : /^[\w./-]+\.(ts|yaml)$/;
  return marked(text).filter((word) => ours.test(word));
}

/** A path is meant from the page's folder, src/, test/ or the root; a bare name may be anywhere, on pages of test/ below that folder. */
function isThere(name: string, { folder }: Page): boolean {
  if ([folder, 'src', 'test', '.'].some((from) => existsSync(join(from, name)))) return true;
  const below = folder.startsWith('test') ? `${folder}/` : '';
  return !name.includes('/') && files.some((file) => file.startsWith(below) && basename(file) === name);
}

/** As GitHub makes anchors of headings. */
function anchors(text: string): ReadonlySet<string> {
  const headings = [...text.matchAll(/^#+ (.+)$/gm)].map(([, heading = '']) => heading);
  return new Set(
    headings.map((heading) =>
      heading
        .toLowerCase()
        .replaceAll(/[^\p{L}\p{N} _-]/gu, '')
        .replaceAll(' ', '-'),
    ),
  );
}

function isLinkGood(link: string, { file, folder }: Page): boolean {
  const [path = '', anchor] = link.split('#');
  const target = path === '' ? file : join(folder, path);
  if (!existsSync(target)) return false;
  return anchor === undefined || anchors(readFileSync(target, 'utf8')).has(anchor);
}

for (const page of pages) {
  test(`${page.file} names files that are there`, (t) => {
    t.deepEqual(
      named(page).filter((name) => !isThere(name, page)),
      [],
    );
  });

  test(`${page.file} links to what is there`, (t) => {
    const links = [...page.text.matchAll(/\]\(([^)\s]+)\)/g)].map(([, link = '']) => link);
    t.deepEqual(
      links.filter((link) => !/^https?:/.test(link) && !isLinkGood(link, page)),
      [],
    );
  });
}

/** What stands for a file on a page: its name, or one with a star in it. */
function isNamed(file: string, text: string): boolean {
  const name = basename(file, '.ts');
  return marked(text).some((word) => {
    const stem = word.replace(/\.ts$/, '');
    return stem.includes('*') ? new RegExp(`^${stem.replaceAll('*', '.+')}$`).test(name) : stem === name;
  });
}

for (const { file, folder, text } of pages.filter((page) => page.file.startsWith('src/'))) {
  test(`${file} names every file of its folder`, (t) => {
    const own = files.filter((one) => dirname(one) === folder && one.endsWith('.ts'));
    t.deepEqual(
      own.filter((one) => !isNamed(one, text)),
      [],
    );
  });
}

test('a file that is gone, a dead link and a forgotten file are found', (t) => {
  const page: Page = { file: 'src/kube/README.md', folder: 'src/kube', text: 'See `gone.ts` and `records.ts`.' };
  t.deepEqual(
    named(page).filter((name) => !isThere(name, page)),
    ['gone.ts'],
  );
  t.false(isLinkGood('../README.md#no-such-heading', page));
  t.true(isLinkGood('../README.md#words', page));
  t.false(isNamed('src/kube/leases.ts', page.text));
  t.false(isNamed('src/kube/records.ts', 'the records'));
  t.true(isNamed('src/kube/guard-probe.ts', '`guard*.ts`'));
});
