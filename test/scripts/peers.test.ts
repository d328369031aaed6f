import { spawnSync } from 'node:child_process';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, it, onTestFinished } from 'vitest';

const SCRIPT = fileURLToPath(new URL('../../scripts/peers.mjs', import.meta.url));
const python = process.env.PYTHON ?? 'python3';
const absent = spawnSync(python, ['-c', 'import jax; from torch.func import linearize']).status !== 0;
const reason = absent ? ' (skipped: no Python with PyTorch and JAX; PYTHON names one)' : '';

it.skipIf(absent)(`agrees with PyTorch and JAX${reason}`, { timeout: 300_000 }, async () => {
  const folder = await mkdtemp(join(tmpdir(), 'torch-curvature-'));
  onTestFinished(() => rm(folder, { recursive: true, force: true }));
  const [json, html] = [join(folder, 'peers.json'), join(folder, 'peers.html')];
  const args = ['--case', 'width: 4-16-16-1, batch 4096', '--case', 'transformer', '--rounds', '1'];
  const { status, stdout, stderr } = spawnSync(
    process.execPath,
    [SCRIPT, ...args, '--json', json, '--html', html],
    {
      encoding: 'utf8',
      env: { ...process.env, PYTHON: python },
    },
  );
  expect(stderr).toBe('');
  expect(status).toBe(0);
  expect(stdout).toContain('ours / theirs');
  const { races } = JSON.parse(await readFile(json, 'utf8'));
  expect(races.map(({ results }: { results: unknown[] }) => results.length)).toEqual([8, 8]);
  for (const { results, ratios } of races) {
    for (const { difference, minMs, peakBytes } of results) {
      expect(difference).toBeLessThan(1e-4);
      expect(minMs).toBeGreaterThan(0);
      expect(peakBytes).toBeGreaterThan(0);
    }
    for (const { ratio } of ratios) expect(ratio).toBeGreaterThan(0);
  }
  expect(await readFile(html, 'utf8')).toContain('id="plot-width"');
});
