/** The comparison as one HTML file that needs nothing beside it. */
import { readFile } from 'node:fs/promises';
import { createRequire } from 'node:module';

const AXES = {
  width: { label: 'width of 4-w-w-1', of: ({ widths }) => widths[1] },
  batch: { label: 'batch', of: ({ batch }) => batch },
  parameters: { label: 'P (parameters)', of: ({ parameters }) => parameters },
};
const COLORS = { ours: '#0369a1', jax: '#15803d', torch: '#c2410c' };

export async function peersPage({ peak, races }) {
  const { resolve } = createRequire(import.meta.url);
  const library = await readFile(resolve('uplot/dist/uPlot.iife.min.js'), 'utf8');
  const style = await readFile(resolve('uplot/dist/uPlot.min.css'), 'utf8');
  const plots = Object.keys(AXES).flatMap((axis) => plotsOf(axis, races));
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<link rel="icon" href="data:,">
<title>torch-curvature beside PyTorch and JAX</title>
<style>${style}
body { margin: 2rem auto; max-width: 66rem; padding: 0 1rem; font: 16px/1.5 system-ui, sans-serif; color: #1b1f24; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; margin-bottom: 1.5rem; }
th, td { padding: 0.2rem 0.6rem; border-bottom: 1px solid #d8dde3; text-align: right; font-size: 0.875rem; }
th:first-child, td:first-child { text-align: left; }
</style>
</head>
<body>
<h1>JᵀJ v: torch-curvature beside PyTorch and JAX</h1>
<p>Minima of one interleaved run. Ratios are ours over theirs: below 1 is faster. ${(peak ?? [])
    .map(
      ({ threads, float32, float64 }) =>
        `Peak, ${threads} thread${threads === 1 ? '' : 's'}: ${float32} / ${float64} GFLOP/s (float32 / float64).`,
    )
    .join(' ')}</p>
${plots.map(({ id, title }) => `<h2>${escapeHtml(title)}</h2><div id="${id}"></div>`).join('\n')}
${races
  .filter(({ curve }) => curve === undefined)
  .map(raceTable)
  .join('\n')}
<script>${library.replace(/<\/(script)/gi, '<\\/$1')}</script>
<script>
for (const { id, label, x, series } of ${JSON.stringify(plots).replace(/</g, '\\u003c')}) {
  const parent = document.getElementById(id);
  new uPlot({
    width: parent.clientWidth, height: 340,
    scales: { x: { time: false, distr: 3 }, y: { distr: 3 } },
    axes: [{ label }, { label: 'ms', size: 70 }],
    series: [{ label }, ...series.map(({ label, color, dash }) => ({ label, stroke: color, dash, width: 2, points: { show: true } }))],
  }, [x, ...series.map(({ data }) => data)], parent);
}
</script>
</body>
</html>
`;
}

function plotsOf(axis, races) {
  const points = races.filter(({ curve, threads }) => curve === axis && threads === races.at(-1).threads);
  if (points.length === 0) return [];
  const ordered = points.toSorted((a, b) => AXES[axis].of(a) - AXES[axis].of(b));
  const series = ordered[0].results.map(({ peer, way, title }) => ({
    label: title,
    color: COLORS[peer],
    dash: way === 'linearized' ? undefined : [6, 4],
    data: ordered.map(({ results }) => results.find((result) => result.title === title).minMs),
  }));
  const title = `Time of one product over ${AXES[axis].label}`;
  return [{ id: `plot-${axis}`, title, label: AXES[axis].label, x: ordered.map(AXES[axis].of), series }];
}

function raceTable({ name, parameters, batch, dtype, threads, results, ratios }) {
  const rows = results.map(({ title, minMs, medianMs, peakBytes }) => {
    const ratio = ratios.find((each) => each.title === title)?.ratio.toFixed(3) ?? '';
    const cells = [title, minMs.toPrecision(3), medianMs.toPrecision(3), ratio, (peakBytes / 1e6).toFixed(0)];
    return `<tr>${cells.map((cell) => `<td>${escapeHtml(cell)}</td>`).join('')}</tr>`;
  });
  return `<h2>${escapeHtml(name)}: P = ${parameters}, batch ${batch}, ${dtype}, ${threads} thread${threads === 1 ? '' : 's'}</h2>
<table><thead><tr><th></th><th>min ms</th><th>median ms</th><th>ours / theirs</th><th>peak memory, MB</th></tr></thead>
<tbody>${rows.join('')}</tbody></table>`;
}

function escapeHtml(text) {
  return text.replace(/&/g, '&amp;').replace(/</g, '&lt;').replace(/>/g, '&gt;');
}
