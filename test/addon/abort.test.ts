/** An abort is heard soon in every product of every engine, on problems that take seconds. */
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, describe, expect, it } from 'vitest';
import {
  type Batch,
  cg,
  customOperator,
  denseOperator,
  diagonal,
  eigsh,
  ekfac,
  empiricalFisher,
  fisher,
  Generator,
  gaussNewton,
  gramian,
  hessian,
  jacobian,
  kfac,
  linearize,
  lossAndGradient,
  Model,
  matvecDense,
  matvecOnTheFly,
  minres,
  nn,
  ntk,
  spectralDensity,
  tensor,
  trace,
} from '../../lib/index.ts';
import { contention } from '../support/contention.ts';
import { byCounts } from '../support/counts.ts';

/** Milliseconds within which an abort is heard on an idle machine, but for one in a hundred. */
const HEARD = 100;
/** Milliseconds after which operations are aborted: in their set-up, and in what follows. */
const DELAYS = byCounts([150], [30, 150, 400]);

const generator = new Generator(1);

function problemOf(model: Model, shape: number[]) {
  const params = model.init({ generator });
  const x = generator.randn(shape);
  return { model, params, x, v: new Float32Array(model.parameterCount).fill(0.1) };
}

const mlp = (width: number) =>
  Model.sequential([nn.linear(4, width), nn.tanh(), nn.linear(width, width), nn.tanh(), nn.linear(width, 1)]);

/** A chain with wide layers, many rows of a narrow one, and images, which are no chain. */
const wide = problemOf(mlp(1000), [30_000, 4]);
const narrow = problemOf(mlp(64), [300_000, 4]);
const images = problemOf(
  Model.sequential([
    nn.conv2d(3, 32, 3, { padding: 1 }),
    nn.relu(),
    nn.conv2d(32, 64, 3, { padding: 1 }),
    nn.gelu(),
    nn.conv2d(64, 32, 3, { padding: 1 }),
    nn.flatten(),
    nn.linear(32 * 32 * 32, 4),
  ]),
  [1_000, 3, 32, 32],
);
const tiny = problemOf(mlp(8), [50, 4]);

const targetOf = ({ x: { shape } }: { x: { shape: readonly number[] } }, outputs: number) =>
  tensor(new Float32Array(shape[0]! * outputs), [shape[0]!, outputs]);
const lossOf = <P extends typeof wide>(problem: P, outputs: number) =>
  ({ ...problemFields(problem), target: targetOf(problem, outputs), loss: 'mse' }) as const;
const problemFields = ({ model, params, x }: typeof wide) => ({ model, params, x });

type Operation = (signal: AbortSignal) => Promise<unknown>;

/** Operations of their own, or made ready first. */
const OPERATIONS: Record<string, Operation | (() => Promise<Operation>)> = {};
const latencies: { name: string; latency: number; contention: number }[] = [];

function add(name: string, operation: Operation): void {
  OPERATIONS[name] = operation;
}

for (const [name, problem, outputs] of [
  ['wide', wide, 1],
  ['narrow', narrow, 1],
  ['images', images, 4],
] as const) {
  const given = problemFields(problem);
  const { v } = problem;
  add(`forward, ${name}`, async (signal) => {
    for (;;) await problem.model.forward(problem.params, problem.x, { signal });
  });
  for (const engine of ['auto', 'autograd'] as const) {
    const how = `${name}, ${engine}`;
    add(`matvecOnTheFly, ${how}`, async (signal) => {
      for (;;) await matvecOnTheFly(given, v, { engine, signal });
    });
    add(`matvecDense, ${how}`, async (signal) => {
      for (;;) await matvecDense(given, v, { engine, chunkSize: 16, signal, strategy: 'jacobian' });
    });
    add(`linearize, ${how}`, async (signal) => {
      for (;;) (await linearize(given, { engine, signal })).dispose();
    });
    add(`gramian's products, ${how}`, async (signal) => {
      using op = await gramian(given, { engine, signal });
      for (;;) await op.matvec(v, { signal });
    });
    add(`gramian's diagonal, ${how}`, async (signal) => {
      using op = await gramian(given, { engine, signal });
      for (;;) await op.diagonal({ signal });
    });
  }
  add(`gaussNewton's products, ${name}`, async (signal) => {
    using op = await gaussNewton(lossOf(problem, outputs), { signal });
    for (;;) await op.matvec(v, { signal });
  });
  add(`empiricalFisher's products, ${name}`, async (signal) => {
    using op = await empiricalFisher(lossOf(problem, outputs), { center: true, signal });
    for (;;) await op.matvec(v, { signal });
  });
  add(`kfac, ${name}`, async (signal) => {
    for (;;) (await kfac(lossOf(problem, outputs), { signal })).dispose();
  });
  add(`hessian's products, ${name}`, async (signal) => {
    using op = await hessian(lossOf(problem, outputs), { signal });
    for (;;) await op.matvec(v, { signal });
  });
  add(`lossAndGradient, ${name}`, async (signal) => {
    for (;;) await lossAndGradient(lossOf(problem, outputs), { signal });
  });
}

