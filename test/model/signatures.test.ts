/** What models take and return: inputs without rows, of bytes, by name; several results (scripts/reference/signatures.py). */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import * as api from '../../lib/index.ts';
import { checkInputs } from '../../lib/model/inputs.ts';
// @ts-expect-error a script of the repository, without types
import { compareModel, decode, relativeError, TOLERANCE } from '../../scripts/zoo/compare.mjs';

const { gaussNewton, linearize, Model, matvecOnTheFly, nn, profile, warmUp } = api;

const FOLDER = join(import.meta.dirname, '../fixtures/signatures');
const pathOf = (file: string) => join(FOLDER, file);
const expectedOf = (name: string) => JSON.parse(readFileSync(pathOf(`${name}.json`), 'utf8'));
const NAMES = readdirSync(FOLDER)
  .filter((file) => file.endsWith('.json'))
  .map((file) => file.replace('.json', ''));

async function problemOf(name: string) {
  const { file, load, inputs, params, v, jtjv } = expectedOf(name);
  const model = await Model.load(pathOf(`${file}.pt2`), load);
  const x: api.Tensor[] = inputs.map(decode);
  return { problem: { model, params: decode(params).data, x }, v: decode(v).data, jtjv: decode(jtjv).data };
}

it.each(NAMES)('%s gives the numbers of PyTorch in every product', { timeout: 60_000 }, async (name) => {
  const expected = expectedOf(name);
  const results = await compareModel(api, pathOf(`${expected.file}.pt2`), expected);
  expect(results.length).toBeGreaterThan(20);
  for (const { product, cuts, error, refused } of results) {
    if (cuts && !expected.independent) {
      if (refused) expect(refused.code, product).toMatch(/ERR_UNSUPPORTED_OP/);
      continue;
    }
    expect({ product, refused }).toEqual({ product, refused: undefined });
    expect(error, product).toBeLessThanOrEqual(TOLERANCE);
  }
});

describe('descriptions', () => {
  it('are those of the export', async () => {
    const model = await Model.load(pathOf('dictionary.pt2'), { output: 'logits' });
    const sequence = model.inputs[0]!.shape[1];
    expect(sequence).toMatch(/^s\d+$/);
    expect(model.inputs).toEqual([
      { name: 'tokens', dtype: 'int64', shape: ['batch', sequence] },
      { name: 'mask', dtype: 'bool', shape: ['batch', sequence] },
      { name: 'grid', dtype: 'float64', shape: [5, 4] },
      { name: 'time', dtype: 'float64', shape: [] },
    ]);
    expect(model.outputs).toEqual([
      { name: 'logits', dtype: 'float64', shape: ['batch', 3] },
      { name: 'value', dtype: 'float64', shape: ['batch', 1] },
      { name: 'hidden.0', dtype: 'float64', shape: ['batch', 4] },
      { name: 'hidden.1', dtype: 'int64', shape: ['batch'] },
    ]);
    expect(Object.isFrozen(model.inputs) && Object.isFrozen(model.outputs[0]!.shape)).toBe(true);
  });

  it('name the rows that a file is for', async () => {
    const model = await Model.load(pathOf('fixed-grid.pt2'));
    expect(model.batchSize).toBe(2);
    expect(model.inputs.map(({ shape }) => shape)).toEqual([
      ['batch', 3],
      ['batch', 3],
    ]);
    expect(model.outputs.map(({ shape }) => shape)).toEqual([['batch', 2]]);
  });

  it('of layers are what these tell', () => {
    const of = (...layers: api.Layer[]) => {
      const { inputs, outputs } = Model.sequential(layers);
      return [inputs[0], outputs[0]].map((each) => `${each!.dtype} [${each!.shape.join(', ')}]`);
    };
    expect(Model.sequential([nn.linear(4, 1)]).inputs[0]!.name).toBe('x');
    expect(of(nn.linear(4, 64), nn.tanh(), nn.linear(64, 2))).toEqual([
      'float32 [batch, 4]',
      'float32 [batch, 2]',
    ]);
    expect(of(nn.tanh(), nn.residual([nn.relu(), nn.linear(3, 3)]))).toEqual([
      'float32 [batch, 3]',
      'float32 [batch, 3]',
    ]);
    expect(of(nn.embedding(7, 3))).toEqual(['int64 [batch, length]', 'float32 [batch, length, 3]']);
    expect(of(nn.flatten(), nn.linear(6, 2))).toEqual(['float32 [batch, ...]', 'undefined [batch, ...]']);
  });
});

