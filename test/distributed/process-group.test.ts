/** Process groups whose ranks are all in this process, each with its own connections. */
import { createServer } from 'node:net';
import { inspect } from 'node:util';
import { afterEach, describe, expect, it, onTestFinished, vi } from 'vitest';
import {
  cg,
  customOperator,
  denseOperator,
  diagonalOperator,
  distributed,
  ekfac,
  fisher,
  gaussNewton,
  initProcessGroup,
  jacobian,
  kfac,
  type LinearOperator,
  lossAndGradient,
  lsmr,
  Model,
  minres,
  nn,
  ntk,
  optim,
  ProcessGroup,
  type ProcessGroupOptions,
  perSampleGradients,
  tensor,
  trace,
} from '../../lib/index.ts';
import { freePort } from '../support/free-port.ts';

const code = (code: string, message = '') =>
  expect.objectContaining({ code, message: expect.stringContaining(message) });

/** Groups of so many ranks that know one another. */
async function groupsOf(worldSize: number, options: ProcessGroupOptions = {}) {
  const masterPort = await freePort();
  const groups = await Promise.all(
    Array.from({ length: worldSize }, (_, rank) =>
      initProcessGroup({
        rank,
        worldSize,
        masterAddress: '127.0.0.1',
        masterPort,
        timeout: 20_000,
        ...options,
      }),
    ),
  );
  onTestFinished(() => {
    for (const group of groups) group.dispose();
  });
  return groups as [ProcessGroup, ProcessGroup, ...ProcessGroup[]];
}

/** What each rank makes, or what it fails with. */
async function each<T>(groups: readonly ProcessGroup[], make: (group: ProcessGroup) => Promise<T>) {
  const settled = await Promise.allSettled(groups.map(make));
  return settled.map((each) => (each.status === 'fulfilled' ? each.value : (each.reason as Error)));
}

const diagonal = (...numbers: number[]) => diagonalOperator(Float64Array.from(numbers));
const ones = (length: number) => new Float64Array(length).fill(1);
const lossOfTwo = () => ({
  model: Model.sequential([nn.linear(2, 1)]),
  params: ones(3),
  x: tensor(ones(4), [2, 2]),
  target: tensor(ones(2), [2, 1]),
  loss: 'mse' as const,
});

afterEach(() => vi.unstubAllEnvs());

describe('a group', () => {
  it('adds arrays of any length, with the same bits on each rank', async () => {
    const groups = await groupsOf(3);
    expect(groups.map(({ rank, worldSize, backend }) => [rank, worldSize, backend])).toEqual([
      [0, 3, 'gloo'],
      [1, 3, 'gloo'],
      [2, 3, 'gloo'],
    ]);
    for (const length of [0, 1, 4075, 4076, 4077, 10_001]) {
      const sums = await each(groups, (group) =>
        group.allReduce(Float32Array.from({ length }, (_, i) => (group.rank + 1) * (i % 7))),
      );
      expect(sums[0]).toEqual(Float32Array.from({ length }, (_, i) => 6 * (i % 7)));
      expect(sums[1]).toEqual(sums[0]);
      expect(sums[2]).toEqual(sums[0]);
    }
  });

  it('has barriers, and numbers the rows of all ranks', async () => {
    const groups = await groupsOf(3);
    let came = 0;
    await each(groups, async (group) => {
      came++;
      await group.barrier();
      expect(came).toBe(3);
    });
    expect(await each(groups, (group) => group.firstRow([4, 0, 7][group.rank]!))).toEqual([0, 4, 4]);
  });

  it('is closed by all ranks, and its port is free for the next one', async () => {
    const masterPort = await freePort();
    for (let round = 0; round < 3; round++) {
      const groups = await groupsOf(2, { masterPort });
      await each(groups, async (group) => {
        await group.barrier();
        await group.close();
        await group.close();
        expect(group.disposed).toBe(true);
        await expect(group.barrier()).rejects.toEqual(code('ERR_DISPOSED'));
      });
    }
  });

  it('of one rank needs no address', async () => {
    await using group = await initProcessGroup({ rank: 0, worldSize: 1 });
    expect(await group.allReduce(Float64Array.of(2))).toEqual(Float64Array.of(2));
    using op = distributed(diagonal(1, 2)); // the only group there is
    expect(await op.matvec(ones(2))).toEqual(Float64Array.of(1, 2));
    expect(op.matvecSync(ones(2))).toEqual(Float64Array.of(1, 2));
    expect(inspect(group)).toBe("ProcessGroup { rank: 0, worldSize: 1, backend: 'gloo', disposed: false }");
    expect(() => new (ProcessGroup as never as new () => unknown)()).toThrow(code('ERR_INVALID_ARGUMENT'));
  });

  it('does operations in the order in which they were asked for', async () => {
    const groups = await groupsOf(2);
    const results = await each(groups, async (group) => {
      using op = distributed(diagonal(group.rank, 1), { group });
      const v = Float64Array.of(1, 1);
      const all = [
        op.matvec(v),
        op.matvec(v.fill(2)),
        trace(op, { samples: 2 }),
        op.matvec(v.fill(3)),
      ] as const;
      v.fill(9); // what was asked for holds what the array held then
      expect(() => op.matvecSync(v)).toThrow(code('ERR_BUSY'));
      const [one, two, { estimate }, three] = await Promise.all(all);
      return [...one, ...two, estimate, ...three];
    });
    expect(results).toEqual(Array(2).fill([1, 2, 2, 4, 3, 3, 6]));
  });
});