add('ekfac', async (signal) => {
  for (;;) (await ekfac(lossOf(narrow, 1), { signal })).dispose();
});
add('fisher, many samples', (signal) => fisher(lossOf(tiny, 1), { mcSamples: 3_000_000, signal }));
add('fisher, many rows', (signal) => fisher(lossOf(narrow, 1), { mcSamples: 500, signal }));
add("fisher's products", async (signal) => {
  using op = await fisher(lossOf(tiny, 1), { mcSamples: 200_000, signal });
  for (;;) await op.matvec(tiny.v, { signal });
});
add('matvecDense, gram', async (signal) => {
  for (;;) await matvecDense(problemFields(narrow), narrow.v, { chunkSize: 4096, signal });
});
add("jacobian's matrix", async (signal) => {
  using op = await jacobian(problemFields({ ...narrow, x: generator.randn([4_000, 4]) }), { signal });
  for (;;) await op.toDense({ signal });
});
add("ntk's matrix", async (signal) => {
  using op = await ntk(problemFields({ ...narrow, x: generator.randn([2_000, 4]) }), { signal });
  for (;;) await op.toDense({ signal });
});
add("gramian's matrix", async (signal) => {
  using op = await gramian(problemFields(narrow), { signal });
  for (;;) await op.toDense({ signal });
});
add('a dense operator', async (signal) => {
  const n = 6_000;
  using op = denseOperator({ data: new Float32Array(n * n).fill(1), shape: [n, n] }, { symmetric: true });
  const vectors = new Float32Array(100 * n).fill(1);
  for (;;) await op.matmat(vectors, 100, { signal });
});

// What cannot be interrupted is left behind: factorizations, and waiting for another product that uses the same memory.
add('eigsh of a dense operator', async (signal) => {
  const n = 1_500;
  const root = generator.randn([n, n], { dtype: 'float64' }).data;
  using op = denseOperator(
    { data: root.map((value, at) => value + root[(at % n) * n + Math.floor(at / n)]!), shape: [n, n] },
    { symmetric: true },
  );
  for (;;) await eigsh(op, { k: n, signal });
});
add('the inverse of kfac', async (signal) => {
  const few = lossOf({ ...wide, x: generator.randn([50, 4]) }, 1);
  for (;;) {
    using factors = await kfac(few, { signal });
    await factors.inverse({ damping: 1e-3, signal });
  }
});
add('a product behind another of the same linearization', async (signal) => {
  using rows = await linearize(problemFields(wide), { signal });
  for (;;) {
    const other = rows.matvec(wide.v);
    try {
      await rows.matvec(wide.v, { signal });
    } finally {
      other.catch(() => {});
    }
  }
});

const onGramian = (
  name: string,
  solve: (op: Awaited<ReturnType<typeof gramian>>, signal: AbortSignal) => Promise<unknown>,
) =>
  add(name, async (signal) => {
    using op = await gramian(problemFields(wide), { signal });
    using damped = op.damp(1e-3);
    for (;;) await solve(damped, signal);
  });
onGramian('cg', (op, signal) => cg(op, wide.v, { signal, tolerance: 1e-12 }));
onGramian('minres', (op, signal) => minres(op, wide.v, { signal, tolerance: 1e-12 }));
onGramian('eigsh', (op, signal) => eigsh(op, { k: 3, signal }));
onGramian('trace', (op, signal) => trace(op, { samples: 1000, signal }));
onGramian('diagonal', (op, signal) => diagonal(op, { samples: 1000, signal }));
onGramian('spectralDensity', (op, signal) => spectralDensity(op, { signal }));

const WAITS = {
  async *batches(): AsyncGenerator<Batch> {
    yield { x: tiny.x };
    await new Promise(() => {});
  },
};
const endless = async function* (): AsyncGenerator<Batch> {
  for (;;) {
    yield { x: tiny.x };
    await sleep(0);
  }
};
const streamed = (batches: () => AsyncGenerator<Batch>) => ({ ...problemFields(tiny), batches });
add('a stream that waits', (signal) => {
  const { x: _, ...given } = streamed(WAITS.batches);
  return matvecOnTheFly(given, tiny.v, { signal });
});
add('an operator over a stream that waits', (signal) => {
  const { x: _, ...given } = streamed(WAITS.batches);
  return gramian(given, { signal });
});
add('an operator over an endless stream', (signal) => {
  const { x: _, ...given } = streamed(endless);
  return gramian(given, { signal });
});
add('a custom operator that never answers', (signal) => {
  using op = customOperator({ shape: [3, 3], matmat: () => new Promise(() => {}) });
  return op.matvec(new Float32Array(3), { signal });
});

