import { spawnSync } from 'node:child_process';
import { mkdtemp, open, readdir, readFile, rm, stat, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { gunzipSync } from 'node:zlib';
import { describe, expect, it, onTestFinished } from 'vitest';
import {
  Generator,
  Model,
  matvecDense,
  matvecOnTheFly,
  matvecOnTheFlySync,
  nn,
  type Profile,
  profile,
  recordFunction,
  schedule,
  startProfile,
  tensorboardTraceHandler,
} from '../../lib/index.ts';
import { SORT_KEYS } from '../../lib/profiler/rows.ts';

const model = Model.sequential([nn.linear(4, 32), nn.tanh(), nn.linear(32, 32), nn.tanh(), nn.linear(32, 1)]);
const generator = new Generator(0);
const params = model.init({ generator });
const x = generator.randn([256, 4]);
const v = generator.randn([model.parameterCount]).data;
const problem = { model, params, x };
const autograd = { engine: 'autograd' } as const;
// The first product of a model also finds its output shape, which no test here is about.
matvecOnTheFlySync(problem, v);
const ALL = { activities: ['cpu'], recordShapes: true, profileMemory: true, withFlops: true } as const;

async function traceOf(recorded: Profile) {
  const folder = await mkdtemp(join(tmpdir(), 'torch-curvature-'));
  onTestFinished(() => rm(folder, { recursive: true, force: true }));
  const path = join(folder, 'trace.json');
  recorded.exportChromeTrace(path);
  recorded.exportChromeTrace(path);
  return JSON.parse(await readFile(path, 'utf8'));
}

describe.each([
  ['on the calling thread', async () => matvecOnTheFlySync(problem, v, autograd)],
  ['from a promise', () => matvecOnTheFly(problem, v, autograd)],
] as const)('a product %s', (_, product) => {
  it('is recorded with calls, times, memory, operations and shapes', async () => {
    const { result, profile: recorded } = await profile(product, ALL);
    expect(result).toEqual(matvecOnTheFlySync(problem, v, autograd));

    const rows = recorded.keyAverages();
    const linear = rows.filter(({ name }) => name === 'aten::linear');
    expect(linear.reduce((sum, { count }) => sum + count, 0)).toBe(3);
    expect(linear.some(({ inputShapes }) => JSON.stringify(inputShapes?.[0]) === '[256,4]')).toBe(true);
    // Each layer: outputs, what the tangents of weights add, and gradients of the weights; all layers but the first: what
    // the tangents of inputs add, and gradients of the inputs. A multiply-add is two.
    const PRODUCTS = ['aten::mm', 'aten::addmm', 'torch_curvature::product'];
    const products = rows.filter(({ name }) => PRODUCTS.includes(name));
    const flops = products.reduce((sum, row) => sum + row.flops, 0);
    expect(flops).toBe(2 * 256 * (3 * 4 * 32 + 5 * (32 * 32 + 32)));
    expect(rows.some(({ name }) => name.includes('TanhBackward'))).toBe(true);
    for (const row of rows) {
      expect(row.count).toBeGreaterThan(0);
      expect(row.cpuTimeTotal).toBeGreaterThanOrEqual(row.selfCpuTimeTotal - 1e-6);
    }
    const times = rows.map(({ selfCpuTimeTotal }) => selfCpuTimeTotal);
    expect(times).toEqual([...times].sort((a, b) => b - a));
    expect(recorded.selfCpuTimeTotal).toBeCloseTo(times.reduce((a, b) => a + b));
    expect(recorded.peakMemory).toBeGreaterThan(256 * 32 * 4);
    expect(recorded.selfDeviceTimeTotal).toBe(0);
  });

  it('gives a Chrome trace', async () => {
    const { profile: recorded } = await profile(product);
    const { traceEvents } = await traceOf(recorded);
    const names = new Set(traceEvents.map(({ name }: { name: string }) => name));
    expect(names.has('aten::linear')).toBe(true);
    for (const event of traceEvents.filter(({ ph }: { ph: string }) => ph === 'X')) {
      expect(event.ts).toBeGreaterThanOrEqual(0);
      expect(event.dur).toBeGreaterThanOrEqual(0);
    }
  });
});

describe('the table', () => {
  it("is laid out as PyTorch's", async () => {
    const { profile: recorded } = await profile(() => matvecOnTheFly(problem, v, autograd), ALL);
    const text = recorded.keyAverages().table({ sortBy: 'cpu_memory_usage', rowLimit: 4 });
    const lines = text.split('\n');
    expect(lines[0]).toMatch(/^-{10,}( {2}-{12}){8} {2}-+ {2}-{12} {2}$/);
    expect(lines[1]!.trim().split(/ {2,}/)).toEqual([
      ...['Name', 'Self CPU %', 'Self CPU', 'CPU total %', 'CPU total', 'CPU time avg'],
      ...[
        'CPU Mem',
        'Self CPU Mem',
        '# of Calls',
        'Input Shapes',
        expect.stringMatching(/^Total [KM]?FLOPs$/),
      ],
    ]);
    expect(lines[2]).toBe(lines[0]);
    expect(lines[7]).toBe(lines[0]);
    expect(lines[8]).toMatch(/^Self CPU time total: \d+\.\d{3}(us|ms|s)$/);
    expect(lines.slice(9)).toEqual(['']);
    expect(new Set(lines.slice(0, 8).map(({ length }) => length)).size).toBe(1);
    expect(lines[3]).toMatch(/\d+\.\d\d% {2,}\d+\.\d{3}(us|ms)/);
  });

  it('leaves out columns that nothing was recorded for', async () => {
    const { profile: recorded } = await profile(() => matvecOnTheFly(problem, v, autograd));
    const header = recorded.keyAverages().table().split('\n')[1]!;
    expect(header).not.toMatch(/Mem|Shapes|FLOPs|CUDA/);
  });

  it.each(SORT_KEYS)('sorts by %s', async (key) => {
    const { profile: recorded } = await profile(() => matvecOnTheFly(problem, v, autograd), ALL);
    expect(recorded.keyAverages().table({ sortBy: key, rowLimit: -1 })).toContain('aten::linear');
  });

  it('is empty when nothing happened', async () => {
    const { result, profile: recorded } = await profile(() => 5);
    expect(result).toBe(5);
    expect(recorded.keyAverages()).toHaveLength(0);
    expect(recorded.keyAverages().table()).toBe('');
    expect(recorded.peakMemory).toBe(0);
  });
});

describe('regions', () => {
  it('appear by name, around what happened in them, sync and async', async () => {
    const { profile: recorded } = await profile(async () => {
      recordFunction('outer "quoted"', () =>
        recordFunction('inner', () => matvecOnTheFlySync(problem, v, autograd)),
      );
      return recordFunction('awaited', async () => matvecOnTheFly(problem, v, autograd));
    }, ALL);
    const rows = recorded.keyAverages();
    const find = (name: string) => rows.find((row) => row.name === name)!;
    const [outer, inner] = [find('outer "quoted"'), find('inner')];
    expect(outer.cpuTimeTotal).toBeGreaterThanOrEqual(inner.cpuTimeTotal);
    expect(find('awaited').cpuTimeTotal).toBeGreaterThan(0);
    const { traceEvents } = await traceOf(recorded);
    const names = traceEvents.map(({ name }: { name: string }) => name);
    expect(names).toContain('inner');
    expect(names).toContain('awaited');
  });

  it('that overlap lie in lanes of their own in the trace', async () => {
    const { profile: recorded } = await profile(() =>
      Promise.all([
        recordFunction('first', () => sleep(30)),
        sleep(10).then(() => recordFunction('second', () => sleep(40))),
        recordFunction('third', () => sleep(5)),
      ]),
    );
    interface Region {
      name: string;
      ph: string;
      tid: number;
    }
    const { traceEvents } = await traceOf(recorded);
    const regions: Region[] = traceEvents.filter(({ name }: Region) => /^(first|second|third)$/.test(name));
    expect(regions.map(({ ph }) => ph)).toEqual(['X', 'X', 'X']);
    const laneOf = (name: string) => regions.find((each) => each.name === name)!.tid;
    expect(new Set(['first', 'second'].map(laneOf)).size).toBe(2);
    expect(laneOf('third')).toBe(laneOf('second')); // which begins after it
    expect(laneOf('first')).not.toBe(process.pid);
    expect(JSON.stringify(traceEvents)).toContain('asynchronous regions');
  });

  it('cost nothing and change nothing outside a profile', async () => {
    expect(recordFunction('idle', () => 3)).toBe(3);
    expect(await recordFunction('idle', async () => 4)).toBe(4);
    expect(() =>
      recordFunction('failing', () => {
        throw new Error('as it was');
      }),
    ).toThrow('as it was');
    await expect(recordFunction('failing', () => Promise.reject(new Error('later')))).rejects.toThrow(
      'later',
    );
  });
});

describe('refuses', () => {
  it('a second profile while one is recorded, and goes on after a failure', async () => {
    const busy = profile(() => profile(() => 1));
    await expect(busy).rejects.toThrow(expect.objectContaining({ code: 'ERR_PROFILER_BUSY' }));
    await expect(profile(() => Promise.reject(new Error('mine')))).rejects.toThrow('mine');
    await expect(profile(() => matvecDense(problem, v))).resolves.toBeDefined();
  });

  it.each([
    [() => profile(3 as never), 'ERR_INVALID_ARGUMENT'],
    [() => profile(() => 1, { activities: [] }), 'ERR_INVALID_ARGUMENT'],
    [() => profile(() => 1, { activities: ['gpu' as never] }), 'ERR_INVALID_ARGUMENT'],
    [() => profile(() => 1, { activities: 'cpu' as never }), 'ERR_INVALID_ARGUMENT'],
    [() => profile(() => 1, null as never), 'ERR_INVALID_ARGUMENT'],
  ])('%s', async (call, code) => {
    await expect(call()).rejects.toThrow(expect.objectContaining({ code }));
  });

  it('unknown sort keys, bad limits, and places that cannot be written', async () => {
    const { profile: recorded } = await profile(() => matvecOnTheFly(problem, v, autograd));
    const rows = recorded.keyAverages();
    const invalid = expect.objectContaining({ code: 'ERR_INVALID_ARGUMENT' });
    expect(() => rows.table({ sortBy: 'beauty' })).toThrow(invalid);
    expect(() => rows.table({ sortBy: 'constructor' })).toThrow(invalid);
    expect(() => rows.table({ rowLimit: 0 })).toThrow(invalid);
    expect(() => recorded.exportChromeTrace('/no/such/folder/trace.json')).toThrow(invalid);
    expect(() => recorded.exportChromeTrace(3 as never)).toThrow(invalid);
    expect(() => recorded.exportChromeTrace('a\0b')).toThrow(invalid);
    expect(() => recordFunction(3 as never, () => 1)).toThrow(invalid);
  });
});

describe('steps', () => {
  const cycle = { wait: 1, warmup: 1, active: 2, repeat: 2, skipFirst: 1 };

  it("are chosen as PyTorch's schedule does", () => {
    const plan = schedule(cycle);
    expect(Array.from({ length: 11 }, (_, step) => plan(step))).toEqual([
      'none',
      ...['none', 'warmup', 'record', 'record_and_save'],
      ...['none', 'warmup', 'record', 'record_and_save'],
      ...['none', 'none'],
    ]);
    const endless = schedule({ active: 1 });
    expect(endless(1_000_000)).toBe('record_and_save');
  });

  it('give a profile for each cycle', async () => {
    const ready: Profile[] = [];
    const { profile: last } = await profile(
      (profiler) => {
        for (let step = 0; step < 11; step++) {
          matvecOnTheFlySync(problem, v, autograd);
          profiler.step();
        }
      },
      { schedule: schedule(cycle), onTraceReady: (each) => ready.push(each) },
    );
    expect(ready).toHaveLength(2);
    expect(ready[1]).toBe(last);
    for (const [index, each] of ready.entries()) {
      const rows = each.keyAverages();
      expect(rows.find(({ name }) => name === 'aten::linear')!.count).toBe(6);
      const steps = rows.map(({ name }) => name).filter((name) => name.startsWith('ProfilerStep'));
      const first = 3 + 4 * index;
      expect(steps.sort()).toEqual([`ProfilerStep#${first}`, `ProfilerStep#${first + 1}`]);
    }
  });

  it('lose no step where onTraceReady throws', () => {
    const ready: Profile[] = [];
    const profiler = startProfile({
      schedule: schedule({ active: 2, repeat: 2 }),
      onTraceReady: (each) => {
        if (ready.push(each) === 1) throw new Error('of the test');
      },
    });
    const thrown = [0, 1, 2, 3].map(() => {
      matvecOnTheFlySync(problem, v, autograd);
      try {
        profiler.step();
      } catch (error) {
        return (error as Error).message;
      }
      return undefined;
    });
    profiler.stop();
    expect(thrown).toEqual([undefined, 'of the test', undefined, undefined]);
    for (const each of ready)
      expect(each.keyAverages().find(({ name }) => name === 'aten::linear')!.count).toBe(6);
    expect(ready).toHaveLength(2);
  });

  it('end after the operations that still run where a block is left too early', async () => {
    const running: Promise<unknown>[] = [];
    const early = () => {
      using _ = startProfile();
      running.push(matvecOnTheFly(problem, v, autograd), matvecOnTheFly(problem, v, autograd));
    };
    expect(early).toThrow(expect.objectContaining({ code: 'ERR_PROFILER_BUSY' }));
    await Promise.all(running);
    await new Promise(setImmediate);
    startProfile().stop();
  });

  it('may be ended by onTraceReady', () => {
    const profiler = startProfile({
      schedule: schedule({ active: 1, repeat: 3 }),
      onTraceReady: () => profiler.stop(),
    });
    matvecOnTheFlySync(problem, v, autograd);
    profiler.step();
    startProfile().stop();
  });

  it('may be recorded from a start to a stop, and the end may come early', () => {
    const ready: Profile[] = [];
    const profiler = startProfile({
      schedule: schedule({ active: 5 }),
      onTraceReady: (each) => ready.push(each),
    });
    matvecOnTheFlySync(problem, v, autograd);
    expect(profiler.profile).toBeUndefined();
    const recorded = profiler.stop();
    expect(ready).toEqual([recorded]);
    expect(profiler.stop()).toBe(recorded);
    expect(recorded.keyAverages().some(({ name }) => name === 'aten::linear')).toBe(true);
    startProfile()[Symbol.dispose]();
    const idle = startProfile({ schedule: () => 'none' }).stop();
    expect(idle.keyAverages()).toHaveLength(0);
    expect(() => idle.exportChromeTrace('nowhere.json')).toThrow(/nothing was recorded/);
  });

  it.each([
    [() => schedule({ active: 0 })],
    [() => schedule({ active: 1, wait: -1 })],
    [() => schedule({ active: 1.5 })],
    [() => schedule({} as never)],
    [() => startProfile({ schedule: (() => 'sometimes') as never })],
    [() => startProfile({ schedule: 3 as never })],
    [() => startProfile({ onTraceReady: 'later' as never })],
  ])('%s is refused', (call) => {
    expect(call).toThrow(expect.objectContaining({ code: 'ERR_INVALID_ARGUMENT' }));
    startProfile().stop();
  });
});

describe('results', () => {
  it('are grouped by input shapes or not', async () => {
    const { profile: recorded } = await profile(() => matvecOnTheFlySync(problem, v, autograd), ALL);
    const linear = (groupByInputShape: boolean) =>
      recorded.keyAverages({ groupByInputShape }).filter(({ name }) => name === 'aten::linear');
    expect(linear(true)).toHaveLength(3);
    expect(linear(false)).toMatchObject([{ count: 3 }]);
    expect(linear(false)[0]!.inputShapes).toBeUndefined();
    const time = (rows: { cpuTimeTotal: number }[]) => rows.reduce((sum, row) => sum + row.cpuTimeTotal, 0);
    expect(time(linear(true))).toBeCloseTo(time(linear(false)), 6);
  });

  it("are written compressed, and in TensorBoard's folders", async () => {
    const folder = await mkdtemp(join(tmpdir(), 'torch-curvature-'));
    onTestFinished(() => rm(folder, { recursive: true, force: true }));
    const names = async (path: string) => {
      const text = gunzipSync(await readFile(path)).toString();
      return JSON.parse(text).traceEvents.map(({ name }: { name: string }) => name);
    };
    const logs = join(folder, 'logs');
    const { profile: recorded } = await profile(() => matvecOnTheFlySync(problem, v, autograd), {
      onTraceReady: tensorboardTraceHandler(logs, { workerName: 'me', useGzip: true }),
    });
    recorded.exportChromeTrace(join(folder, 'trace.json.gz'));
    expect(await names(join(folder, 'trace.json.gz'))).toContain('aten::linear');
    tensorboardTraceHandler(logs)(recorded);
    const files = (await readdir(logs)).sort();
    expect(files).toHaveLength(2);
    const ours = files.find((file) => /^me\.\d{19}\.pt\.trace\.json\.gz$/.test(file))!;
    expect(await names(join(logs, ours))).toContain('aten::linear');
    expect(files.some((file) => file.includes(`_${process.pid}.`) && file.endsWith('.pt.trace.json'))).toBe(
      true,
    );
    expect(() => tensorboardTraceHandler(logs, { workerName: '../up' })).toThrow(TypeError);
    expect(() => recorded.exportChromeTrace('/no/such/folder/trace.json.gz')).toThrow(RangeError);
  });

  it.each(['trace.json', 'trace.json.gz'])(
    '%s takes the place of what was there, or leaves it',
    async (name) => {
      const folder = await mkdtemp(join(tmpdir(), 'torch-curvature-'));
      onTestFinished(() => rm(folder, { recursive: true, force: true }));
      const { profile: recorded } = await profile(() => matvecOnTheFlySync(problem, v, autograd));
      const [path, link] = [join(folder, name), join(folder, `link-${name}`)];
      await writeFile(path, 'before', { mode: 0o640 });
      await symlink(path, link);
      const before = await open(path);
      recorded.exportChromeTrace(link);
      // Who has the old file open still reads it.
      expect(await before.readFile('utf8')).toBe('before');
      await before.close();
      const bytes = await readFile(path);
      const text = name.endsWith('.gz') ? gunzipSync(bytes) : bytes;
      expect(JSON.parse(text.toString()).traceEvents.length).toBeGreaterThan(0);
      expect((await stat(path)).mode & 0o777).toBe(0o640);
      expect((await readdir(folder)).sort()).toEqual([`link-${name}`, name].sort());
      // A folder cannot be replaced by a file.
      expect(() => recorded.exportChromeTrace(folder)).toThrow(RangeError);
      expect((await readdir(folder)).length).toBe(2);
    },
  );
});

it('says nothing of what is freed and older than the profile, unless asked', () => {
  const code = `
    import { Generator, linearizeSync, Model, nn, profile } from 'torch-curvature';
    const model = Model.sequential([nn.linear(4, 64), nn.tanh(), nn.linear(64, 1)]);
    const problem = { model, params: model.init(), x: new Generator(0).randn([256, 4]) };
    const lin = linearizeSync(problem, { engine: 'autograd' });
    await profile(async () => lin.dispose());`;
  const said = (env: NodeJS.ProcessEnv) =>
    spawnSync(process.execPath, ['--input-type=module', '-e', code], {
      cwd: import.meta.dirname,
      encoding: 'utf8',
      env: { ...process.env, ...env },
    }).stderr;
  expect(said({})).toBe('');
  expect(said({ TORCH_CPP_LOG_LEVEL: 'WARNING' })).toContain('before the profiling started');
});