describe('a group that does not come to be', () => {
  const address = { masterAddress: '127.0.0.1', timeout: 500 };

  it('for lack of ranks', async () => {
    const masterPort = await freePort();
    await expect(initProcessGroup({ rank: 0, worldSize: 3, masterPort, ...address })).rejects.toEqual(
      code('ERR_TIMEOUT', '1 of 3 ranks came within 500 ms; missing: 1, 2'),
    );
    await expect(initProcessGroup({ rank: 1, worldSize: 3, masterPort, ...address })).rejects.toEqual(
      code('ERR_TIMEOUT', `rank 0 was not reached at 127.0.0.1:${masterPort} within 500 ms`),
    );
    const nowhere = { masterAddress: 'nobody.invalid', timeout: 500 };
    await expect(initProcessGroup({ rank: 1, worldSize: 3, masterPort, ...nowhere })).rejects.toEqual(
      code('ERR_TIMEOUT', `rank 0 was not reached at nobody.invalid:${masterPort} within 500 ms`),
    );
  });

  it('because its port is taken', async () => {
    const server = createServer();
    onTestFinished(() => void server.close());
    const masterPort = await new Promise<number>((resolve) => {
      server.listen(0, '::', () => resolve((server.address() as { port: number }).port));
    });
    await expect(initProcessGroup({ rank: 0, worldSize: 2, masterPort, ...address })).rejects.toEqual(
      code('ERR_DISTRIBUTED', `port ${masterPort} is taken`),
    );
  });

  it('because ranks have different ideas of it', async () => {
    const masterPort = await freePort();
    const meet = (rank: number, worldSize: number) =>
      initProcessGroup({ rank, worldSize, masterPort, ...address, timeout: 20_000 });
    const failed = await Promise.allSettled([meet(0, 2), meet(1, 3)]);
    for (const each of failed) {
      expect(each).toMatchObject({
        status: 'rejected',
        reason: {
          code: 'ERR_DISTRIBUTED',
          message: expect.stringMatching(/a gloo group of [23].*a gloo group of [23]/),
        },
      });
    }
  });

  it('because a rank was started twice', async () => {
    const masterPort = await freePort();
    const meet = (rank: number) =>
      initProcessGroup({ rank, worldSize: 3, masterPort, ...address, timeout: 20_000 });
    const failed = await Promise.allSettled([meet(0), meet(1), meet(1)]);
    for (const each of failed)
      expect(each).toMatchObject({
        reason: { code: 'ERR_DISTRIBUTED', message: expect.stringContaining('rank 1 was started twice') },
      });
  });

  it('because it was aborted, at once', async () => {
    const controller = new AbortController();
    const reason = new Error('enough');
    const masterPort = await freePort();
    const meeting = initProcessGroup({
      rank: 0,
      worldSize: 2,
      masterPort,
      ...address,
      timeout: 5_000,
      signal: controller.signal,
    });
    setTimeout(() => controller.abort(reason), 100);
    const began = performance.now();
    await expect(meeting).rejects.toBe(reason);
    expect(performance.now() - began).toBeLessThan(3_000);
  });

  it('for wrong options', async () => {
    const wrong = async (options: object, name: string, message: string) => {
      await expect(initProcessGroup(options as never)).rejects.toEqual(
        expect.objectContaining({
          name,
          code: 'ERR_INVALID_ARGUMENT',
          message: expect.stringContaining(message),
        }),
      );
    };
    const two = { rank: 0, worldSize: 2, masterAddress: 'localhost' };
    await wrong({}, 'TypeError', 'rank is missing');
    await wrong({ rank: 0 }, 'TypeError', 'worldSize is missing');
    await wrong({ rank: 0, worldSize: 2 }, 'TypeError', 'masterAddress is missing');
    await wrong({ ...two, rank: 2 }, 'RangeError', 'rank should be a whole number from 0 to 1, got');
    await wrong({ ...two, rank: '0' }, 'TypeError', 'rank should be a number');
    await wrong({ ...two, worldSize: 0 }, 'RangeError', 'worldSize');
    await wrong({ ...two, masterAddress: 7 }, 'TypeError', 'masterAddress');
    await wrong({ ...two, masterPort: 70_000 }, 'RangeError', 'masterPort');
    await wrong({ ...two, timeout: 0 }, 'RangeError', 'timeout');
    await wrong({ ...two, backend: 'mpi' }, 'RangeError', "backend should be one of 'gloo', 'nccl'");
    await wrong({ ...two, port: 1 }, 'TypeError', "unknown option 'port'");
    vi.stubEnv('RANK', 'first');
    await wrong({}, 'RangeError', 'the environment variable RANK');
  });

  it('for a backend that this libtorch is without', async () => {
    const options = { rank: 0, worldSize: 2, masterPort: 1, ...address, backend: 'nccl' } as const;
    await expect(initProcessGroup(options)).rejects.toEqual(
      code('ERR_DISTRIBUTED', "no backend 'nccl', but 'gloo', which adds what is on a GPU, too"),
    );
  });
});

