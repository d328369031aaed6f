import { join } from 'node:path';
import { expect, it } from 'vitest';
import packageJson from '../../package.json' with { type: 'json' };
import { run, temporaryFolder } from './run.ts';

it.each([
  [['--help'], /bench.*info.*matvec/s],
  [['bench', '--help'], /--hidden.*--layers.*--batch.*--sort-by.*--sweep.*--html.*--json.*--trace/s],
  [['info', '--help'], /--json/],
  [['matvec', '--help'], /--model.*--x.*--v.*--out/s],
])('%j explains itself', async (args, content) => {
  const { code, stdout, stderr } = await run(args);
  expect(stdout).toMatch(content);
  expect(stdout).not.toContain('measure');
  expect(stderr).toBe('');
  expect(code).toBe(0);
});

it('knows its version', async () => {
  expect(await run(['--version'])).toEqual({ code: 0, stdout: `${packageJson.version}\n`, stderr: '' });
});

it.each([
  [[], 'Usage:'],
  [['bnech'], 'unknown command'],
  [['bench', '--hiden', '8'], 'unknown option'],
  [['bench', '--hidden', '0'], 'at least 1'],
  [['bench', '--hidden', '1e3'], 'whole number'],
  [['bench', '--hidden', '99999999999999999999'], 'whole number'],
  [['bench', '--seed', '-1'], 'at least 0'],
  [['bench', '--dtype', 'float16'], 'float32, float64'],
  [['bench', '--device', 'tpu'], "'cpu', 'cuda'"],
  [['bench', '--sort-by', 'beauty'], 'beauty'],
  [['bench', '--sweep', 'width=8'], 'hidden, batch, layers'],
  [['bench', '--sweep', 'hidden=8,,16'], 'at least 1'],
  [['bench', '--html', 'report.html'], '--sweep'],
  [['matvec', '--model', 'm.json'], "'--x <file>' not specified"],
  [['info', 'extra'], 'too many arguments'],
])('%j is wrong usage', async (args, reason) => {
  const { code, stdout, stderr } = await run(args);
  expect(stderr).toContain(reason);
  expect(stdout).toBe('');
  expect(code).toBe(2);
});

it('reports a failed run in one line, and its stack when asked', async () => {
  const folder = await temporaryFolder();
  const args = ['matvec', '--model', join(folder, 'none.json'), '--x', 'x', '--v', 'v', '--out', 'o'];
  const plain = await run(args);
  expect(plain.code).toBe(1);
  expect(plain.stderr).toMatch(/^torch-curvature: .*none\.json.*\(ERR_MODEL_LOAD\)\n$/);
  for (const debug of [
    await run([...args, '--debug']),
    await run(args, { env: { TORCH_CURVATURE_DEBUG: '1' } }),
  ]) {
    expect(debug.code).toBe(1);
    expect(debug.stderr).toMatch(/\n {4}at .*\ncaused by ENOENT/s);
  }
});
