/** The code of the pages compiles, and the reference is complete. */
import { spawnSync } from 'node:child_process';
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import ts from 'typescript';
import { expect, it, onTestFinished } from 'vitest';
import * as exported from '../../lib/index.ts';

const ROOT = join(import.meta.dirname, '../..');

/** What the snippets of the pages take as given, each of which a snippet may also define. */
const GIVEN = `
import { ${Object.keys(exported).join(', ')} } from 'torch-curvature';
import type { FloatArray, Tensor } from 'torch-curvature';
declare const model: Model, lin: Linearization, A: LinearOperator;
declare const params: FloatArray, v: FloatArray, V: FloatArray, gradient: FloatArray;
declare const x: Tensor, xNew: Tensor, t: Tensor, u: Tensor;
declare const k: number, N: number;
`;

async function snippetsOf(page: string): Promise<string[]> {
  const text = await readFile(join(ROOT, `scripts/docs/${page}.md`), 'utf8');
  const snippets = Array.from(text.matchAll(/^```ts\n(.*?)^```$/gms), ([, code]) => code!);
  expect(snippets.length).toBeGreaterThan(4);
  return snippets;
}

/** Blocks of their own, or each in the one before, whose names it sees. */
const apart = (code: readonly string[]) => code.map((each) => `{\n${each}}\n`).join('');
const nested = (code: readonly string[]) =>
  `${code.map((each) => `{\n${each}`).join('')}${'}'.repeat(code.length)}\n`;

it('the TypeScript of the pages compiles', { timeout: 120_000 }, async () => {
  const pages = {
    'guide.ts': GIVEN + apart(await snippetsOf('guide')),
    'export.ts': GIVEN + nested(await snippetsOf('export')),
    'distributed.ts': GIVEN + nested(await snippetsOf('distributed')),
    'wrong.ts': `${GIVEN}{ const s: string = await cg(A, v); }`,
  };
  expect(complaints(pages)).toEqual([expect.stringMatching(/^wrong\.ts: .*string/)]);
});

/** What tsc says of modules within this package. */
function complaints(modules: Readonly<Record<string, string>>): string[] {
  const { config } = ts.readConfigFile(join(ROOT, 'tsconfig.json'), ts.sys.readFile);
  const { options } = ts.parseJsonConfigFileContent(config, ts.sys, ROOT);
  const files = new Map(Object.entries(modules).map(([name, code]) => [join(ROOT, name), code]));
  const host = ts.createCompilerHost(options);
  const { readFile, fileExists } = host;
  host.readFile = (name) => files.get(name) ?? readFile(name);
  host.fileExists = (name) => files.has(name) || fileExists(name);
  const program = ts.createProgram([...files.keys()], options, host);
  // What they import is checked by the linter.
  const sources = [...files.keys()].map((name) => program.getSourceFile(name)!);
  const found = sources.flatMap((source) => [
    ...program.getSyntacticDiagnostics(source),
    ...program.getSemanticDiagnostics(source),
  ]);
  return found.map(({ file, start = 0, messageText }) => {
    const code = file?.text ?? '';
    const line = code.slice(code.lastIndexOf('\n', start - 1) + 1).split('\n', 1)[0];
    return `${basename(file?.fileName ?? '')}: ${line}: ${ts.flattenDiagnosticMessageText(messageText, '\n')}`;
  });
}

it('npm run docs makes the reference without warnings', { timeout: 120_000 }, async () => {
  const out = await mkdtemp(join(tmpdir(), 'torch-curvature-'));
  onTestFinished(() => rm(out, { recursive: true, force: true }));
  const typedoc = join(ROOT, 'node_modules/typedoc/bin/typedoc');
  const { status, stdout, stderr } = spawnSync(process.execPath, [typedoc, '--out', out], {
    cwd: ROOT,
    encoding: 'utf8',
  });
  expect(stdout + stderr).not.toMatch(/warning|error/);
  expect(status).toBe(0);
  expect(await readFile(join(out, 'functions/index.eigsh.html'), 'utf8')).toContain('re-orthogonalization');
  expect(await readdir(join(out, 'documents'))).toEqual([
    'command-line.html',
    'distributed.html',
    'export.html',
    'guide.html',
    'install.html',
    'mathematics.html',
    'supported.html',
    'zoo.html',
  ]);
});