describe('ranks that differ fail, all of them, with what each of them does', () => {
  const differing: [string, (group: ProcessGroup) => Promise<unknown>, string][] = [
    [
      'in what they do',
      (group) => (group.rank === 0 ? group.barrier() : group.allReduce(ones(9000))),
      'allReduce',
    ],
    [
      'in lengths',
      (group) => distributed(diagonal(...ones(2 + group.rank)), { group }).matvec(ones(2 + group.rank)),
      '[3, 3]',
    ],
    ['in long lengths', (group) => group.allReduce(ones(8000 + 500 * group.rank)), 'allReduce'],
    [
      'in precisions',
      (group) => group.allReduce(group.rank === 0 ? ones(2) : Float32Array.of(1, 2)),
      'allReduce',
    ],
    [
      'in vectors',
      (group) => distributed(diagonal(1, 2), { group }).matvec(Float64Array.of(1, group.rank)),
      'different vectors',
    ],
    [
      'in the last bit',
      (group) => distributed(diagonal(1, 2), { group }).matvec(Float64Array.of(1, 1 + group.rank * 2 ** -52)),
      'different vectors',
    ],
    [
      'in numbers of vectors',
      (group) => distributed(diagonal(1, 2), { group }).matmat(ones(2 + 2 * group.rank), 1 + group.rank),
      'do not do the same',
    ],
    [
      'in seeds',
      (group) => trace(distributed(diagonal(1, 2, 3, 4), { group }), { samples: 8, seed: group.rank }),
      'different vectors',
    ],
    [
      'in options of a solver',
      async (group) => {
        using op = distributed(diagonal(1, 2, 3, 4), { group });
        await cg(op, ones(4), { maxIterations: group.rank === 0 ? 1 : 100, tolerance: 1e-14 });
        await group.barrier();
      },
      'different vectors',
    ],
    [
      'in the order of operators',
      (group) => {
        const ops = [distributed(diagonal(1), { group }), distributed(diagonal(2), { group })];
        return ops[group.rank]!.matvec(ones(1));
      },
      'do not do the same',
    ],
  ];
  it.each(differing)('%s', async (_, make, message) => {
    const groups = await groupsOf(2);
    const failed = await each(groups, make);
    for (const error of failed) expect(error).toEqual(code('ERR_DISTRIBUTED'));
    expect(failed.map((error) => (error as Error).message).join()).toContain(message);
    for (const group of groups)
      await expect(group.barrier()).rejects.toEqual(code('ERR_DISTRIBUTED', 'is of no more use'));
  });
});

