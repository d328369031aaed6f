/** The example of metrics meters what ran, what was refused, and what the process holds. */
import { spawnSync } from 'node:child_process';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, it, onTestFinished } from 'vitest';

const SCRIPT = fileURLToPath(new URL('../../scripts/examples/run.mjs', import.meta.url));

interface Point {
  attributes: Record<string, string>;
  value: number | { count: number; sum: number };
}

it('gives times by kind and engine, errors by code, FLOPs and counters', { timeout: 120_000 }, async () => {
  const folder = await mkdtemp(join(tmpdir(), 'torch-curvature-'));
  onTestFinished(() => rm(folder, { recursive: true, force: true }));
  const json = join(folder, 'metrics.json');
  const { status, stdout, stderr } = spawnSync(
    process.execPath,
    [SCRIPT, 'open-telemetry', '--products', '16', '--json', json],
    { encoding: 'utf8' },
  );
  expect(stderr).toBe('');
  expect(status).toBe(0);
  expect(stdout).toMatch(/operation\.duration \{kind=matvec_on_the_fly, engine=fused\}: \d+ times/);

  const { done, refused, metrics } = JSON.parse(await readFile(json, 'utf8'));
  expect(done).toBeGreaterThanOrEqual(9);
  expect(refused).toBe(16 - done);
  const points = (name: string): Point[] =>
    metrics.find((metric: { name: string }) => metric.name === `torch_curvature.${name}`).dataPoints;
  for (const name of ['operation.duration', 'operation.queue_time']) {
    const counted = (labels: Record<string, string>) =>
      points(name)
        .filter(({ attributes }) => Object.entries(labels).every(([key, label]) => attributes[key] === label))
        .reduce((sum, { value }) => sum + (value as { count: number }).count, 0);
    expect(counted({ kind: 'matvec_on_the_fly' })).toBe(16);
    expect(counted({ engine: 'fused' }) + counted({ engine: 'autograd' })).toBe(done);
    expect(counted({ 'error.type': 'ERR_BUSY' })).toBe(refused);
  }
  const waited = points('operation.queue_time').map(({ value }) => (value as { sum: number }).sum);
  expect(Math.max(...waited)).toBeGreaterThan(0);
  const counted = points('operation.flops').map(({ attributes }) => attributes.engine);
  expect(counted.sort()).toEqual(['autograd', 'fused']);
  expect(points('operations')).toMatchObject([
    { attributes: { state: 'running' }, value: 0 },
    { attributes: { state: 'queued' }, value: 0 },
  ]);
  expect(points('memory')[0]!.value).toBeGreaterThanOrEqual(0);
  expect(points('idle_threads')[0]!.value).toBeGreaterThan(0);
});
