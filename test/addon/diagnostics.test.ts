import { tracingChannel } from 'node:diagnostics_channel';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { Model, matvecDenseSync, matvecOnTheFly } from '../../lib/index.ts';
import { FOLDER } from '../model/files/fixtures.ts';
import { MODEL_CASES, problemOf } from '../support/models.ts';
import { heardOf } from './heard.ts';

it('announces products to those who listen', async () => {
  const each = MODEL_CASES[0]!;
  const problem = problemOf(each);
  const v = Float64Array.from(each.v);
  const heard: [string, unknown][] = [];
  const note = (event: string) => (message: unknown) => heard.push([event, { ...(message as object) }]);
  const subscribers = {
    start: note('start'),
    end: note('end'),
    asyncStart: note('asyncStart'),
    asyncEnd: note('asyncEnd'),
    error: note('error'),
  };
  const channel = tracingChannel('torch-curvature:product');
  channel.subscribe(subscribers);
  try {
    await matvecOnTheFly(problem, v);
    matvecDenseSync(problem, v);
  } finally {
    channel.unsubscribe(subscribers);
  }
  await matvecOnTheFly(problem, v);

  expect(heard.map(([event]) => event)).toEqual(['start', 'end', 'asyncStart', 'asyncEnd', 'start', 'end']);
  const described = { device: 'cpu', dtype: 'float64', parameterCount: each.v.length, batch: 6 };
  expect(heard[0]![1]).toEqual({ operation: 'matvecOnTheFly', ...described });
  expect(heard[4]![1]).toEqual({ operation: 'matvecDenseSync', ...described });
});

it.each([
  ['attention.pt2', { operation: 'createProgram', kind: 'create_program' }],
  ['attention.pt', { operation: 'loadTorchScript', kind: 'load_torchscript' }],
])('announces the loading of %s', async (file, message) => {
  const heard = await heardOf(() => Model.load(join(FOLDER, file), { trusted: true }));
  expect(heard).toHaveLength(1);
  expect(heard[0]).toMatchObject({ ...message, queueTime: expect.any(Number), runTime: expect.any(Number) });
});
