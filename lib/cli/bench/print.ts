import { plural } from '../../words.ts';
import { fitProfile, fitTable, wrapWords } from '../fit.ts';
import { formatMs, formatNumbers, formatPeak, formatRatio } from '../format.ts';
import type { Comparison, ProductResult } from './compare.ts';
import { type ExperimentSpec, METHOD_TITLES, modelName, parameterCount } from './experiment.ts';

/** Lines of prose are broken here in files too. */
const PROSE_WIDTH = 110;

export function describeSetup(spec: ExperimentSpec, width: number): string {
  const words =
    `JᵀJ v of a ${modelName(spec)} MLP, P = ${plural(parameterCount(spec), 'parameter')}, batch ${spec.batch}, ` +
    `${spec.dtype} on ${spec.device}, seed ${spec.seed}\n`;
  return wrapWords(words, width);
}

/** `width`: the columns there are. */
export function describeComparison({ results, profiles, refusal }: Comparison, width: number): string {
  const { dense, onTheFly, speedup, maxRelativeDifference, tolerance } = results;
  const tables = profiles.map(
    ({ method, table, wallMs }) =>
      `Matrix-vector product: ${METHOD_TITLES[method]}\n${fitProfile(table, width)}` +
      `Wall time of this run: ${formatMs(wallMs)}\n`,
  );
  const rows = [productRow('dense', dense), productRow('onTheFly', onTheFly)];
  const summary = fitTable(['', 'min', 'median', 'runs', 'peak memory', 'first 3', 'last 3'], rows, width);
  const lines = [
    `libtorch ${results.libtorchVersion}, ${plural(results.threads, 'thread')}. Peak memory: how much one product raised the ` +
      'peak resident memory of a fresh process. Times: after a warm-up, dense and on-the-fly in turns.',
    summary,
  ];
  if (dense !== null && speedup !== null) {
    lines.push(
      `On-the-fly ${comparison(speedup, 'is', 'faster', 'slower')} (minima)${memoryComparison(dense, onTheFly)}.`,
      `Largest relative difference, max|on-the-fly − dense| / max|dense|: ` +
        `${maxRelativeDifference!.toExponential(2)} (allowed: ${tolerance})`,
    );
  } else {
    lines.push(`Dense was not run: ${refusal}`);
  }
  const prose = lines.map((line) =>
    line === summary ? line : wrapWords(line, Math.min(width, PROSE_WIDTH)),
  );
  return `${tables.join('\n')}\n${prose.join('\n')}\n`;
}

/** `is 3.00× faster`, `is 1.50× slower` */
function comparison(ratio: number, verb: string, more: string, less: string): string {
  return ratio >= 1 ? `${verb} ${formatRatio(ratio)} ${more}` : `${verb} ${formatRatio(1 / ratio)} ${less}`;
}

/** Nothing where one of the two is not known well enough to be compared. */
function memoryComparison(dense: ProductResult, onTheFly: ProductResult): string {
  if (dense.peakBytesIsUpperBound || onTheFly.peakBytesIsUpperBound) return '';
  const ratio = dense.peakBytes / onTheFly.peakBytes;
  return ` and ${comparison(ratio, 'takes', 'less memory', 'more memory')}`;
}

function productRow(method: 'dense' | 'onTheFly', product: ProductResult | null): string[] {
  const title = METHOD_TITLES[method];
  if (product === null) return [title, 'does not fit', '', '', '', '', ''];
  return [
    title,
    formatMs(product.minMs),
    formatMs(product.medianMs),
    String(product.runs),
    formatPeak(product),
    formatNumbers(product.head),
    formatNumbers(product.tail),
  ];
}
