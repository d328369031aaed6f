/** Some rows of a problem at a time. */
import { Generator, type optim, type Tensor } from '../../index.ts';
import { RunFailure } from '../failure.ts';
import type { GivenProblem } from '../problem.ts';

/**
 * The data in parts of `size` rows, and what is left in a smaller one, over and over; each pass over all rows goes in another
 * order. Inputs without rows are in each part whole, and rows that a model of a fixed batch runs together stay together.
 *
 * @throws RunFailure where no input has rows, the targets are not as many, or the model cannot run so few
 */
export function* minibatches(
  { model, x, target }: GivenProblem,
  size: number,
  seed: number,
): IterableIterator<optim.StepData, never> {
  const inputs = Array.isArray(x) ? x : [x];
  const counts = inputs.map(({ shape }, i) => (model.inputs[i]?.shape[0] === 'batch' ? shape[0] : undefined));
  const rows = Math.max(...counts.map((each) => each ?? 0));
  const together = model.batchSize ?? 1;
  if (rows === 0) throw new RunFailure('--batch-size: no input of the model has rows');
  if (target !== undefined && target.shape[0] !== rows) {
    throw new RunFailure(`--batch-size: there are ${rows} rows, but targets for ${target.shape[0] ?? 1}`);
  }
  if (size % together !== 0) {
    throw new RunFailure(`--batch-size: the model runs ${together} rows at a time; give a multiple of it`);
  }
  const generator = new Generator(seed);
  for (;;) {
    const order = permutation(rows / together, generator);
    for (let begin = 0; begin < order.length; begin += size / together) {
      const chosen = order.subarray(begin, begin + size / together);
      const part = (tensor: Tensor) => partOf(tensor, chosen, together);
      const given = inputs.map((input, i) => (counts[i] === rows ? part(input) : input));
      yield {
        x: given.length === 1 ? given[0]! : given,
        ...(target !== undefined && { target: part(target) }),
      };
    }
  }
}

/** Fisher & Yates's shuffle. */
function permutation(count: number, generator: Generator): Int32Array {
  const order = Int32Array.from({ length: count }, (_, i) => i);
  const { data } = generator.uniform([count], { dtype: 'float64' });
  for (let i = count - 1; i > 0; i--) {
    const j = Math.floor(data[i]! * (i + 1));
    [order[i], order[j]] = [order[j]!, order[i]!];
  }
  return order;
}

/** The chosen blocks of so many rows. */
function partOf({ data, shape: [rows = 0, ...row] }: Tensor, chosen: Int32Array, together: number): Tensor {
  const length = (data.length / rows) * together;
  const part = data.slice(0, chosen.length * length);
  chosen.forEach((from, to) => {
    part.set(data.subarray(from * length, (from + 1) * length) as never, to * length);
  });
  return { data: part, shape: [chosen.length * together, ...row] };
}