describe('several results', () => {
  it('are refused without a choice, with the names and the line to write', async () => {
    await expect(Model.load(pathOf('dictionary.pt2'))).rejects.toMatchObject({
      code: 'ERR_UNSUPPORTED_OP',
      message: expect.stringMatching(
        /returns 4 tensors: 'logits' \(0, .*'value' \(1, .*'hidden\.0' \(2, .*Model\.load\(file, \{ output: 'logits' \}\)/,
      ),
    });
    await expect(Model.load(pathOf('pair.pt'), { trusted: true })).rejects.toMatchObject({
      code: 'ERR_UNSUPPORTED_OP',
      message: expect.stringContaining('Model.load(file, { trusted: true, output: 0 })'),
    });
  });

  it('that do not exist are out of range', async () => {
    for (const output of ['logit', 4, '9']) {
      const failure = await Model.load(pathOf('dictionary.pt2'), { output }).catch((error) => error);
      expect(failure).toBeInstanceOf(RangeError);
      expect(failure.message).toMatch(/output should be one of .*'value'/);
    }
    for (const output of [2, 'first']) {
      await expect(Model.load(pathOf('pair.pt'), { trusted: true, output })).rejects.toBeInstanceOf(
        RangeError,
      );
    }
    await expect(Model.load(pathOf('pair.pt2'), { output: {} as never })).rejects.toBeInstanceOf(TypeError);
  });

  it('of TorchScript are chosen by number', async () => {
    for (const [output, name] of ['pair-first', 'pair-second'].entries()) {
      const { problem, v, jtjv } = await problemOf(name);
      const model = await Model.load(pathOf('pair.pt'), { trusted: true, output });
      expect(model.outputs.map((each) => each.name)).toEqual(['0', '1']);
      expect(relativeError(await matvecOnTheFly({ ...problem, model }, v), jtjv)).toBeLessThan(1e-12);
    }
  });
});

describe('truth values for TorchScript', () => {
  const trusted = true;

  it('are declared, as it does not tell them from bytes', async () => {
    const { problem, v, jtjv } = await problemOf('masked');
    const model = await Model.load(pathOf('masked.pt'), { trusted, inputs: { mask: 'bool' } });
    expect(model.inputs.map(({ name, dtype }) => [name, dtype])).toEqual([
      ['x', undefined],
      ['mask', 'bool'],
    ]);
    for (const chunkSize of [0, 2]) {
      const product = await matvecOnTheFly({ ...problem, model }, v, chunkSize === 0 ? {} : { chunkSize });
      expect(relativeError(product, jtjv)).toBeLessThan(1e-12);
    }
    const [x, mask] = problem.x as [api.Tensor, api.Tensor];
    const wide = { ...mask, data: Int32Array.from(mask.data as Uint8Array) };
    await expect(model.forward(problem.params, [x, wide])).rejects.toMatchObject({
      code: 'ERR_DTYPE_MISMATCH',
      message: expect.stringContaining('Uint8Array of zeros and ones'),
    });
  });

  it('are these of a second batch, too', async () => {
    const { problem } = await problemOf('masked');
    const own = await api.ntk(problem);
    const expected = (await own.toDense()).data;
    for (const x2 of [
      problem.x,
      { x: (problem.x as api.Tensor[])[0]!, mask: (problem.x as api.Tensor[])[1]! },
    ]) {
      const other = await api.ntk(problem, { x2: x2 as api.Tensor[] });
      expect(relativeError((await other.toDense()).data, expected)).toBeLessThan(1e-12);
    }
    const linearization = await linearize(problem);
    const kept = await api.ntk(linearization, { x2: problem.x as api.Tensor[] });
    expect(relativeError((await kept.toDense()).data, expected)).toBeLessThan(1e-12);
  });

  it('are refused undeclared, with the line to write', async () => {
    const { problem } = await problemOf('masked');
    const model = await Model.load(pathOf('masked.pt'), { trusted });
    await expect(matvecOnTheFly({ ...problem, model }, problem.params)).rejects.toMatchObject({
      code: 'ERR_DTYPE_MISMATCH',
      message: expect.stringContaining("Model.load(file, { trusted: true, inputs: { mask: 'bool' } })"),
    });
  });

  it('are not what bytes are', async () => {
    const { problem } = await problemOf('masked');
    const model = await Model.load(pathOf('masked.pt'), { trusted, inputs: { mask: 'uint8' } });
    expect(model.inputs[1]!.dtype).toBe('uint8');
    await expect(model.forward(problem.params, problem.x)).rejects.toThrow(/boolean/);
  });

  it.each([
    [{ masks: 'bool' }, RangeError, /inputs should be of those that the model takes: x, mask, got masks/],
    [{ mask: 'int64' }, RangeError, /inputs\.mask should be one of 'bool', 'uint8'/],
    [{ mask: 1 }, TypeError, /inputs\.mask should be one of 'bool', 'uint8'/],
    ['mask', TypeError, /inputs should be an object/],
  ])('%j is no declaration', async (inputs, kind, message) => {
    const failure = await Model.load(pathOf('masked.pt'), { trusted, inputs: inputs as never }).catch(
      (e) => e,
    );
    expect(failure).toBeInstanceOf(kind);
    expect(failure.message).toMatch(message);
  });

  it('are known of an exported program', async () => {
    await expect(Model.load(pathOf('masked.pt2'), { inputs: { mask: 'bool' } })).rejects.toMatchObject({
      code: 'ERR_UNSUPPORTED_OP',
      message: expect.stringContaining('an exported program says what it takes'),
    });
  });
});

describe('inputs', () => {
  it('by name are those in order', async () => {
    const { problem, v, jtjv } = await problemOf('dictionary-logits');
    const [tokens, mask, grid, time] = problem.x as [api.Tensor, api.Tensor, api.Tensor, api.Tensor];
    const named = { ...problem, x: { time, grid, mask, tokens } };
    expect(relativeError(await matvecOnTheFly(named, v, { chunkSize: 2 }), jtjv)).toBeLessThan(1e-12);
    const { model, params } = problem;
    await expect(model.forward(params, { tokens, mask, grid })).rejects.toThrow(
      /x should be a list of 4 tensors \(tokens, mask, grid, time\) or a record/,
    );
    await expect(model.forward(params, { tokens, mask, grid, times: time } as never)).rejects.toThrow(
      /got tokens, mask, grid, times/,
    );
    await expect(model.forward(params, { tokens, mask: { data: [] } as never, grid, time })).rejects.toThrow(
      /x\.mask/,
    );
  });

  it('have to be of the kind that they were exported for', async () => {
    const { problem } = await problemOf('dictionary-logits');
    const [tokens, mask, ...rest] = problem.x as [api.Tensor, api.Tensor, ...api.Tensor[]];
    const wrong: [api.Tensor[], RegExp][] = [
      [
        [tokens, { ...mask, data: Int32Array.from(mask.data as Uint8Array) }, ...rest],
        /Uint8Array of zeros and ones.*mask of bool/,
      ],
      [
        [{ ...tokens, data: new Uint8Array(35) }, mask, ...rest],
        /BigInt64Array or an Int32Array.*tokens of int64/,
      ],
      [[tokens, mask, { ...rest[0]!, data: new Int32Array(20) }, rest[1]!], /grid of float64/],
    ];
    for (const [x, message] of wrong) {
      await expect(problem.model.forward(problem.params, x)).rejects.toMatchObject({
        code: 'ERR_DTYPE_MISMATCH',
        message: expect.stringMatching(message),
      });
    }
    const narrow = { ...tokens, data: Int32Array.from(tokens.data as BigInt64Array, Number) };
    const [wide, same] = await Promise.all(
      [tokens, narrow].map((each) => problem.model.forward(problem.params, [each, mask, ...rest])),
    );
    expect(same).toEqual(wide);
  });

  it('of one symbol have one size, and those without rows any number of them', async () => {
    const { problem } = await problemOf('dictionary-logits');
    const [tokens, , grid, time] = problem.x as [api.Tensor, api.Tensor, api.Tensor, api.Tensor];
    const mask = { data: new Uint8Array(30), shape: [5, 6] };
    await expect(problem.model.forward(problem.params, [tokens, mask, grid, time])).rejects.toThrow(
      /mask of the shape \[batch, s\d+\] with .*s\d+ = 7, got \[5, 6\]/,
    );
    const bytes = { data: new Uint8Array(21), shape: [3, 7] };
    await expect(problem.model.forward(problem.params, [tokens, bytes, grid, time])).rejects.toThrow(
      /first axis of x should be the batch/,
    );
  });

  it('without rows pass whole through streams, kept products and the first one of a server', async () => {
    for (const name of ['dictionary-logits', 'shared-first']) {
      const { problem, v, jtjv } = await problemOf(name);
      const shared = problem.model.inputs.map(({ shape }) => shape[0] !== 'batch');
      const rows = ({ data, shape: [n, ...row] }: api.Tensor, begin: number, end: number): api.Tensor => {
        const width = data.length / n!;
        return { data: data.slice(begin * width, end * width), shape: [end - begin, ...row] };
      };
      const batches = [0, 1, 3].map((begin, index, all) => ({
        x: problem.x.map((each, i) => (shared[i] ? each : rows(each, begin, all[index + 1] ?? 5))),
      }));
      const { model, params } = problem;
      expect(relativeError(await matvecOnTheFly({ model, params, batches }, v), jtjv)).toBeLessThan(1e-12);
      await warmUp(problem);
      const byName = problem.x.map((each, i) => [problem.model.inputs[i]!.name, each]);
      await warmUp({ ...problem, x: Object.fromEntries(byName) });
      using lin = await linearize(problem, { chunkSize: 2 });
      expect(relativeError(await lin.matvec(v), jtjv)).toBeLessThan(1e-12);
    }
  });

  it.each([
    ['refused-sequence-first.pt2', /input x has the batch in its axis 1 .*, not in its first/],
    ['refused-sequence-out.pt2', /first axis of the output \S+ \(s\d+\) is that of no input/],
  ])('%s is refused: the batch is elsewhere', async (file, message) => {
    await expect(Model.load(pathOf(file))).rejects.toMatchObject({
      code: 'ERR_UNSUPPORTED_OP',
      message: expect.stringMatching(message),
    });
  });
});

it.each([
  [8, 1],
  [20, 2],
])('a loss of %i rows starts the model no oftener than it needs', async (rows, starts) => {
  const model = Model.sequential([nn.linear(3, 4), nn.tanh(), nn.linear(4, 2)]);
  const x = api.tensor(new Float32Array(rows * 3).fill(0.5), [rows, 3]);
  const target = api.tensor(new Float32Array(rows * 2), [rows, 2]);
  const problem = { model, params: model.init(), x, target, loss: 'mse' };
  const options = { engine: 'autograd' } as const;
  await gaussNewton(problem, options).then((op) => op.dispose()); // what is found out once for each program
  const { profile: seen } = await profile(async () => {
    using op = await gaussNewton(problem, options);
    await op.matvec(problem.params);
  });
  const tanh = seen.keyAverages().find(({ name }) => name === 'aten::tanh');
  expect(tanh?.count).toBe(starts);
});

it.each([
  [['x', 'y'], /dynamic_shapes=\{'x': \{0: .*\}, 'y': \{0: .*\}\}\), from an example of at least 2 rows$/],
  [['pairs_0', 'pairs_1'], /at least 2 rows; what is in \*args, .* has dynamic_shapes of the same structure/],
])('another number of rows names the line that exports %j for any', (names, line) => {
  const inputs = names.map((name) => ({ name, dtype: 'float32', shape: ['batch', 3] }) as const);
  const x = names.map(() => ({ data: new Float32Array(9), shape: [3, 3] }));
  const check = () => checkInputs(x, { inputs, batchSize: 2, exported: true, typed: true }, 'float32');
  expect(check).toThrow(
    expect.objectContaining({ code: 'ERR_SHAPE_MISMATCH', message: expect.stringMatching(line) }),
  );
});
