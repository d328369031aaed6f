/** The comparison as an HTML file. */
import { page } from '../report/page.mjs';

const AXES = {
  width: { label: 'width of 4-w-w-1', of: ({ widths }) => widths[1] },
  batch: { label: 'batch', of: ({ batch }) => batch },
  parameters: { label: 'P (parameters)', of: ({ parameters }) => parameters },
};
const COLORS = { ours: 'blue', jax: 'green', torch: 'orange' };

export function peersPage({ peak, races }) {
  const peaks = (peak ?? []).map(
    ({ threads, float32, float64 }) =>
      `Peak, ${threads} thread${threads === 1 ? '' : 's'}: ${float32} / ${float64} GFLOP/s (float32 / float64).`,
  );
  return page({
    title: 'JᵀJ v: torch-curvature beside PyTorch and JAX',
    introduction: [
      'Minima of one interleaved run. Ratios are ours over theirs: below 1 is faster.',
      ...peaks,
    ].join(' '),
    sections: [
      ...Object.keys(AXES).flatMap((axis) => curves(axis, races)),
      ...races.filter(({ curve }) => curve === undefined).map(race),
    ],
  });
}

function curves(axis, races) {
  const points = races.filter(({ curve, threads }) => curve === axis && threads === races.at(-1).threads);
  if (points.length === 0) return [];
  const { label, of } = AXES[axis];
  const ordered = points.toSorted((a, b) => of(a) - of(b));
  const plot = {
    x: { label, logarithmic: true, unit: 'count' },
    y: { label: 'minimum time', logarithmic: true, unit: 'ms' },
    curves: ordered[0].results.map(({ peer, way, title }) => ({
      label: title,
      color: COLORS[peer],
      dashed: way !== 'linearized',
      dots: 'too',
      x: ordered.map(of),
      y: ordered.map(({ results }) => results.find((result) => result.title === title).minMs),
    })),
  };
  return [{ title: `Time of one product over ${label}`, id: `plot-${axis}`, plot }];
}

function race({ name, parameters, batch, dtype, threads, results, ratios }) {
  const rows = results.map(({ title, minMs, medianMs, peakBytes }) => {
    const ratio = ratios.find((each) => each.title === title)?.ratio.toFixed(3) ?? '';
    const peak = peakBytes === undefined ? '' : (peakBytes / 1e6).toFixed(0);
    return [title, minMs.toPrecision(3), medianMs.toPrecision(3), ratio, peak];
  });
  return {
    title: `${name}: P = ${parameters}, batch ${batch}, ${dtype}, ${threads} thread${threads === 1 ? '' : 's'}`,
    table: { head: ['', 'min ms', 'median ms', 'ours / theirs', 'peak memory, MB'], rows },
  };
}
