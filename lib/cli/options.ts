/** Parsers of option values. Each throws commander's `InvalidArgumentError`, which ends in exit code 2. */
import { type Command, InvalidArgumentError, Option } from 'commander';
import { ENGINES } from '../check.ts';
import { nearestName } from '../spelling.ts';

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

export function positiveNumber(text: string): number {
  const value = amount(text);
  if (value === 0) throw new InvalidArgumentError('Expected a number above 0.');
  return value;
}

export function amount(text: string): number {
  const value = Number(text);
  if (text.trim() === '' || !Number.isFinite(value) || value < 0) {
    throw new InvalidArgumentError('Expected a number of at least 0.');
  }
  return value;
}

/** An option that may be given several times. */
export function collected(text: string, before: readonly string[] = []): string[] {
  return [...before, text];
}

export type NamedValues = Readonly<Record<string, string>>;

/** `label-smoothing=0.1`, which may be given several times, with names in camel case. */
export function namedValue(text: string, before: NamedValues = {}): NamedValues {
  const [, name, value] = /^([A-Za-z][\w-]*)=(.+)$/s.exec(text) ?? [];
  if (name === undefined || value === undefined) throw new InvalidArgumentError('Expected NAME=VALUE.');
  const camel = name.replace(/[-_](\w)/g, (_, letter: string) => letter.toUpperCase());
  return { ...before, [camel]: value };
}

/** A parser of one of these names; of another it says the nearest. */
export function oneOf<Name extends string>(names: readonly Name[]): (text: string) => Name {
  return (text) => {
    const found = names.find((name) => name === text);
    if (found !== undefined) return found;
    const nearest = nearestName(text, names);
    const hint = nearest === undefined ? '' : `\n(Did you mean ${nearest}?)`;
    throw new InvalidArgumentError(`Allowed choices are ${names.join(', ')}.${hint}`);
  };
}

export function choiceOption(flags: string, description: string, names: readonly string[]): Option {
  return new Option(flags, description).choices(names).argParser(oneOf(names));
}

/**
 * Ends the command where an option was not given. Commander's own required options would be missed before it noticed that
 * one of them is there, but misspelled.
 */
export function requireOptions(command: Command, names: readonly string[]): void {
  for (const { long, flags } of command.options) {
    const name = long!.slice(2);
    if (!names.includes(name) || command.getOptionValue(name) !== undefined) continue;
    command.error(`error: required option '${flags}' not specified`);
  }
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
export const dtypeOption = (description: string) =>
  choiceOption('--dtype <name>', description, ['float32', 'float64']);
export const engineOption = () =>
  choiceOption('--engine <name>', 'which implementation computes', ENGINES).default('auto');
export const threadsOption = () =>
  new Option('--threads <n>', 'intra-op threads (default: what libtorch would take)').argParser(
    positiveInteger,
  );
export const chunkSizeOption = () =>
  new Option('--chunk-size <rows>', 'rows of the batch at once, bounding memory').argParser(positiveInteger);
