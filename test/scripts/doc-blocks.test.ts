/** The code of the README and of the pages, run as it stands: a block may build on the ones before it in its file. */
import { spawnSync } from 'node:child_process';
import { copyFile, cp, mkdir, readdir, readFile, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { dump } from 'npyjs';
import ts from 'typescript';
import { describe, expect, it, onTestFinished, vi } from 'vitest';
import { runProcess, temporaryFolder } from '../cli/run.ts';

const ROOT = join(import.meta.dirname, '../..');
const MODEL = 'test/fixtures/models/mlp';
/** To tell a hang from a busy machine. */
const HANG = { timeout: 300_000 };

async function blocks(file: string, language: string): Promise<string[]> {
  const text = await readFile(join(ROOT, file), 'utf8');
  return Array.from(text.matchAll(/^```(\w+)\n(.*?)^```$/gms))
    .filter(([, tag]) => tag === language)
    .map(([, , code]) => code!);
}

/** A folder with the package, a model and its weights, as a reader would have them. */
async function readersFolder(): Promise<string> {
  const folder = await temporaryFolder();
  await mkdir(join(folder, 'node_modules'));
  await symlink(ROOT, join(folder, 'node_modules/torch-curvature'));
  await copyFile(join(ROOT, `${MODEL}.pt2`), join(folder, 'model.pt2'));
  return folder;
}

/**
 * One module of all blocks: each inside the one before, so that it sees its names and may use them anew. `given[i]` is what
 * block i takes as given.
 */
function program(code: readonly string[], given: Readonly<Record<number, string>>): string {
  const imports = new Map<string, Set<string>>();
  const bodies = code.map((block) =>
    block.replaceAll(/^import \{ (.*) \} from '(.*)';$/gm, (_, names: string, from: string) => {
      const known = imports.get(from) ?? new Set();
      for (const name of names.split(', ')) known.add(name);
      imports.set(from, known);
      return '';
    }),
  );
  const head = Array.from(
    imports,
    ([from, names]) => `import { ${[...names].join(', ')} } from '${from}';\n`,
  );
  const nested = bodies.map((body, i) => `{\n${given[i] ?? ''}\n{\n${body}\nconsole.log('ran ${i}');\n`);
  return `${head.join('')}${nested.join('')}${'}}\n'.repeat(bodies.length)}`;
}

function runModule(folder: string, code: string) {
  return spawnSync(process.execPath, ['--input-type=module', '-e', code], {
    cwd: folder,
    encoding: 'utf8',
    timeout: HANG.timeout - 10_000,
  });
}

const ran = (count: number) => Array.from({ length: count }, (_, i) => `ran ${i}`);
const printedRuns = (stdout: string) => stdout.split('\n').filter((line) => /^ran \d+$/.test(line));

describe('README', () => {
  it('its JavaScript runs', HANG, async () => {
    const code = await blocks('README.md', 'js');
    expect(code.length).toBeGreaterThanOrEqual(4);
    const folder = await readersFolder();
    // Node 20 and 22 cannot parse it, and this has to run where they are.
    for (const block of code) expect(block).not.toMatch(/^\s*(await )?using /m);
    const operators = code.findIndex((block) => block.includes("Model.load('model.pt2')"));
    const given = {
      [operators]: `
        const data = JSON.parse((await import('node:fs')).readFileSync('${join(ROOT, MODEL)}.json', 'utf8'));
        const x = { data: Float64Array.from(data.inputs[0].data), shape: data.inputs[0].shape };
        const target = { data: Int32Array.from({ length: x.shape[0] }, (_, i) => i % 2), shape: [x.shape[0]] };
        const v = Float64Array.from(data.v);
        const u = { data: Float64Array.from(data.output.data), shape: data.output.shape };`,
    };
    const { status, stdout, stderr } = runModule(folder, program(code, given));
    expect(stderr).toBe('');
    expect(status).toBe(0);
    expect(printedRuns(stdout)).toEqual(ran(code.length));
    const numbers = (stdout.split('ran 0')[0]!.match(/-?\d+\.\d+/g) ?? []).map(Number);
    expect(numbers).toHaveLength(6); // of the on-the-fly and of the dense product
    for (let i = 0; i < 3; i++) expect(numbers[i]! / numbers[i + 3]!).toBeCloseTo(1, 4);
    expect(JSON.parse(await readFile(join(folder, 'trace.json'), 'utf8')).traceEvents.length).toBeGreaterThan(
      0,
    );
  });

  it('its commands that take no minutes run', HANG, async () => {
    const all = await commands('README.md');
    const quick = all.filter(([name]) => name !== 'bench');
    expect(quick.map(([name]) => name)).toEqual([
      ...['info', 'matvec', 'eigs', 'trace', 'spectrum', 'train', 'completion'],
    ]);
    const { folder, product } = await dataFolder();
    await runAll(quick, folder);
    const out = await readFile(join(folder, 'out.npy'));
    const values = new Float64Array(out.buffer.slice(out.byteOffset + out.length - 8 * product.length));
    for (let i = 0; i < product.length; i++) expect(values[i]).toBeCloseTo(product[i]!, 10);
    // Those of bench are right up to their options.
    for (const command of all.filter(([name]) => name === 'bench')) {
      expect((await runProcess([...command, '--help'], { cwd: folder })).code).toBe(0);
    }
  });
});

describe('command line', () => {
  it('its commands run, and each trains further', HANG, async () => {
    const all = await commands('scripts/docs/command-line.md');
    expect(all.length).toBeGreaterThanOrEqual(9);
    const { folder } = await dataFolder();
    await runAll(all, folder);
    const { initialLoss, finalLoss } = JSON.parse(await readFile(join(folder, 'more.json'), 'utf8'));
    expect(initialLoss).toBeLessThan(1e-3);
    expect(finalLoss).toBeLessThan(initialLoss);
  });
});

/** The commands of the package in a page. */
async function commands(file: string): Promise<string[][]> {
  return (await blocks(file, 'sh'))
    .flatMap((block) => block.split('\n'))
    .map((line) => line.replace(/#.*/, '').trim())
    .filter((line) => line.startsWith('npx torch-curvature '))
    .map((line) => line.split(/ +/).slice(2));
}

async function runAll(all: readonly string[][], cwd: string): Promise<void> {
  for (const command of all)
    expect(await runProcess(command, { cwd })).toMatchObject({ code: 0, stderr: '' });
}

/** A folder with a model and data for commands, and the product JᵀJ v of these. */
async function dataFolder(): Promise<{ folder: string; product: number[] }> {
  const folder = await temporaryFolder();
  const { inputs, output, v, product } = JSON.parse(await readFile(join(ROOT, `${MODEL}.json`), 'utf8'));
  const npy = (data: number[], shape: number[]) => new Uint8Array(dump(Float64Array.from(data), shape));
  const targets = output.data.map((each: number, i: number) => each + Math.sin(i));
  await copyFile(join(ROOT, `${MODEL}.pt2`), join(folder, 'net.pt2'));
  await writeFile(join(folder, 'x.npy'), npy(inputs[0].data, inputs[0].shape));
  await writeFile(join(folder, 'y.npy'), npy(targets, output.shape));
  await writeFile(join(folder, 'v.npy'), npy(v, [v.length]));
  return { folder, product };
}

describe('guide', () => {
  it('its TypeScript runs', HANG, async () => {
    const code = await blocks('scripts/docs/guide.md', 'ts');
    expect(code.length).toBeGreaterThanOrEqual(5);
    const folder = await readersFolder();
    await writeFile(join(folder, 'weights.safetensors'), safetensors());
    await copyFile(join(ROOT, 'test/fixtures/losses/student-t-of-one.pt2'), join(folder, 'loss.pt2'));
    const given = {
      1: `const N = 6;
        const { data: v } = new Generator(1).randn([params.length]);
        const x = new Generator(2).randn([N, 4]);
        const u = new Generator(3).randn([N, 1]);`,
      2: `const k = 2;
        const t = { data: new Int32Array(N), shape: [N] };
        const V = new Generator(4).randn([params.length, k]).data;`,
      3: 'const gradient = v;',
      4: 'const t = new Generator(5).randn([N, 1]);',
      7: `const t = { data: new Int32Array(N), shape: [N] };
        const xNew = new Generator(6).randn([3, 4]);`,
    };
    await expectRuns(folder, code, given);
  });
});

describe('several machines', () => {
  it('its TypeScript runs, on one', HANG, async () => {
    const code = await blocks('scripts/docs/distributed.md', 'ts');
    expect(code.length).toBeGreaterThanOrEqual(5);
    const launched = { RANK: '0', WORLD_SIZE: '1', MASTER_ADDR: '127.0.0.1' };
    for (const [name, value] of Object.entries(launched)) vi.stubEnv(name, value);
    onTestFinished(() => void vi.unstubAllEnvs());
    await expectRuns(await readersFolder(), code, {});
  });
});

/** The page about exporting, whose Python blocks write the files that its other blocks read. */
describe('export', () => {
  const FILES = join(ROOT, 'test/fixtures/export');
  const python = pythonWithTorch();

  it('its TypeScript runs, on what its Python wrote before', HANG, async () => {
    const code = await blocks('scripts/docs/export.md', 'ts');
    expect(code.length).toBeGreaterThanOrEqual(8);
    const folder = await readersFolder();
    await cp(FILES, folder, { recursive: true });
    await expectRuns(folder, code, {});
  });

  it.skipIf(python === undefined)(
    `its Python runs, and its TypeScript on what it writes${python ? '' : ' (skipped: no Python with PyTorch; PYTHON names one)'}`,
    HANG,
    async () => {
      const folder = await readersFolder();
      const script = join(ROOT, 'scripts/reference/export.py');
      const { status, stderr } = spawnSync(python!, [script, folder], {
        encoding: 'utf8',
        timeout: HANG.timeout,
      });
      expect(stderr).toBe('');
      expect(status).toBe(0);
      const written = (await readdir(folder)).filter((name) => /\.(pt2|safetensors)$/.test(name));
      const kept = (await readdir(FILES)).filter((name) => name !== 'expected.json');
      expect(written.sort()).toEqual(kept.sort());
      await expectRuns(folder, await blocks('scripts/docs/export.md', 'ts'), {});
    },
  );
});

/** A Python that can run the page about exporting. */
function pythonWithTorch(): string | undefined {
  const code = 'import torch, safetensors; assert torch.__version__ >= "2.13"';
  return [process.env.PYTHON, 'python3'].find(
    (name) => name !== undefined && spawnSync(name, ['-c', code]).status === 0,
  );
}

/** Runs TypeScript blocks that take every export of the package as given. */
async function expectRuns(folder: string, code: readonly string[], given: Readonly<Record<number, string>>) {
  const names = Object.keys(await import('../../lib/index.ts'));
  const source = `import { ${names.join(', ')} } from 'torch-curvature';\n${program(code, given)}`;
  const { outputText } = ts.transpileModule(source, {
    compilerOptions: { target: ts.ScriptTarget.ES2022, module: ts.ModuleKind.ESNext },
  });
  const { status, stdout, stderr } = runModule(folder, outputText);
  expect(stderr).toBe('');
  expect(status).toBe(0);
  expect(printedRuns(stdout)).toEqual(ran(code.length));
}

/** The state dict of the guide's first model, all zeros. */
function safetensors(): Uint8Array {
  const shapes = { '0.weight': [64, 4], '0.bias': [64], '2.weight': [1, 64], '2.bias': [1] };
  let end = 0;
  const header = Object.entries(shapes).map(([name, shape]) => {
    const begin = end;
    end += 4 * shape.reduce((product, size) => product * size, 1);
    return [name, { dtype: 'F32', shape, data_offsets: [begin, end] }];
  });
  const json = Buffer.from(JSON.stringify(Object.fromEntries(header)));
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(BigInt(json.length));
  return Buffer.concat([length, json, Buffer.alloc(end)]);
}