describe('a rank that cannot do its part', () => {
  const failing = (group: ProcessGroup, fail: () => Promise<Float64Array>) =>
    distributed(
      customOperator({
        shape: [2, 2],
        dtype: 'float64',
        symmetric: true,
        matmat: (vectors) => (group.rank === 1 ? fail() : vectors),
      }),
      { group },
    );

  it('says so, and the others do not wait', async () => {
    const groups = await groupsOf(3);
    const reason = new Error('no memory');
    const failed = await each(groups, (group) =>
      failing(group, () => Promise.reject(reason)).matvec(ones(2)),
    );
    expect(failed[1]).toBe(reason);
    for (const error of [failed[0], failed[2]])
      expect(error).toEqual(code('ERR_DISTRIBUTED', 'rank 1 left the process group: its part'));
  });

  it('because it was aborted, at once', async () => {
    const groups = await groupsOf(3);
    const controller = new AbortController();
    const reason = new Error('enough');
    let took = 0;
    const failed = await each(groups, (group) => {
      const op = failing(group, () => new Promise(() => {}));
      if (group.rank !== 1) return op.matvec(ones(2));
      setTimeout(() => controller.abort(reason), 200);
      const began = performance.now();
      return op.matvec(ones(2), { signal: controller.signal }).finally(() => {
        took = performance.now() - began;
      });
    });
    expect(failed[1]).toBe(reason);
    expect(took).toBeLessThan(2_000);
    for (const error of [failed[0], failed[2]])
      expect(error).toEqual(
        code('ERR_DISTRIBUTED', 'rank 1 left the process group: its operation was aborted'),
      );
    await expect(groups[1].barrier()).rejects.toEqual(code('ERR_DISTRIBUTED', 'an operation was aborted'));
    await groups[1].close();
  });

  it('because it was aborted while all of them make something', async () => {
    const groups = await groupsOf(2);
    const reason = new Error('enough');
    const { x, target, ...rest } = problem();
    const failed = await each(groups, (group) => {
      const batches = async function* () {
        if (group.rank === 1) await new Promise(() => {});
        yield { x, target };
      };
      const controller = new AbortController();
      if (group.rank === 1) setTimeout(() => controller.abort(reason), 200);
      return kfac({ ...rest, batches }, { group, signal: controller.signal });
    });
    expect(failed[0]).toEqual(
      code('ERR_DISTRIBUTED', 'rank 1 left the process group: its operation was aborted'),
    );
    expect(failed[1]).toBe(reason);
  });

  describe.each(['cg', 'minres', 'lsmr'] as const)('because onIteration of %s', (name) => {
    const solveBy =
      (onIteration: (rank: number) => unknown) =>
      async (group: ProcessGroup): Promise<unknown> => {
        const matrix = diagonalOperator(Float64Array.from({ length: 40 }, (_, i) => 1 + i ** 3));
        const told = { onIteration: () => onIteration(group.rank) };
        const op = distributed(matrix, { group });
        if (name === 'lsmr')
          return lsmr(op, ones(40), { ...told, atol: 0, btol: 0, conlim: 0, maxIterations: 5000 });
        return { cg, minres }[name](op, ones(40), { ...told, tolerance: 0, maxIterations: 5000 });
      };

    it('throws there, which fails with what was thrown', async () => {
      const own = new Error('my own');
      const failed = await each(
        await groupsOf(2),
        solveBy((rank) => {
          if (rank === 1) throw own;
        }),
      );
      const left = 'rank 1 left the process group: its part of the operation failed there';
      expect(failed[0]).toEqual(code('ERR_DISTRIBUTED', left));
      expect(failed[1]).toBe(own);
    });

    it('ends it there alone', async () => {
      const failed = await each(
        await groupsOf(2),
        solveBy((rank) => rank === 0),
      );
      for (const error of failed) {
        expect(error).toEqual(
          code('ERR_DISTRIBUTED', 'an onIteration that ends a solver should do so on all ranks'),
        );
      }
    });
  });

  it('because it waits for a rank that does not come, and is aborted', async () => {
    const [first, second] = await groupsOf(2);
    const waiting = first.barrier({ signal: AbortSignal.timeout(100) });
    const behind = first.allReduce(ones(1));
    await expect(waiting).rejects.toMatchObject({ name: 'TimeoutError' });
    await expect(behind).rejects.toEqual(code('ERR_DISTRIBUTED'));
    // It had begun: the two meet, and then find that the first is gone.
    await second.barrier();
    await expect(second.barrier()).rejects.toEqual(code('ERR_DISTRIBUTED', 'rank 0 left'));
  });

  it('because it closed the group', async () => {
    const [first, second] = await groupsOf(2);
    const closing = first.close();
    await expect(second.allReduce(ones(9000))).rejects.toEqual(
      code('ERR_DISTRIBUTED', 'rank 0 left the process group: it was closed'),
    );
    await closing;
  });

  it('because it does not come within the timeout', async () => {
    const [first] = await groupsOf(2, { timeout: 1000 });
    await expect(first.barrier()).rejects.toEqual(code('ERR_TIMEOUT', '(ranks that do not answer: 1)'));
    await expect(first.barrier()).rejects.toEqual(code('ERR_DISTRIBUTED', 'is of no more use'));
  });

  const two = Float64Array.of(1, 2);
  const refusals: [string, (group: ProcessGroup, wrong: boolean) => Promise<unknown>, string, string][] = [
    [
      'allReduce',
      (group, wrong) => group.allReduce((wrong ? [1, 2] : two) as never),
      'ERR_INVALID_ARGUMENT',
      'values',
    ],
    [
      'allGather',
      (group, wrong) => group.allGather((wrong ? [1, 2] : two) as never),
      'ERR_INVALID_ARGUMENT',
      'values',
    ],
    [
      'barrier',
      (group, wrong) => group.barrier(wrong ? ({ wait: 1 } as object) : {}),
      'ERR_INVALID_ARGUMENT',
      'unknown option',
    ],
    ['firstRow', (group, wrong) => group.firstRow(wrong ? 0.5 : 2), 'ERR_INVALID_ARGUMENT', 'rows'],
    [
      'a product',
      (group, wrong) => distributedOnes(group).matvec(ones(wrong ? 3 : 2)),
      'ERR_SHAPE_MISMATCH',
      'v should',
    ],
    [
      'a product on this thread',
      async (group, wrong) => {
        const op = distributedOnes(group);
        return wrong ? op.matvecSync(ones(3)) : op.matvec(ones(2));
      },
      'ERR_SHAPE_MISMATCH',
      'v should',
    ],
    [
      'kfac',
      (group, wrong) => kfac(problem(), { group, ...(wrong && { fishr: 'mc' }) }),
      'ERR_INVALID_ARGUMENT',
      "unknown option 'fishr'",
    ],
    [
      'ntk',
      (group, wrong) => ntk(problem(), { group, trace: (wrong ? 1 : true) as boolean }),
      'ERR_INVALID_ARGUMENT',
      'trace should',
    ],
    [
      'jacobian',
      (group, wrong) => jacobian(problem(), { group, chunkSize: wrong ? -1 : 2 }),
      'ERR_INVALID_ARGUMENT',
      'chunkSize should',
    ],
    [
      'lossAndGradient',
      (group, wrong) => lossAndGradient(problem(), { group, threads: wrong ? 0 : 1 }),
      'ERR_INVALID_ARGUMENT',
      'threads should',
    ],
    [
      'sr',
      (group, wrong) => optim.sr(problem(), ones(4), { group, damping: wrong ? -1 : 1 }),
      'ERR_INVALID_ARGUMENT',
      'damping should',
    ],
    [
      'a step',
      (group, wrong) =>
        optim
          .levenbergMarquardt(lossOfTwo(), { group })
          .step(wrong ? { x: { data: [1, 2], shape: [1, 2] } as never } : {}),
      'ERR_INVALID_ARGUMENT',
      'x.data',
    ],
    [
      'a solver',
      (group, wrong) => cg(distributedOnes(group), ones(wrong ? 3 : 2)),
      'ERR_SHAPE_MISMATCH',
      'b should',
    ],
  ];
  const distributedOnes = (group: ProcessGroup) => distributed(diagonal(1, 1), { group });

  describe.each(refusals)('by what it is given for %s', (_, ask, given, name) => {
    it('it alone: the others hear at once, and of what', async () => {
      const groups = await groupsOf(3);
      const failed = await each(groups, (group) => ask(group, group.rank === 1));
      const [first, wrong, last] = failed;
      expect(wrong).toEqual(code(given, name));
      expect(first).toEqual(code('ERR_DISTRIBUTED', `rank 1: a refused call: ${name}`));
      expect(last).toEqual(code('ERR_DISTRIBUTED', 'the ranks do not do the same'));
    });

    it('as all of them are: they go on', async () => {
      const found = await each(await groupsOf(2), async (group) => {
        const ends: string[] = [];
        for (const wrong of [true, false, true, false]) {
          await ask(group, wrong).then(
            () => ends.push('done'),
            () => ends.push('refused'),
          );
        }
        using op = distributedOnes(group);
        return [ends, await op.matvec(ones(2))];
      });
      const one = [['refused', 'done', 'refused', 'done'], Float64Array.of(2, 2)];
      expect(found).toEqual([one, one]);
    });
  });

  it('because its loss has wrong targets', async () => {
    const groups = await groupsOf(2);
    const failed = await each(groups, (group) =>
      lossAndGradient({ ...problem(), target: tensor(ones(4 - group.rank), [4 - group.rank, 1]) }, { group }),
    );
    expect(failed).toEqual([code('ERR_DISTRIBUTED', 'rank 1 left'), code('ERR_SHAPE_MISMATCH')]);
  });
});

