import { formatBytes, formatMs, formatNumbers, formatRatio, formatTable } from '../format.ts';
import type { Comparison, ProductResult } from './compare.ts';
import { type ExperimentSpec, METHOD_TITLES, modelName, parameterCount } from './experiment.ts';

export function describeSetup(spec: ExperimentSpec): string {
  return (
    `JᵀJ v of a ${modelName(spec)} MLP, P = ${parameterCount(spec)} parameters, batch ${spec.batch}, ` +
    `${spec.dtype} on ${spec.device}, seed ${spec.seed}\n`
  );
}

export function describeComparison({ results, profiles, refusal }: Comparison): string {
  const { dense, onTheFly, speedup, maxRelativeDifference, tolerance } = results;
  const tables = profiles.map(
    ({ method, table }) => `Matrix-vector product: ${METHOD_TITLES[method]}\n${table}\n`,
  );
  const rows = [productRow('dense', dense), productRow('onTheFly', onTheFly)];
  const summary = formatTable(['', 'min', 'median', 'runs', 'peak memory', 'first 3', 'last 3'], rows);
  const lines = [
    `libtorch ${results.libtorchVersion}, ${results.threads} threads. Peak memory: how much one product raised the`,
    'peak resident memory of a fresh process. Times: after a warm-up, dense and on-the-fly in turns.',
    summary,
  ];
  if (dense !== null && speedup !== null) {
    const memory = dense.peakBytes / onTheFly.peakBytes;
    lines.push(
      `On-the-fly is ${formatRatio(speedup)} faster (minima) and takes ${formatRatio(memory)} less memory.`,
      `Largest relative difference, max|on-the-fly − dense| / max|dense|: ` +
        `${maxRelativeDifference!.toExponential(2)} (allowed: ${tolerance})`,
    );
  } else {
    lines.push(`Dense was not run: ${refusal}`);
  }
  return `${tables.join('\n')}\n${lines.join('\n')}\n`;
}

function productRow(method: 'dense' | 'onTheFly', product: ProductResult | null): string[] {
  const title = METHOD_TITLES[method];
  if (product === null) return [title, 'does not fit', '', '', '', '', ''];
  return [
    title,
    formatMs(product.minMs),
    formatMs(product.medianMs),
    String(product.runs),
    formatBytes(product.peakBytes),
    formatNumbers(product.head),
    formatNumbers(product.tail),
  ];
}
