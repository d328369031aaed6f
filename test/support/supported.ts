/** What scripts/docs/supported.md says, found by trying it against PyTorch's values. */
import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import {
  empiricalFisher,
  type FloatArray,
  gaussNewton,
  hessian,
  type LossProblem,
  linearize,
  lossAndGradient,
  Model,
  matvecDense,
  matvecOnTheFly,
  nn,
  type Problem,
  type Tensor,
} from '../../lib/index.ts';
import { type Expected, FOLDER, inputTensors, modelFiles, relativeError } from '../model/files/fixtures.ts';
import { decode, LAYER_CASES, layerProblem } from './layers.ts';
import { lossProblemOf } from './loss-cases.ts';
import { LOSS_CASES, MODEL_CASES, type ModelCase, problemOf, tensorOf } from './models.ts';

/** The parts of PyTorch that each model of scripts/reference/models.py is there for. */
const MODULES: Readonly<Record<string, string>> = {
  mlp: '`Linear`, `Tanh`, `Softplus`',
  residual: '`gelu`, residual connections',
  cnn: '`Conv2d`, `BatchNorm2d` in `eval()`, `ReLU(inplace=True)`, `MaxPool2d`, `AvgPool2d`, `silu`',
  norms: '`Conv1d`, `GroupNorm`, `LayerNorm`, `InstanceNorm1d`',
  embedding: '`Embedding`, `arange`, `expand`, `mean`',
  tied: 'tied parameters',
  frozen: 'frozen parameters (constants of the model)',
  buffers: 'buffers, `where`',
  'two-inputs': 'several inputs, `elu`',
  attention: '`MultiheadAttention`',
  transformer: '`TransformerEncoderLayer` in `eval()`, with a mask and a class token',
  'hand-written': 'attention spelled out: `einsum`, `permute`, `unbind`, `matmul`',
  lstm: '`LSTM`',
  gru: '`GRU`',
  rnn: '`RNN`',
  softmax: '`softmax`, `log_softmax`, `chunk`, `split`, `max`',
  'dropout-eval': '`Dropout` in `eval()`',
  loop: 'a loop of a constant number of steps, `ModuleList`',
  overwritten: 'assignments to parts of tensors, through views',
  complex: 'complex buffers and literals',
  cells: '`LSTMCell`, `GRUCell` without biases',
  bags: '`EmbeddingBag`',
};

/** What each model of the same script that is refused does. */
const REFUSED: Readonly<Record<string, string>> = {
  'dropout-train': '`Dropout` in `train()`',
  'batch-norm-train': '`BatchNorm1d` in `train()`',
  random: 'random numbers in `forward`',
  'buffer-mutation': 'a buffer that `forward` changes',
  branch: 'a branch on data',
  cond: '`torch.cond`',
  item: '`item()` or `float(tensor)`',
  half: 'half-precision parameters',
  mixed: 'parameters of several precisions',
  'scripted-norms': 'scripted `InstanceNorm1d`',
  'scripted-attention': 'scripted `MultiheadAttention`',
  'scripted-transformer': 'scripted `TransformerEncoderLayer`',
  'scripted-lstm': 'scripted `LSTM`',
  'scripted-gru': 'scripted `GRU`',
  'scripted-rnn': 'scripted `RNN`',
  'scripted-cells': 'scripted `LSTMCell`',
  'scripted-bags': 'scripted `EmbeddingBag`',
};

const FORMATS = { '.pt2': '`.pt2`', '.pt': '`jit.trace`', '.script.pt': '`jit.script`' } as const;
const WAYS = ['forward', 'one-shot product', 'linearized', 'dense'] as const;

/** How far from PyTorch's float64 values still counts as the same. */
const TOLERANCE = 1e-10;

interface Values {
  output: ArrayLike<number>;
  v: FloatArray;
  product: ArrayLike<number>;
}

/** "works", or why not, for each of the ways. */
async function tryWays(problem: Problem, { output, v, product }: Values): Promise<string[]> {
  return [
    await attempt(async () => (await problem.model.forward(problem.params, problem.x)).data, output),
    await attempt(() => matvecOnTheFly(problem, v), product),
    await attempt(async () => {
      using linearization = await linearize(problem);
      return linearization.matvec(v);
    }, product),
    await attempt(() => matvecDense(problem, v), product),
  ];
}

