/** Pages of reports: whole files in which data stays data. */
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { page } from '../../scripts/report/page.mjs';
import { temporaryFolder } from '../cli/run.ts';
import { chromiumPath } from '../support/chromium.ts';
import { coloredPixels, openPage } from '../support/open-page.ts';

const HOSTILE = '</script><script>alert(1)</script><!-- <b>&';

it('shows text as text, wherever it stands', () => {
  const curve = { label: HOSTILE, x: [1, 2], y: [1, null] };
  const html = page({
    title: HOSTILE,
    introduction: HOSTILE,
    sections: [
      { title: HOSTILE, plot: { x: { label: HOSTILE }, y: { label: HOSTILE }, curves: [curve] } },
      { title: 'numbers', table: { head: [HOSTILE], rows: [[HOSTILE], [3]] }, notes: [HOSTILE] },
    ],
  });
  for (const tag of ['<script>', '</script>']) expect(html.split(tag)).toHaveLength(1 + 2);
  expect(html).not.toContain('<b>');
  expect(html).toContain(
    '<td>&lt;/script&gt;&lt;script&gt;alert(1)&lt;/script&gt;&lt;!-- &lt;b&gt;&amp;</td>',
  );
});

it('loads nothing', () => {
  const html = page({ title: 'a', sections: [] });
  expect(html).not.toMatch(/(src|href)="(https?:)?\/\//);
  expect(html).not.toContain('@import');
});

it('gives each plot an element of its own, by its name or its place', () => {
  const plot = { x: { label: 'x' }, y: { label: 'y' }, curves: [{ label: 'c', x: [1], y: [2] }] };
  const html = page({
    title: 'a',
    sections: [
      { title: 'b', plot },
      { title: 'c', id: 'time', plot },
    ],
  });
  expect([...html.matchAll(/<div class="plot" id="([^"]+)">/g)].map(([, id]) => id)).toEqual([
    'plot-0',
    'time',
  ]);
  expect(html).toMatch(/drawPlots\(\[\{"id":"plot-0".*\{"id":"time"/);
});

const browser = chromiumPath();
const skip = browser === undefined ? ' (skipped: no Chromium on PATH)' : '';

it.skipIf(browser === undefined)(`logarithmic axes over many decades are drawn${skip}`, async () => {
  const folder = await temporaryFolder();
  const sections = [
    [0.47, 3e-31],
    [1e-40, 1e-38],
    [1e-300, 1e300],
    [1, 1e25],
    [3, 4],
    [7, 7],
  ].map((y, i) => ({
    title: String(y),
    id: `over-${i}`,
    plot: {
      x: { label: 'x' },
      y: { label: 'y', logarithmic: true },
      curves: [{ label: 'c', x: [1, 2], y }],
    },
  }));
  const path = join(folder, 'r.html');
  await writeFile(path, page({ title: 'decades', sections }));
  await openPage(path, { executablePath: browser! }, async (shown) => {
    for (const { id } of sections) expect(await coloredPixels(shown, `#${id} canvas`)).toBeGreaterThan(300);
  });
});
