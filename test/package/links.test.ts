/** Pages that the package ships link to pages that it ships too, or to the repository. */
import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { dirname, join, normalize } from 'node:path';
import { expect, it } from 'vitest';
import manifest from '../../package.json' with { type: 'json' };

const ROOT = join(import.meta.dirname, '../..');
/** Where the files of the repository are read. */
const REPOSITORY = `${manifest.homepage.replace('#readme', '')}/blob/main/`;

const [{ files }] = JSON.parse(
  execFileSync('npm', ['pack', '--dry-run', '--json', '--ignore-scripts'], { cwd: ROOT, encoding: 'utf8' }),
);
const shipped = new Set<string>(files.map(({ path }: { path: string }) => path));
const pages = [...shipped].filter((path) => path.endsWith('.md'));

it('the pages are there', () => {
  expect(pages).toEqual(expect.arrayContaining(['README.md', 'SECURITY.md', 'scripts/docs/guide.md']));
  expect(manifest.repository.url).toBe(`git+${REPOSITORY.replace('/blob/main/', '.git')}`);
});

it.each(pages)('%s', (page) => {
  const text = readFileSync(join(ROOT, page), 'utf8').replaceAll(/^```.*?^```$/gms, '');
  for (const [, target] of text.matchAll(/\]\(([^)\s]+)\)/g)) {
    const [path, heading] = target!.split('#') as [string, string?];
    if (path.startsWith(REPOSITORY)) {
      expect(existsSync(join(ROOT, path.slice(REPOSITORY.length))), target).toBe(true);
    } else if (!/^https?:/.test(path)) {
      const linked = path === '' ? page : normalize(join(dirname(page), path));
      expect([...shipped], target).toContain(linked);
      if (heading !== undefined) expect(headingsOf(linked), target).toContain(heading);
    }
  }
});

/** The names by which links find the headings of a page. */
function headingsOf(page: string): string[] {
  const text = readFileSync(join(ROOT, page), 'utf8');
  return Array.from(text.matchAll(/^#+ (.*)$/gm), ([, heading]) =>
    heading!
      .toLowerCase()
      .replaceAll(/[^\p{Letter}\p{Number} _-]/gu, '')
      .replaceAll(' ', '-'),
  );
}
