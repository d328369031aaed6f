/** Plots in one HTML file that needs nothing beside it. */
import { readFile } from 'node:fs/promises';
import { createRequire } from 'node:module';

export interface Plot {
  title: string;
  x: string;
  y: string;
  logarithmic?: 'y';
  curves: { name: string; x: number[]; y: number[]; dots?: boolean }[];
}

const COLORS = ['#0369a1', '#c2410c'];

/** @param title of the page, above its plots */
export async function page(title: string, plots: readonly Plot[]): Promise<string> {
  const { resolve } = createRequire(import.meta.url);
  const library = await readFile(resolve('uplot/dist/uPlot.iife.min.js'), 'utf8');
  const style = await readFile(resolve('uplot/dist/uPlot.min.css'), 'utf8');
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<link rel="icon" href="data:,">
<title>${escapeHtml(title)}</title>
<style>${style}
:root { color-scheme: light; }
body { background: #fff; margin: 2rem auto; max-width: 60rem; padding: 0 1rem; font: 16px/1.5 system-ui, sans-serif; color: #1b1f24; }
h1 { font-size: 1.5rem; } h2 { font-size: 1.1rem; margin: 1.5rem 0 0.25rem; }
</style>
</head>
<body>
<h1>${escapeHtml(title)}</h1>
${plots.map((plot, i) => `<h2>${escapeHtml(plot.title)}</h2><div id="plot${i}"></div>`).join('\n')}
<script>${library.replace(/<\/(script)/gi, '<\\/$1')}</script>
<script>
(${draw})(${JSON.stringify(plots).replace(/</g, '\\u003c')}, ${JSON.stringify(COLORS)});
</script>
</body>
</html>
`;
}

/** Runs in the browser. Curves have abscissas of their own, which uPlot joins into one. */
const draw = `(plots, colors) => {
  const powersOfTen = (_, __, low, high) => {
    const [first, last] = [Math.ceil(Math.log10(low) - 1e-9), Math.floor(Math.log10(high) + 1e-9)];
    return Array.from({ length: last - first + 1 }, (_, i) => 10 ** (first + i));
  };
  const labels = (_, values) => values.map((each) => each >= 1e-3 ? +each.toPrecision(1) : each.toExponential(0));
  const value = (_, each) => each == null ? '–' : each.toPrecision(4);
  for (const [i, { x, y, logarithmic, curves }] of plots.entries()) {
    const parent = document.getElementById('plot' + i);
    new uPlot({
      width: parent.clientWidth, height: 340,
      scales: { x: { time: false }, y: logarithmic === 'y' ? { distr: 3 } : {} },
      axes: [
        { label: x },
        { label: y, size: 70, ...(logarithmic === 'y' && { splits: powersOfTen, values: labels }) },
      ],
      series: [{ label: x, value }, ...curves.map(({ name, dots = false }, k) => ({
        label: name, value, stroke: colors[k], width: dots ? 0 : 2, spanGaps: true,
        points: dots ? { show: true, size: 8, fill: colors[k] } : { show: false },
      }))],
    }, uPlot.join(curves.map((curve) => [curve.x, curve.y])), parent);
  }
}`;

function escapeHtml(text: string): string {
  return text.replace(/&/g, '&amp;').replace(/</g, '&lt;').replace(/>/g, '&gt;');
}
