/** The declarations that the package ships: what they are, and that they keep what `types.ts` promises. */
import { execFile } from 'node:child_process';
import { cp, mkdir, mkdtemp, readFile, rm, symlink } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import ts from 'typescript';
import { expect, it, onTestFinished } from 'vitest';

const ROOT = join(import.meta.dirname, '../..');
const DECLARATIONS = join(ROOT, 'dist/index.d.cts');
const PROMISES = join(import.meta.dirname, 'types.ts');

let before: ts.Program | undefined;

/** What tsc says of `types.ts`, whose `torch-curvature` is what is shipped, with `edit` made to its text. */
function complaints(edit: (text: string) => string = (text) => text): string[] {
  const { config } = ts.readConfigFile(join(ROOT, 'tsconfig.json'), ts.sys.readFile);
  const { options } = ts.parseJsonConfigFileContent(config, ts.sys, ROOT);
  const host = ts.createCompilerHost(options);
  const { readFile } = host;
  host.readFile = (name) => (name === PROMISES ? edit(readFile(name)!) : readFile(name));
  const program = ts.createProgram(
    [PROMISES],
    { ...options, paths: { 'torch-curvature': [DECLARATIONS] } },
    host,
    before,
  );
  before = program;
  return [PROMISES, DECLARATIONS]
    .map((name) => program.getSourceFile(name)!)
    .flatMap((file) => [...program.getSyntacticDiagnostics(file), ...program.getSemanticDiagnostics(file)])
    .map(({ messageText }) => ts.flattenDiagnosticMessageText(messageText, '\n'));
}

/** The declarations without comments, which the reference of the documentation has. */
async function printed(): Promise<string> {
  const text = await readFile(DECLARATIONS, 'utf8');
  const file = ts.createSourceFile('index.d.ts', text, ts.ScriptTarget.Latest);
  const printed = ts.createPrinter({ removeComments: true }).printFile(file);
  // A line for each export, so that a diff says which.
  return printed.replace(
    /^export \{ (.*) \};$/m,
    (_, names: string) => `export {\n${names.replaceAll(', ', ',\n')}\n};`,
  );
}

it('are those of the last report: a change of the public types shows in its diff', async () => {
  await expect(await printed()).toMatchFileSnapshot('api.snapshot');
});

it('can be read by TypeScript before 5.7, whose arrays have no parameter for their memory', async () => {
  expect(await printed()).not.toMatch(/\b(Big)?(Float|Int|Uint)\d+Array<|NoInfer/);
});

it('carry the precision, and refuse what does not fit', { timeout: 120_000 }, () => {
  expect(complaints()).toEqual([]);
  const [wrong, refused] = ['toEqualTypeOf<F32>()', '// @ts-expect-error'];
  const spoilt = complaints((text) => text.replace(wrong, 'toEqualTypeOf<F64>()').replace(refused, '//'));
  expect(spoilt.length).toBeGreaterThanOrEqual(2);
});

it('check strictly in a project of its own, as an ES module, as CommonJS and as both', {
  timeout: 120_000,
}, async () => {
  const project = await mkdtemp(join(tmpdir(), 'torch-curvature-types-'));
  onTestFinished(() => rm(project, { recursive: true }));
  await cp(join(ROOT, 'test/fixtures/consumer'), project, { recursive: true });
  await cp(join(project, 'typed.mts'), join(project, 'typed.cts'));
  await mkdir(join(project, 'node_modules'));
  await symlink(ROOT, join(project, 'node_modules/torch-curvature'));
  const tsc = join(ROOT, 'node_modules/typescript/bin/tsc');
  // Without `skipLibCheck`: what the package declares is checked, too.
  const options = '--noEmit --strict --target es2022 --module nodenext --lib es2022,esnext.disposable,dom';
  const { stdout } = await promisify(execFile)(
    process.execPath,
    [tsc, ...options.split(' '), 'typed.mts', 'typed.cts', 'mixed.mts'],
    { cwd: project },
  ).catch((error) => error);
  expect(stdout).toBe('');
});
