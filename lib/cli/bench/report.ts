/** The sweep as one HTML file that needs nothing beside it: data, styles and the plotting library are inside. */
import { readFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { plural } from '../../words.ts';
import { formatBytes, formatMs, formatPeak, formatRatio, significant } from '../format.ts';
import type { Comparison } from './compare.ts';
import { PLOTS } from './report-plots.ts';
import { STYLE } from './report-style.ts';
import type { Sweep, SweepPoint } from './sweep.ts';

export async function reportPage({ results }: Comparison, sweep: Sweep): Promise<string> {
  const { resolve } = createRequire(import.meta.url);
  const [library, libraryStyle] = await Promise.all([
    readFile(resolve('uplot/dist/uPlot.iife.min.js'), 'utf8'),
    readFile(resolve('uplot/dist/uPlot.min.css'), 'utf8'),
  ]);
  const { axis, points } = sweep;
  const conditions =
    `libtorch ${results.libtorchVersion}, ${plural(results.threads, 'thread')}, ${results.dtype} on ${results.device}, ` +
    `seed ${results.seed}, ${new Date().toISOString().slice(0, 10)}`;
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<link rel="icon" href="data:,">
<title>JᵀJ v: dense and on-the-fly</title>
<style>${libraryStyle}</style>
<style>${STYLE}</style>
</head>
<body>
<h1>JᵀJ v: dense and on-the-fly, over ${escapeHtml(axis.name)}</h1>
<p>${escapeHtml(conditions)}. Each product at each size was measured in a fresh process: the minimum time of the runs
after the first, and how much the first run raised the peak resident memory.</p>
<section><h2>Time</h2><div class="plot" id="time"></div></section>
<section><h2>Peak memory</h2><div class="plot" id="memory"></div></section>
<section><h2>Numbers</h2>
<div class="table"><table>
<thead><tr><th>${escapeHtml(axis.name)}</th><th>model</th><th>batch</th><th>P</th><th>dense</th><th>on-the-fly</th>
<th>speed-up</th><th>dense memory</th><th>on-the-fly memory</th><th>difference</th></tr></thead>
<tbody>
${points.map(tableRow).join('\n')}
</tbody></table></div>
<p>Difference: max|on-the-fly − dense| / max|dense|.</p>
${points.map(refusalLine(axis.name)).join('\n')}
</section>
<script>${inlineScript(library)}</script>
<script>
const sweep = ${inlineScript(JSON.stringify({ axis: axis.name, points }))};
${PLOTS}
</script>
</body>
</html>
`;
}

function tableRow(point: SweepPoint): string {
  const { dense, onTheFly } = point;
  const cells = [
    point.value,
    point.model,
    point.batch,
    point.parameterCount,
    dense === null ? 'does not fit' : formatMs(dense.minMs),
    formatMs(onTheFly.minMs),
    point.speedup === null ? '–' : formatRatio(point.speedup),
    dense === null ? `needs ${formatBytes(point.denseEstimateBytes)}` : formatPeak(dense),
    formatPeak(onTheFly),
    point.maxRelativeDifference === null ? '–' : significant(point.maxRelativeDifference),
  ];
  return `<tr>${cells.map((cell) => `<td>${escapeHtml(String(cell))}</td>`).join('')}</tr>`;
}

const refusalLine =
  (axis: string) =>
  ({ value, refusal }: SweepPoint): string =>
    refusal === null ? '' : `<p>${escapeHtml(`${axis} = ${value}: dense was not run: ${refusal}`)}</p>`;

function escapeHtml(text: string): string {
  return text.replace(/&/g, '&amp;').replace(/</g, '&lt;').replace(/>/g, '&gt;');
}

/** Keeps text inside a script element from ending it. */
function inlineScript(text: string): string {
  return text.replace(/<\/(script)/gi, '<\\/$1').replace(/<!--/g, '<\\!--');
}
