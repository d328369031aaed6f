/** Parsers of option values. Each throws commander's `InvalidArgumentError`, which ends in exit code 2. */
import { InvalidArgumentError, Option } from 'commander';

export type Dtype = 'float32' | 'float64';

export function positiveInteger(text: string): number {
  const value = Number(text);
  if (!/^\d+$/.test(text) || !Number.isSafeInteger(value) || value < 1) {
    throw new InvalidArgumentError('Expected a whole number of at least 1.');
  }
  return value;
}

export function wholeNumber(text: string): number {
  const value = Number(text);
  if (!/^\d+$/.test(text) || !Number.isSafeInteger(value)) {
    throw new InvalidArgumentError('Expected a whole number of at least 0.');
  }
  return value;
}

function deviceName(text: string): string {
  if (!/^(cpu|cuda(:\d+)?)$/.test(text)) {
    throw new InvalidArgumentError("Expected 'cpu', 'cuda' or 'cuda:N'.");
  }
  return text;
}

export const SWEEPABLE = ['hidden', 'batch', 'layers'] as const;

/** `hidden=16,32,64`: which size of the experiment to vary, and over which values. */
export interface SweepAxis {
  name: (typeof SWEEPABLE)[number];
  values: number[];
}

export function sweepAxis(text: string): SweepAxis {
  const [name, list, ...rest] = text.split('=');
  const known = SWEEPABLE.find((candidate) => candidate === name);
  if (known === undefined || list === undefined || rest.length > 0) {
    throw new InvalidArgumentError(`Expected NAME=A,B,… with NAME one of ${SWEEPABLE.join(', ')}.`);
  }
  return { name: known, values: list.split(',').map(positiveInteger) };
}

export const deviceOption = () =>
  new Option('--device <name>', "'cpu', 'cuda' or 'cuda:N'").default('cpu').argParser(deviceName);
export const threadsOption = () =>
  new Option('--threads <n>', 'intra-op threads (default: what libtorch would take)').argParser(
    positiveInteger,
  );
export const chunkSizeOption = () =>
  new Option('--chunk-size <rows>', 'rows of the batch at once, bounding memory').argParser(positiveInteger);
