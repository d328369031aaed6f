/** Methods of `optim` by name, with the options of each. */
import { Option } from 'commander';
import { type FloatArray, type LossProblem, optim } from '../../index.ts';
import { amount, choiceOption, positiveInteger, positiveNumber } from '../options.ts';
import { OwnOptions } from '../own-options.ts';
import { type HowOptions, productOptions } from '../problem-options.ts';

/** Any loss: its name and options are checked where the problem is used. */
export type AnyLossProblem = LossProblem<FloatArray, string>;

export interface MethodOptions extends HowOptions {
  method: MethodName;
  damping?: number;
  tolerance?: number;
  maxIterations?: number;
  fisher?: 'type2' | 'mc' | 'empirical';
  mcSamples?: number;
  seed?: number;
  radius?: number;
  maxRadius?: number;
}

interface Method {
  /** Which options it has; their names are those of the library. */
  options: readonly (keyof MethodOptions)[];
  make: (problem: AnyLossProblem, options: object) => optim.Optimizer;
  /** What its damping is called. */
  damping: 'damping' | 'radius';
}

const DAMPED = ['damping', 'tolerance', 'maxIterations'] as const;

const TABLE = {
  'levenberg-marquardt': { options: DAMPED, make: optim.levenbergMarquardt, damping: 'damping' },
  'natural-gradient': {
    options: [...DAMPED, 'fisher', 'mcSamples'],
    make: optim.naturalGradient,
    damping: 'damping',
  },
  'newton-cg': {
    options: ['radius', 'maxRadius', 'maxIterations'],
    make: optim.newtonCG,
    damping: 'radius',
  },
} as const satisfies Record<string, Method>;

export type MethodName = keyof typeof TABLE;
export const METHODS: Readonly<Record<MethodName, Method>> = TABLE;
export const METHOD_NAMES = Object.keys(METHODS) as MethodName[];

const ROWS: readonly [name: keyof MethodOptions, option: () => Option][] = [
  [
    'damping',
    () => new Option('--damping <number>', 'λ of the first step, by default 0.01').argParser(positiveNumber),
  ],
  [
    'tolerance',
    () =>
      new Option(
        '--tolerance <number>',
        'of the conjugate gradients, relative to the gradient, by default 1e-3',
      ).argParser(amount),
  ],
  [
    'maxIterations',
    () =>
      new Option('--max-iterations <n>', 'the most products in a step, by default 250').argParser(
        positiveInteger,
      ),
  ],
  [
    'fisher',
    () =>
      choiceOption('--fisher <name>', 'which Fisher matrix, by default type2', ['type2', 'mc', 'empirical']),
  ],
  [
    'mcSamples',
    () =>
      new Option('--mc-samples <n>', 'targets drawn for each datum, by default 1').argParser(positiveInteger),
  ],
  [
    'radius',
    () =>
      new Option('--radius <number>', 'of the trust region at first, by default 1').argParser(positiveNumber),
  ],
  [
    'maxRadius',
    () =>
      new Option('--max-radius <number>', 'the largest, by default 1000 times the first').argParser(
        positiveNumber,
      ),
  ],
];

export const METHOD_OPTIONS = new OwnOptions<MethodName>(
  '--method',
  METHOD_NAMES,
  (name) => name,
  ROWS.map(([name, option]) => ({ name, of: (method) => METHODS[method].options.includes(name), option })),
);

/** @throws TorchCurvatureError, TypeError where the problem is none of the method's */
export function makeOptimizer(problem: AnyLossProblem, options: MethodOptions): optim.Optimizer {
  const { options: own, make } = METHODS[options.method];
  const names = options.fisher === 'mc' ? [...own, 'seed' as const] : own;
  const given = names.filter((name) => options[name] !== undefined).map((name) => [name, options[name]]);
  return make(problem, { ...productOptions(options), ...Object.fromEntries(given) });
}
