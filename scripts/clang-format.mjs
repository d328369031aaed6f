/** Checks the layout of the C++ sources, or with `--write` mends it. */
import { spawnSync } from 'node:child_process';
import { chmodSync, existsSync, readdirSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('..', import.meta.url));
const { clangFormatPath } = createRequire(import.meta.url)('clang-format-node');

const files = ['native/core', 'native/binding', 'test/native']
  .filter((f) => existsSync(join(root, f)))
  .flatMap((folder) =>
    readdirSync(join(root, folder), { recursive: true })
      .filter((name) => /\.(h|cc)$/.test(name))
      .map((name) => join(folder, name)),
  );
chmodSync(clangFormatPath, 0o755); // npm ci --ignore-scripts leaves it unexecutable
const mode = process.argv.includes('--write') ? ['-i'] : ['--dry-run', '--Werror'];
const { status, error } = spawnSync(clangFormatPath, [...mode, ...files], { cwd: root, stdio: 'inherit' });
if (error) throw error;
process.exitCode = status ?? 1;