const model = Model.sequential([nn.linear(2, 1)]);
const problem = () => ({
  model,
  params: ones(3),
  x: tensor(
    Float64Array.from({ length: 8 }, (_, i) => i),
    [4, 2],
  ),
  target: tensor(ones(4), [4, 1]),
  loss: 'mse' as const,
});

describe('what is no sum over data', () => {
  it('is refused, with what to write instead', async () => {
    await using group = await initProcessGroup({ rank: 0, worldSize: 1 });
    const refused = (op: LinearOperator<Float64Array>, message: string) =>
      expect(() => distributed(op)).toThrow(code('ERR_INVALID_ARGUMENT', message));
    const op = diagonal(1, 2);
    const { model, params, x } = problem();
    const streamed = { model, params, batches: [{ x }] };
    refused(await jacobian(problem()), 'await jacobian(problem, { group })');
    refused(await ntk(problem()), 'await ntk(problem, { group })');
    refused(await perSampleGradients(problem()), 'await perSampleGradients(problem, { group })');
    refused(await kfac(problem()), 'await kfac(problem, { group })');
    refused(await ekfac(problem()), 'await ekfac(problem, { group })');
    refused(await jacobian(problem(), { group }), 'distributed already');
    await expect(ntk(problem(), { group, x2: x })).rejects.toEqual(
      code('ERR_INVALID_ARGUMENT', '(await jacobian(problem, { group })).multiply('),
    );
    refused(op.damp(1), 'distributed(op).damp(lambda)');
    refused(op.damp(1).scale(2), 'distributed(op).damp(lambda)');
    refused(op.multiply(op), 'distributed(a).multiply(distributed(b))');
    refused((await jacobian(problem())).scale(2), 'is no sum');
    refused((await jacobian(streamed)).scale(2), 'is no sum');
    refused((await kfac(problem())).scale(2), 'is no sum');
    refused(distributed(op), 'distributed already');
    refused(distributed(op).scale(2), 'distributed already');
    expect(() => distributed(3 as never)).toThrow(
      code('ERR_INVALID_ARGUMENT', 'op should be a LinearOperator'),
    );
    expect(() => distributed(op, { group: 3 as never })).toThrow(
      code('ERR_INVALID_ARGUMENT', 'ProcessGroup'),
    );
    await group.close();
    expect(() => distributed(op)).toThrow(code('ERR_INVALID_ARGUMENT', 'await initProcessGroup()'));
  });

  it('as draws for rows of the same numbers', async () => {
    const groups = await groupsOf(2);
    const drawn = (own: object) => async (group: ProcessGroup) => {
      using op = distributed(await fisher(problem(), own), { group });
      return op.matvec(ones(3));
    };
    const failed = await each(groups, drawn({}));
    for (const error of failed)
      expect(error).toEqual(code('ERR_INVALID_ARGUMENT', 'fisher(problem, { firstRow:'));
    // All ranks know, and go on.
    const [one, two] = await each(groups, async (group) =>
      drawn({ firstRow: await group.firstRow(4) })(group),
    );
    expect(one).toBeInstanceOf(Float64Array);
    expect(two).toEqual(one);
  });

  it('as operators of two groups', async () => {
    const [[a], [b]] = [await groupsOf(2), await groupsOf(2)];
    const op = distributed(diagonal(1), { group: a });
    expect(() => op.add(distributed(diagonal(1), { group: b }))).toThrow(
      code('ERR_INVALID_ARGUMENT', 'one process group'),
    );
    expect(() => distributed(diagonal(1))).toThrow(code('ERR_INVALID_ARGUMENT', 'say which'));
  });
});

