/** `import` and `require` in one process give the same classes, functions and state. */
import { execFileSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { expect, it } from 'vitest';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const node = (...args: string[]) => execFileSync(process.execPath, args, { cwd: ROOT, encoding: 'utf8' });

it('imported first, in the main thread and in workers', { timeout: 60_000 }, () => {
  expect(node('test/fixtures/one-copy.mjs')).toBe('one copy\n');
});

it('required first', { timeout: 60_000 }, () => {
  const script = `
    const required = require('torch-curvature');
    import('torch-curvature').then((imported) => {
      const names = Object.keys(required);
      console.log(names.length > 40 && names.every((name) => imported[name] === required[name]));
    });`;
  expect(node('--input-type=commonjs', '-e', script)).toBe('true\n');
});
