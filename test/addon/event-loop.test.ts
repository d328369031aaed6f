/** The event loop takes its turns while products run and files of any kind and size are read. */
import { execFile } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { expect, it, onTestFinished } from 'vitest';
import { FOLDER } from '../model/files/fixtures.ts';
import { type GraphNode, pt2, tensorArgument } from '../model/files/pt2-file.ts';

const SCRIPT = fileURLToPath(new URL('../fixtures/event-loop.mjs', import.meta.url));

/** An exported model of so many operators, one after another. */
function longModel(operators: number): Uint8Array {
  const nodes: GraphNode[] = [
    [
      'torch.ops.aten.linear.default',
      [
        ['input', tensorArgument('x')],
        ['weight', tensorArgument('p_w')],
      ],
      ['y0'],
    ],
  ];
  for (let i = 0; i < operators; i++)
    nodes.push(['torch.ops.aten.tanh.default', [['self', tensorArgument(`y${i}`)]], [`y${i + 1}`]]);
  return pt2(nodes, `y${operators}`);
}

/** A safetensors file with a tensor that is copied and one that is converted. */
function safetensors(count: number): Uint8Array {
  const header = Buffer.from(
    JSON.stringify({
      a: { dtype: 'F32', shape: [count], data_offsets: [0, 4 * count] },
      b: { dtype: 'F16', shape: [count], data_offsets: [4 * count, 6 * count] },
    }),
  );
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(BigInt(header.length));
  return Buffer.concat([length, header, Buffer.alloc(6 * count)]);
}

it('has turns below 10 ms (p99) while eight heavy products run and models load', {
  timeout: 120_000,
}, async () => {
  const folder = await mkdtemp(join(tmpdir(), 'torch-curvature-'));
  onTestFinished(() => rm(folder, { recursive: true, force: true }));
  const [model, tensors] = [join(folder, 'long.pt2'), join(folder, 'large.safetensors')];
  await writeFile(model, longModel(20_000));
  await writeFile(tensors, safetensors(2 ** 22));
  const { stdout } = await promisify(execFile)(process.execPath, [
    SCRIPT,
    model,
    join(FOLDER, 'cnn.script.pt'),
    tensors,
  ]);
  const { p99, longest, loads, products } = JSON.parse(stdout);
  expect(loads).toBeGreaterThan(0);
  expect(products).toBeGreaterThanOrEqual(8);
  expect(p99).toBeLessThan(10);
  expect(longest).toBeLessThan(50);
});