/** Milliseconds from the abort to the rejection. */
async function latencyOf(operation: Operation, delay: number): Promise<number> {
  const controller = new AbortController();
  const reason = new Error('enough');
  const outcome = operation(controller.signal).then(
    () => 'it ended',
    (error) => error,
  );
  await sleep(delay);
  const aborted = performance.now();
  controller.abort(reason);
  expect(await outcome).toBe(reason);
  return performance.now() - aborted;
}

describe('an abort is heard', () => {
  it.each(Object.entries(OPERATIONS))('%s', async (name, operation) => {
    for (const delay of DELAYS) {
      const busy = contention();
      latencies.push({ name, latency: await latencyOf(operation as Operation, delay), contention: busy });
    }
  });
});

afterAll(() => {
  const sorted = latencies.toSorted((a, b) => a.latency - b.latency);
  const p99 = sorted[Math.floor((sorted.length - 1) * 0.99)]!;
  const most = sorted.at(-1)!;
  const show = ({ name, latency, contention }: (typeof latencies)[number]) =>
    `${latency.toFixed(1)} ms (${name}, on a machine ${contention.toFixed(1)} times slower than idle)`;
  console.log(`aborts heard, of ${sorted.length}: p99 ${show(p99)}, max ${show(most)}`);
  const slowness = Math.max(...latencies.map(({ contention }) => contention));
  expect(p99.latency, show(p99)).toBeLessThan(HEARD * slowness);
});

describe('a stream whose signal is aborted', () => {
  it('closes the iterator that it waits for, and lets the next pass begin', async () => {
    let closed = 0;
    let waits = true;
    const source = {
      [Symbol.asyncIterator]() {
        let given = 0;
        return {
          next: () =>
            given++ === 0
              ? Promise.resolve({ done: false, value: { x: tiny.x } })
              : waits
                ? new Promise<IteratorResult<Batch>>(() => {})
                : Promise.resolve({ done: true, value: undefined }),
          return: () => {
            closed++;
            return Promise.resolve({ done: true, value: undefined });
          },
        };
      },
    } as AsyncIterable<Batch>;
    const { x: _, ...given } = { ...problemFields(tiny), batches: source };
    const controller = new AbortController();
    const pending = matvecOnTheFly(given, tiny.v, { signal: controller.signal });
    const queued = matvecOnTheFly(given, tiny.v, { signal: AbortSignal.timeout(50) });
    await expect(queued).rejects.toThrow(/timeout/);
    controller.abort(new Error('enough'));
    await expect(pending).rejects.toThrow('enough');
    expect(closed).toBe(1);
    waits = false;
    await expect(matvecOnTheFly(given, tiny.v)).resolves.toHaveLength(tiny.v.length);
    expect(closed).toBe(1);
  });

  it('is left before the next pass begins, which may use the same arrays', async () => {
    const rows = new Float32Array(tiny.x.data.length);
    let [active, most, slow] = [0, 0, 0];
    const source = {
      async *[Symbol.asyncIterator](): AsyncGenerator<Batch> {
        const pause = slow;
        most = Math.max(most, ++active);
        try {
          for (let batch = 1; batch <= 3; batch++) {
            await sleep(pause);
            rows.fill(batch);
            await sleep(2);
            yield { x: { data: rows, shape: tiny.x.shape } };
          }
        } finally {
          active--;
        }
      },
    };
    const { x: _, ...given } = { ...problemFields(tiny), batches: source };
    const expected = await matvecOnTheFly(given, tiny.v);
    for (let time = 0; time < 5; time++) {
      slow = 15;
      await expect(matvecOnTheFly(given, tiny.v, { signal: AbortSignal.timeout(20 + time) })).rejects.toThrow(
        /timeout/,
      );
      slow = 0;
      expect(await matvecOnTheFly(given, tiny.v)).toEqual(expected);
    }
    expect(most).toBe(1);
  });

  it("ends the pass of an operator's product", async () => {
    let closed = false;
    let blocked = false;
    const batches = async function* (): AsyncGenerator<Batch> {
      try {
        yield { x: tiny.x };
        if (blocked) await sleep(100);
        yield { x: tiny.x };
      } finally {
        closed = true;
      }
    };
    const { x: _, ...given } = streamed(batches);
    using op = await gramian(given);
    [closed, blocked] = [false, true];
    await expect(op.matvec(tiny.v, { signal: AbortSignal.timeout(20) })).rejects.toThrow(/timeout/);
    await sleep(200);
    expect(closed).toBe(true);
  });
});