describe('what ranks make together', () => {
  const narrow = Model.sequential([nn.linear(2, 1)]);
  const wide = Model.sequential([nn.linear(2, 2)]);
  /** Of another model on each rank. */
  const apart = (rank: number, rows = 4) => {
    const model = rank === 0 ? narrow : wide;
    const x = tensor(ones(2 * rows), [rows, 2]);
    const target = tensor(ones(rows * (rank + 1)), [rows, rank + 1]);
    return { model, params: ones(model.parameterCount), x, target, loss: 'mse' as const };
  };
  const made: [string, (group: ProcessGroup) => Promise<unknown>, string, string][] = [
    [
      'rows of different models',
      (group) => jacobian(apart(group.rank), { group }),
      'ERR_SHAPE_MISMATCH',
      'the shapes [1] and [2]',
    ],
    [
      'factors of different models',
      (group) => kfac(apart(group.rank), { group }),
      'ERR_DISTRIBUTED',
      'weights of Kronecker factors of 1 blocks of 3 parameters',
    ],
    [
      'operators of different models',
      async (group) =>
        distributed(await gaussNewton(apart(group.rank)), { group }).matvec(ones(3 * (group.rank + 1))),
      'ERR_DISTRIBUTED',
      '[6, 6]',
    ],
    [
      'gradients of different models',
      (group) => lossAndGradient(apart(group.rank), { group }),
      'ERR_DISTRIBUTED',
      'lossAndGradient, a mean, 6 numbers',
    ],
    [
      'a mean and a sum',
      (group) => {
        const reduction = group.rank === 0 ? ('mean' as const) : ('sum' as const);
        return lossAndGradient({ ...problem(), reduction }, { group });
      },
      'ERR_DISTRIBUTED',
      'lossAndGradient, a sum',
    ],
    [
      'factors of a mean and a sum',
      (group) => {
        const reduction = group.rank === 0 ? ('mean' as const) : ('sum' as const);
        return kfac({ ...problem(), reduction }, { group });
      },
      'ERR_DISTRIBUTED',
      '"reduction":"sum"',
    ],
    [
      'factors by draws of different seeds',
      (group) => ekfac(problem(), { group, fisher: 'mc', seed: group.rank }),
      'ERR_DISTRIBUTED',
      '"seed":"1"',
    ],
    [
      'rows with and without their mean',
      (group) => jacobian(problem(), { group, center: group.rank === 0 }),
      'ERR_DISTRIBUTED',
      '"center":false',
    ],
    [
      'different numbers of values and weights',
      (group) => {
        const weights = group.rank === 0 ? { weights: ones(4) } : {};
        return optim.minSR(problem(), ones(4), { group, ...weights });
      },
      'ERR_DISTRIBUTED',
      'do not do the same',
    ],
  ];
  it.each(made)('%s: all of them fail', async (_, make, expected, message) => {
    const failed = await each(await groupsOf(2), make);
    for (const error of failed) expect(error).toEqual(code(expected));
    expect(failed.map((error) => (error as Error).message).join()).toContain(message);
  });

  const unable: [string, (group: ProcessGroup) => Promise<unknown>][] = [
    ['jacobian', (group) => jacobian({ ...problem(), params: ones(2 + group.rank) }, { group })],
    ['kfac', (group) => kfac({ ...problem(), params: ones(2 + group.rank) }, { group })],
    [
      'kfac of a stream without batches',
      (group) => {
        const { x, target, ...rest } = problem();
        return kfac({ ...rest, batches: group.rank === 0 ? [] : [{ x, target }] }, { group });
      },
    ],
    ['sr', (group) => optim.sr(problem(), ones(3 + group.rank), { group })],
  ];
  it.each(unable)('%s, which one of them cannot: the others do not wait', async (_, make) => {
    const failed = await each(await groupsOf(2), make);
    expect(failed).toEqual([code('ERR_SHAPE_MISMATCH'), code('ERR_DISTRIBUTED', 'rank 0 left')]);
  });

  it('has the weights that it was asked with, whatever becomes of their array', async () => {
    const found = await each(await groupsOf(2), async (group) => {
      const weights = Float64Array.of(1, 2, 3, 4);
      const ask = () => jacobian(problem(), { group, weights, center: true });
      using expected = await ask();
      const asked = ask();
      weights.fill(9 + group.rank);
      using rows = await asked;
      const v = Float64Array.of(1, 2, 3);
      return [await rows.matvec(v), await expected.matvec(v)];
    });
    for (const [rows, expected] of found as Float64Array[][]) expect(rows).toEqual(expected);
  });

  it('kfac has the data that it was asked with, whatever becomes of their arrays', async () => {
    const found = await each(await groupsOf(2), async (group) => {
      const given = problem();
      const asked = kfac(given, { group });
      given.x.data.fill(9 + group.rank);
      given.target.data.fill(9);
      using factors = await asked;
      using expected = await kfac(problem(), { group });
      return [await factors.matvec(ones(3)), await expected.matvec(ones(3))];
    });
    for (const [factors, expected] of found as Float64Array[][]) expect(factors).toEqual(expected);
  });

  it.each([
    ['kfac', kfac],
    ['ekfac', ekfac],
  ] as const)('%s waits for what was asked for in between', async (_, make) => {
    const found = await each(await groupsOf(2), async (group) => {
      const { x, target, ...rest } = problem();
      let passes = 0;
      let sum: Promise<Float64Array> | undefined;
      const batches = function* () {
        // Long enough to be under way when the factors of this rank are there.
        if (++passes === 2) sum = group.allReduce(new Float64Array(2e6).fill(1));
        yield { x, target };
      };
      using factors = await make({ ...rest, batches }, { group });
      return [factors.shape, (await sum!)[0]];
    });
    expect(found).toEqual(Array(2).fill([[3, 3], 2]));
  });

  it.each([undefined, new Proxy(new Error('never read'), {})])(
    'by what a getter throws, %#',
    async (thrown) => {
      const hostile = {
        get signal(): never {
          throw thrown;
        },
      };
      const [refusing, other] = await each(await groupsOf(2), (group) =>
        group.barrier(group.rank === 0 ? (hostile as object) : {}),
      );
      expect(refusing === thrown).toBe(true);
      expect(other).toEqual(code('ERR_DISTRIBUTED', 'rank 0: a refused call: its arguments'));
    },
  );

  it('has rows of one shape, which as many numbers do not make', async () => {
    const shaped = async (rows: readonly number[], ...shapes: [number, number][]) =>
      each(await groupsOf(shapes.length), async (group) => {
        const [height, width] = shapes[group.rank]!;
        const x = tensor(new Float64Array(height * width * rows[group.rank]!), [
          rows[group.rank]!,
          height,
          width,
          1,
        ]);
        using found = await jacobian(
          { model: Model.sequential([nn.linear(1, 1)]), params: ones(2), x },
          { group },
        );
        return found.shape;
      });
    expect(await shaped([1, 2], [2, 3], [2, 3])).toEqual([
      [18, 2],
      [18, 2],
    ]);
    for (const error of await shaped([1, 2], [2, 3], [3, 2]))
      expect(error).toEqual(
        code('ERR_SHAPE_MISMATCH', 'have the shapes [2, 3, 1] and [3, 2, 1] on the ranks'),
      );
    // One that has no rows says nothing of their shape.
    expect(await shaped([0, 2], [3, 2], [2, 3])).toEqual([
      [12, 2],
      [12, 2],
    ]);
  });

  it('of no rows at all is zero', async () => {
    const none = { ...apart(0, 0), reduction: 'sum' as const };
    const found = await each(await groupsOf(2), async (group) => {
      using factors = await kfac(none, { group });
      using rows = await jacobian(none, { group, center: true });
      return [rows.shape, await factors.matvec(ones(3)), await rows.rmatvec(ones(0))];
    });
    for (const each of found) expect(each).toEqual([[0, 3], new Float64Array(3), new Float64Array(3)]);
  });

  it('has NaN where one of them has, on all of them', async () => {
    const found = await each(await groupsOf(2), async (group) => {
      const given = problem();
      if (group.rank === 1) given.x.data[0] = Number.NaN;
      using op = distributed(await gaussNewton(given), { group });
      const product = await op.matvec(ones(3));
      const { reason } = await cg(op.damp(1), ones(3));
      const { loss } = await lossAndGradient(given, { group });
      return [product.every(Number.isNaN), reason, loss];
    });
    expect(found).toEqual([
      [true, 'nan', Number.NaN],
      [true, 'nan', Number.NaN],
    ]);
  });
});

it('sums of operators that are no symmetric ones, and of vectors that are wrong', async () => {
  const groups = await groupsOf(2);
  const found = await each(groups, async (group) => {
    const data = Float64Array.of(1, group.rank, 0, 1, 1, 2);
    using own = denseOperator({ data, shape: [2, 3] });
    using op = distributed(own, { group });
    expect([op.kind, op.shape, op.symmetric]).toEqual(['distributed', [2, 3], false]);
    await expect(op.matvec(ones(2))).rejects.toEqual(code('ERR_SHAPE_MISMATCH'));
    return [
      ...(await op.rmatvec(Float64Array.of(1, 2))),
      ...(await op.T.matmat(ones(4), 2)),
      ...(await op.matvec(ones(3))),
    ];
  });
  expect(found[0]).toEqual([6, 5, 8, 4, 3, 4, 4, 3, 4, 3, 8]);
  expect(found[1]).toEqual(found[0]);
});
