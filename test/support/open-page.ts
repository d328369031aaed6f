/** Pages of reports in a browser. */
import { pathToFileURL } from 'node:url';
import { chromium, type Page } from 'playwright-core';
import { expect } from 'vitest';

/**
 * Opens a file in Chromium, offline, and looks at it.
 *
 * @throws where the page logs something, fails or asks for a file
 */
export async function openPage(
  path: string,
  { executablePath, colorScheme = 'light' }: { executablePath: string; colorScheme?: 'light' | 'dark' },
  look: (page: Page) => Promise<void>,
): Promise<void> {
  const browser = await chromium.launch({
    executablePath,
    args: [
      ...['--headless', '--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run'],
      ...['--disable-background-networking', '--disable-component-update'],
    ],
  });
  try {
    const page = await (await browser.newContext({ colorScheme, offline: true })).newPage();
    const complaints: string[] = [];
    page.on('console', (message) => complaints.push(message.text()));
    page.on('pageerror', (error) => complaints.push(error.message));
    page.on('requestfailed', (request) => complaints.push(request.url()));
    await page.goto(pathToFileURL(path).href);
    await look(page);
    expect(complaints).toEqual([]);
  } finally {
    await browser.close();
  }
}

/** How many pixels of a canvas have a color: axes and text are gray, curves are not. */
export function coloredPixels(page: Page, selector: string): Promise<number> {
  return page.locator(selector).evaluate((element) => {
    const { width, height } = element as unknown as { width: number; height: number };
    const context = (element as unknown as { getContext(kind: '2d'): Context2d }).getContext('2d');
    const { data } = context.getImageData(0, 0, width, height);
    let count = 0;
    for (let i = 0; i < data.length; i += 4) {
      const rgb = data.subarray(i, i + 3);
      if (Math.max(...rgb) - Math.min(...rgb) > 60) count++;
    }
    return count;
  });
}

interface Context2d {
  getImageData(x: number, y: number, width: number, height: number): { data: Uint8ClampedArray };
}
