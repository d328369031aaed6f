import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { chromium } from 'playwright-core';
import { expect, it } from 'vitest';
import { chromiumPath } from '../support/chromium.ts';
import { someOf } from '../support/counts.ts';
import { run, temporaryFolder } from './run.ts';

const SMALL = ['bench', '--batch', '64', '--repeat', '1'];

it('measures each size, and goes on where dense does not fit', { timeout: 120_000 }, async () => {
  const folder = await temporaryFolder();
  const { code, stdout, stderr } = await run([...SMALL, '--sweep', 'hidden=8,2048', '--json', 'r.json'], {
    cwd: folder,
  });
  expect(stderr).toBe('');
  expect(code).toBe(0);
  expect(stdout).toMatch(/hidden = 2048: dense was not run: .*\d/);

  const { sweep } = JSON.parse(await readFile(join(folder, 'r.json'), 'utf8'));
  expect(sweep).toHaveLength(2);
  const [fits, refused] = sweep;
  expect(fits).toMatchObject({ value: 8, model: '4-8-8-1 tanh', parameterCount: 121, refusal: null });
  expect(fits.dense.minMs).toBeGreaterThan(0);
  expect(fits.maxRelativeDifference).toBeLessThan(1e-4);
  expect(refused.dense).toBeNull();
  expect(refused.onTheFly.minMs).toBeGreaterThan(0);
  expect(refused.denseEstimateBytes).toBe((64 + refused.parameterCount) * refused.parameterCount * 4);

  const html = await readFile(join(folder, 'torch-curvature-sweep.html'), 'utf8');
  expect(html).toContain('4-2048-2048-1 tanh');
  expect(html).not.toMatch(/(src|href)="(https?:)?\/\//);
});

const browser = chromiumPath();

it.skipIf(browser === undefined).each(someOf(['light', 'dark'] as const))(
  `the report opens offline, %s${browser === undefined ? ' (skipped: no Chromium on PATH)' : ''}`,
  { timeout: 120_000 },
  async (colorScheme) => {
    const folder = await temporaryFolder();
    const axis = colorScheme === 'light' ? 'hidden=4,8,2048' : 'batch=8,32';
    const { code } = await run([...SMALL, '--hidden', '8', '--sweep', axis, '--html', 'deep/report.html'], {
      cwd: folder,
    });
    expect(code).toBe(0);

    const chromiumProcess = await chromium.launch({
      executablePath: browser!,
      args: [
        ...['--headless', '--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run'],
        ...['--disable-background-networking', '--disable-component-update'],
      ],
    });
    try {
      const context = await chromiumProcess.newContext({ colorScheme, offline: true });
      const page = await context.newPage();
      const complaints: string[] = [];
      page.on('console', (message) => complaints.push(message.text()));
      page.on('pageerror', (error) => complaints.push(error.message));
      page.on('requestfailed', (request) => complaints.push(request.url()));
      await page.goto(pathToFileURL(join(folder, 'deep/report.html')).href);

      for (const id of ['time', 'memory']) {
        const canvas = page.locator(`#${id} canvas`);
        expect(await canvas.count()).toBe(1);
        // Drawn in more colors than axes alone need.
        const colors = await canvas.evaluate((element) => {
          const { width, height } = element as unknown as { width: number; height: number };
          const context = (element as unknown as { getContext(kind: '2d'): Context2d }).getContext('2d');
          const pixels = new Uint32Array(context.getImageData(0, 0, width, height).data.buffer);
          return new Set(pixels).size;
        });
        expect(colors).toBeGreaterThan(20);
      }
      // Hovering shows the numbers of the nearest size.
      const plot = page.locator('#time .u-over');
      await plot.hover({ position: { x: 2, y: 40 } });
      await expect.poll(() => page.locator('#time .u-legend').textContent()).toMatch(/dense[^–]*\d/);

      await page.setViewportSize({ width: 480, height: 800 });
      await page.emulateMedia({ colorScheme: colorScheme === 'light' ? 'dark' : 'light' });
      await expect.poll(() => page.locator('canvas').count()).toBe(2);
      expect(complaints).toEqual([]);
    } finally {
      await chromiumProcess.close();
    }
  },
);

interface Context2d {
  getImageData(x: number, y: number, width: number, height: number): { data: { buffer: ArrayBuffer } };
}
