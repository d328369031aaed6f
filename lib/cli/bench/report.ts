/** The sweep as an HTML file. */
import { type Curve, type Page, type Plot, page } from '../../../scripts/report/page.mjs';
import { plural } from '../../words.ts';
import { formatBytes, formatMs, formatPeak, formatRatio, significant } from '../format.ts';
import type { Comparison } from './compare.ts';
import type { Sweep, SweepPoint } from './sweep.ts';

export function reportPage(comparison: Comparison, sweep: Sweep): string {
  return page(contents(comparison, sweep));
}

function contents({ results }: Comparison, { axis, points }: Sweep): Page {
  const { time, memory } = plots(axis.name, points);
  return {
    title: `JᵀJ v: dense and on-the-fly, over ${axis.name}`,
    introduction:
      `libtorch ${results.libtorchVersion}, ${plural(results.threads, 'thread')}, ${results.dtype} on ${results.device}, ` +
      `seed ${results.seed}, ${new Date().toISOString().slice(0, 10)}. Each product at each size was measured in a fresh ` +
      'process: the minimum time of the runs after the first, and how much the first run raised the peak resident memory.',
    sections: [
      { title: 'Time', id: 'time', plot: time },
      { title: 'Peak memory', id: 'memory', plot: memory },
      {
        title: 'Numbers',
        table: {
          head: [
            ...[axis.name, 'model', 'batch', 'P', 'dense', 'on-the-fly', 'speed-up'],
            ...['dense memory', 'on-the-fly memory', 'difference'],
          ],
          rows: points.map(tableRow),
        },
        notes: [
          'Difference: max|on-the-fly − dense| / max|dense|.',
          ...points
            .filter(({ refusal }) => refusal !== null)
            .map(({ value, refusal }) => `${axis.name} = ${value}: dense was not run: ${refusal}`),
        ],
      },
    ],
  };
}

function plots(axis: string, points: readonly SweepPoint[]): { time: Plot; memory: Plot } {
  // A batch sweep leaves P as it is, so the batch is the axis then.
  const position = (point: SweepPoint) => (axis === 'batch' ? point.batch : point.parameterCount);
  const sorted = points.toSorted((a, b) => position(a) - position(b));
  const curve = (
    label: string,
    color: 'orange' | 'blue',
    y: (point: SweepPoint) => number | null,
    look: Pick<Curve, 'dashed' | 'dots'> = { dots: 'too' },
  ): Curve => ({ label, color, x: sorted.map(position), y: sorted.map(y), ...look });
  const x = {
    label: axis === 'batch' ? 'batch' : 'P (parameters)',
    logarithmic: true,
    unit: 'count',
  } as const;
  return {
    time: {
      x,
      y: { label: 'minimum time', logarithmic: true, unit: 'ms' },
      curves: [
        curve('dense', 'orange', ({ dense }) => dense?.minMs ?? null),
        curve('on-the-fly', 'blue', ({ onTheFly }) => onTheFly.minMs),
      ],
    },
    memory: {
      x,
      y: { label: 'peak memory', logarithmic: true, unit: 'bytes' },
      curves: [
        curve('dense', 'orange', ({ dense }) => positive(dense?.peakBytes)),
        curve('on-the-fly', 'blue', ({ onTheFly }) => positive(onTheFly.peakBytes)),
        curve('J and JᵀJ alone (computed)', 'orange', (point) => point.denseEstimateBytes, { dashed: true }),
      ],
    },
  };
}

/** A logarithmic axis has no place for zero. */
function positive(value: number | undefined): number | null {
  return value !== undefined && value > 0 ? value : null;
}

function tableRow(point: SweepPoint): (string | number)[] {
  const { dense, onTheFly } = point;
  return [
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
}
