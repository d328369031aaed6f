/** The texts that a page has inside. A bundle has them as constants: `inline-assets.mjs`. */
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';

const { resolve } = createRequire(import.meta.url);
const ours = (name) => readFileSync(new URL(name, import.meta.url), 'utf8');

export const library = readFileSync(resolve('uplot/dist/uPlot.iife.min.js'), 'utf8');
export const libraryStyle = readFileSync(resolve('uplot/dist/uPlot.min.css'), 'utf8');
export const script = ours('plots.js');
export const style = ours('page.css');
