import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { chromiumPath } from '../support/chromium.ts';
import { byCounts, someOf } from '../support/counts.ts';
import { coloredPixels, openPage } from '../support/open-page.ts';
import { run, temporaryFolder } from './run.ts';

const SMALL = ['bench', '--batch', '64', '--repeat', '1'];

it('measures each size, and goes on where dense does not fit', { timeout: 120_000 }, async () => {
  const folder = await temporaryFolder();
  const { code, stdout, stderr } = await run([...SMALL, '--sweep', 'hidden=8,1024', '--json', 'r.json'], {
    cwd: folder,
  });
  expect(stderr).toBe('');
  expect(code).toBe(0);
  expect(stdout).toMatch(/hidden = 1024: dense was not run: .*\d/);

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
  expect(html).toContain('4-1024-1024-1 tanh');
  expect(html).not.toMatch(/(src|href)="(https?:)?\/\//);
});

const browser = chromiumPath();

it.skipIf(browser === undefined).each(someOf(['light', 'dark'] as const))(
  `the report opens offline, %s${browser === undefined ? ' (skipped: no Chromium on PATH)' : ''}`,
  { timeout: 120_000 },
  async (colorScheme) => {
    const folder = await temporaryFolder();
    const axis = colorScheme === 'light' ? byCounts('hidden=4,8', 'hidden=4,8,2048') : 'batch=8,32';
    const { code } = await run([...SMALL, '--hidden', '8', '--sweep', axis, '--html', 'deep/report.html'], {
      cwd: folder,
    });
    expect(code).toBe(0);

    const report = join(folder, 'deep/report.html');
    await openPage(report, { executablePath: browser!, colorScheme }, async (page) => {
      for (const id of ['time', 'memory']) {
        expect(await page.locator(`#${id} canvas`).count()).toBe(1);
        expect(await coloredPixels(page, `#${id} canvas`)).toBeGreaterThan(300);
      }
      // Hovering shows the numbers of the nearest size.
      const plot = page.locator('#time .u-over');
      await plot.hover({ position: { x: 2, y: 40 } });
      await expect.poll(() => page.locator('#time .u-legend').textContent()).toMatch(/dense[^–]*\d/);

      await page.setViewportSize({ width: 480, height: 800 });
      await page.emulateMedia({ colorScheme: colorScheme === 'light' ? 'dark' : 'light' });
      await expect.poll(() => page.locator('canvas').count()).toBe(2);
    });
  },
);
