import { spawnSync } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, it } from 'vitest';
import { temporaryFolder } from './run.ts';

const SCRIPT = fileURLToPath(new URL('../../scripts/peers/compare.mjs', import.meta.url));
const python = process.env.PYTHON ?? 'python3';
const hasTorch = spawnSync(python, ['-c', 'from torch.func import linearize']).status === 0;

it.skipIf(!hasTorch)(
  `agrees with PyTorch's own ways${hasTorch ? '' : ' (skipped: no Python with PyTorch; PYTHON names one)'}`,
  { timeout: 120_000 },
  async () => {
    const file = join(await temporaryFolder(), 'peers.json');
    const sizes = ['--hidden', '16', '--batch', '256', '--dtype', 'float64', '--rounds', '1'];
    const { status, stdout, stderr } = spawnSync(process.execPath, [SCRIPT, ...sizes, '--json', file], {
      encoding: 'utf8',
      env: { ...process.env, PYTHON: python },
    });
    expect(stderr).toBe('');
    expect(status).toBe(0);
    expect(stdout).toContain('on-the-fly / PyTorch jvp+vjp');
    const { ways, ratios } = JSON.parse(await readFile(file, 'utf8'));
    expect(ways).toHaveLength(5);
    for (const { difference, minMs, peakBytes } of ways) {
      expect(difference).toBeLessThan(1e-10);
      expect(minMs).toBeGreaterThan(0);
      expect(peakBytes).toBeGreaterThan(0);
    }
    for (const ratio of Object.values(ratios)) expect(ratio).toBeGreaterThan(0);
  },
);
