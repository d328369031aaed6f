import { existsSync } from 'node:fs';
import { expect, it } from 'vitest';
import { run } from './run.ts';

it('tells which libtorch is in use and where it lies', async () => {
  const { code, stdout } = await run(['info', '--json']);
  const facts = JSON.parse(stdout);
  expect(code).toBe(0);
  expect(facts.libtorchVersion).toMatch(/^\d+\.\d+\.\d+/);
  expect(existsSync(facts.libtorchPath)).toBe(true);
  expect(facts.threads).toBeGreaterThanOrEqual(1);
  expect(facts.cudaDevices).toBeInstanceOf(Array);

  const table = await run(['info']);
  expect(table.code).toBe(0);
  expect(table.stdout).toContain(facts.libtorchVersion);
  expect(table.stdout).toContain(facts.libtorchPath);
});
