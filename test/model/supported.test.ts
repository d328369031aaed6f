import { expect, it } from 'vitest';
import { supportedPage } from '../support/supported.ts';

it('the page of what is supported is up to date', { timeout: 120_000 }, async () => {
  const page = await supportedPage();
  expect(page).not.toMatch(/wrong by|not tried/);
  await expect(page).toMatchFileSnapshot('../../scripts/docs/supported.md');
});
