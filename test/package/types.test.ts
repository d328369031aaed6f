/** The declarations that the package ships: what they are, and that they keep what `types.ts` promises. */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import ts from 'typescript';
import { expect, it } from 'vitest';

const ROOT = join(import.meta.dirname, '../..');
const DECLARATIONS = join(ROOT, 'dist/index.d.cts');
const PROMISES = join(import.meta.dirname, 'types.ts');

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
  );
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
  expect(complaints((text) => text.replace('toEqualTypeOf<F32>()', 'toEqualTypeOf<F64>()'))).not.toEqual([]);
  expect(complaints((text) => text.replace('// @ts-expect-error', '//'))).not.toEqual([]);
});