async function attempt(compute: () => Promise<FloatArray>, expected: ArrayLike<number>): Promise<string> {
  try {
    const found = await compute();
    const values = Array.from(expected);
    const zeros = values.every((value) => value === 0);
    const error = zeros ? Math.hypot(...found) : relativeError(found, values);
    return error < TOLERANCE ? 'works' : `wrong by ${error}`;
  } catch (error) {
    return refusal(error);
  }
}

/** The code of an error and its reason, without the name of the file. */
function refusal(error: unknown): string {
  const { code, message } = error as { code?: string; message: string };
  return `\`${code}\`: ${message.replace(/^\S+\.pt2?: /, '').replaceAll('|', '\\|')}`;
}

function row(cells: readonly string[]): string {
  return `| ${cells.join(' | ')} |`;
}

function table(header: readonly string[], rows: readonly (readonly string[])[]): string {
  return [row(header), row(header.map(() => '---')), ...rows.map(row)].join('\n');
}

/** One text where all say the same. */
function merged(texts: readonly string[]): string {
  const different = [...new Set(texts)];
  return different.length === 1 ? different[0]! : different.join('; ');
}

const kindsOf = (layers: ModelCase['layers']): string[] =>
  layers.flatMap(([kind, inner]) =>
    kind === 'residual' ? [kind, ...kindsOf(inner as ModelCase['layers'])] : [kind],
  );

async function layerTable(): Promise<string> {
  const tried = await Promise.all([
    ...MODEL_CASES.map(async (each) => ({
      kinds: kindsOf(each.layers),
      ways: await tryWays(problemOf(each), {
        output: each.y.data,
        v: Float64Array.from(each.v),
        product: each.jtjv,
      }),
    })),
    ...LAYER_CASES.map(async (each) => ({
      kinds: each.layers.map(([kind]) => kind),
      ways: await tryWays(layerProblem(each), {
        output: decode(each.y).data,
        v: decode(each.v).data,
        product: decode(each.jtjv).data,
      }),
    })),
  ]);
  return table(
    ['layer', ...WAYS],
    Object.keys(nn).map((layer) => {
      const cases = tried.filter(({ kinds }) => kinds.includes(layer));
      return [
        `\`nn.${layer}\``,
        ...WAYS.map((_, way) =>
          cases.length === 0 ? 'not tried' : merged(cases.map(({ ways }) => ways[way]!)),
        ),
      ];
    }),
  );
}

const LOSSES = {
  mse: '`MSELoss`',
  cross_entropy: '`CrossEntropyLoss`',
  bce_with_logits: '`BCEWithLogitsLoss`',
  huber: '`HuberLoss`',
  smooth_l1: '`SmoothL1Loss`',
  l1: '`L1Loss`',
  poisson_nll: '`PoissonNLLLoss`',
  gaussian_nll: '`GaussianNLLLoss`',
  kl_div: '`KLDivLoss`',
};

async function lossTable(): Promise<string> {
  const ofModels = MODEL_CASES.flatMap((each) =>
    each.losses.map(({ loss, reduction, target, gradient, hessianV, gaussNewtonV, empiricalFisherV }) => ({
      loss,
      v: Float64Array.from(each.v),
      expected: [gradient, hessianV, gaussNewtonV, empiricalFisherV],
      per: 'datum' as const,
      problem: { ...problemOf(each), loss, reduction, target: tensorOf(target) } satisfies LossProblem,
    })),
  );
  const ofOptions = LOSS_CASES.map((each) => ({
    loss: each.loss.name,
    v: Float64Array.from(each.v),
    expected: [each.mean.gradient, each.mean.hessian, each.mean.gaussNewton, each.mean.empiricalFisher],
    per: 'row' as const,
    problem: lossProblemOf(each),
  }));
  const product = async (make: typeof empiricalFisher, problem: LossProblem, v: FloatArray, options = {}) => {
    using operator = await make(problem, options);
    return operator.matvec(v);
  };
  const rows = Object.entries(LOSSES).map(async ([loss, name]) => {
    const tried = await Promise.all(
      [...ofModels, ...ofOptions]
        .filter((each) => each.loss === loss)
        .map(async ({ problem, v, per, expected: [gradient, ...products] }) => [
          await attempt(async () => (await lossAndGradient(problem)).gradient, gradient!),
          await attempt(() => product(hessian, problem, v), products[0]!),
          await attempt(() => product(gaussNewton, problem, v), products[1]!),
          await attempt(() => product(empiricalFisher, problem, v, { per }), products[2]!),
        ]),
    );
    const columns = [0, 1, 2, 3].map((column) => merged(tried.map((ways) => ways[column]!)));
    return [`\`'${loss}'\``, name, ...columns];
  });
  return table(
    ['loss', 'of PyTorch', 'gradient', '`hessian`', '`gaussNewton`', '`empiricalFisher`'],
    await Promise.all(rows),
  );
}

