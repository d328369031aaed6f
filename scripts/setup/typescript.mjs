import { existsSync } from 'node:fs';
import { mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { SetupError } from './failure.mjs';
import { run, say } from './process.mjs';
import { digest } from './stamp.mjs';

const SOURCES = [
  'lib',
  'scripts/licenses',
  'scripts/report',
  'scripts/setup',
  'tsdown.config.ts',
  'tsconfig.json',
  'package.json',
  'package-lock.json',
];
const RESULTS = ['index.mjs', 'index.cjs', 'index.d.mts', 'index.d.cts', 'cli.mjs'];

/**
 * Compiles lib/ into dist/ unless that was done from the same sources.
 * @param {string} root
 */
export async function buildTypeScript(root) {
  const stampFile = join(root, 'build', 'typescript.stamp');
  const stamp = await digest(root, SOURCES);
  const complete = RESULTS.every((name) => existsSync(join(root, 'dist', name)));
  if (complete && (await readFile(stampFile, 'utf8').catch(() => '')) === stamp) return;

  say('Compiling TypeScript …');
  await rm(stampFile, { force: true });
  const script = join(root, 'node_modules', 'tsdown', 'dist', 'run.mjs');
  const { code, output } = await run(process.execPath, [script], { cwd: root, supervised: true });
  if (code !== 0) throw new SetupError(`TypeScript could not be compiled:\n${output.trim()}`);
  await mkdir(join(root, 'build'), { recursive: true });
  await writeFile(stampFile, stamp);
}
