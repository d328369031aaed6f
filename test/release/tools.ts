/** The registry, package managers and bundlers of `tools/package.json`, installed once for all runs on a machine. */
import { createHash } from 'node:crypto';
import { copyFileSync, existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { withLock } from '../../scripts/setup/lock.mjs';
import { must } from './run.ts';

const MANIFEST = fileURLToPath(new URL('tools/package.json', import.meta.url));

export class Tools {
  readonly #require: NodeJS.Require;

  private constructor(readonly folder: string) {
    this.#require = createRequire(join(folder, 'package.json'));
  }

  /** Outside of the home folder, which other users may not look into. */
  static async install(): Promise<Tools> {
    const key = createHash('sha256').update(readFileSync(MANIFEST)).digest('hex').slice(0, 12);
    const folder = join(tmpdir(), `torch-curvature-release-tools-${key}`);
    const complete = join(folder, 'complete');
    mkdirSync(folder, { recursive: true });
    await withLock(join(folder, 'lock'), async () => {
      if (existsSync(complete)) return;
      copyFileSync(MANIFEST, join(folder, 'package.json'));
      await must('npm', ['install', '--ignore-scripts', '--no-audit', '--no-fund'], { cwd: folder });
      writeFileSync(complete, '');
    });
    return new Tools(folder);
  }

  /** A file of a package of theirs. */
  file(name: string, path: string): string {
    return join(this.folder, 'node_modules', name, path);
  }

  /** A module of theirs, for a program that a test runs. */
  module(name: string): string {
    return this.#require.resolve(name);
  }

  version(name: string): string {
    return JSON.parse(readFileSync(this.file(name, 'package.json'), 'utf8')).version;
  }

  /** The script behind a package's command. */
  bin(name: string): string {
    const manifest = this.file(name, 'package.json');
    const { bin } = JSON.parse(readFileSync(manifest, 'utf8'));
    return join(dirname(manifest), typeof bin === 'string' ? bin : bin[name.split('/').at(-1)!]);
  }
}