async function tryFile(file: string, expected: Expected): Promise<string[]> {
  const inputs = inputTensors(expected) as Tensor[];
  const problem = {
    model: await Model.load(join(FOLDER, file), { trusted: true }),
    params: Float64Array.from(expected.params),
    x: inputs.length === 1 ? inputs[0]! : inputs,
  };
  return tryWays(problem, {
    output: expected.output.data,
    v: Float64Array.from(expected.v),
    product: expected.product,
  });
}

/** Static exports and those of older versions belong to the model whose name they begin with. Others are for tests of their own. */
async function moduleTable(): Promise<string> {
  const files = await Promise.all(
    modelFiles()
      .filter(({ file }) => !/^(fixed|merged|whitened|assigned|in-place|out-of-order)/.test(file))
      .map(async ({ file, expected }) => ({ file, ways: await tryFile(file, expected) })),
  );
  const of = (name: string, format: string) =>
    files.filter(({ file }) =>
      [name, `${name}-static`, `${name}-float32`].some(
        (stem) => file === stem + format || (format === '.pt2' && file === `${stem}.old.pt2`),
      ),
    );
  const covered = Object.keys(MODULES).flatMap((name) => Object.keys(FORMATS).flatMap((f) => of(name, f)));
  const left = files.filter((each) => !covered.includes(each));
  if (left.length > 0) throw new Error(`no row for ${left.map(({ file }) => file).join(', ')}`);
  return table(
    ['of PyTorch', ...Object.values(FORMATS), ...WAYS],
    Object.entries(MODULES).map(([name, description]) => [
      description,
      ...Object.keys(FORMATS).map((format) => {
        if (of(name, format).length > 0) return 'yes';
        return existsSync(join(FOLDER, `refused-scripted-${name}${format}`)) ? 'refused' : 'not tried';
      }),
      ...WAYS.map((_, way) =>
        merged(Object.keys(FORMATS).flatMap((format) => of(name, format).map(({ ways }) => ways[way]!))),
      ),
    ]),
  );
}

async function refusedTable(): Promise<string> {
  const files = readdirSync(FOLDER).filter((file) => file.startsWith('refused-'));
  const left = files.filter((file) => !(file.replace(/^refused-|(\.script)?\.pt2?$/g, '') in REFUSED));
  if (left.length > 0) throw new Error(`no row for ${left.join(', ')}`);
  const rows = Object.entries(REFUSED).flatMap(([name, description]) =>
    Object.entries(FORMATS)
      .filter(([format]) => existsSync(join(FOLDER, `refused-${name}${format}`)))
      .map(async ([format, title]) => {
        const reason = await Model.load(join(FOLDER, `refused-${name}${format}`), { trusted: true }).then(
          () => 'works',
          (error: unknown) => refusal(error),
        );
        return [description, title, reason];
      }),
  );
  return table(['what', 'format', 'error'], await Promise.all(rows));
}

export async function supportedPage(): Promise<string> {
  return `# What is supported

Each entry was tried against values of PyTorch in float64: "works" means that it agrees to a relative difference of
${TOLERANCE}. \`npx vitest run test/model/supported.test.ts --update\` writes this page; the same test fails where it is not true.

## Layers of \`Model.sequential\`

${await layerTable()}

## Losses

${await lossTable()}

## Models from files

\`Model.load\` takes straight-line programs of any ATen operators that have derivatives: those of \`torch.export.save\`
(\`.pt2\`), and those of \`torch.jit.save\` after \`torch.jit.trace\` or \`torch.jit.script\`.

${await moduleTable()}

## What is refused

When the model is loaded, with an error that has a code and a reason:

${await refusedTable()}
`;
}
