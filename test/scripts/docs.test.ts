/** The code of the pages compiles, and the reference is complete. */
import { spawnSync } from 'node:child_process';
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
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

it('the TypeScript of the guide compiles', { timeout: 120_000 }, async () => {
  const apart = (await snippetsOf('guide')).map((code) => `{\n${code}}\n`).join('');
  expect(await complaints(GIVEN + apart)).toEqual([]);
  expect(await complaints(`${GIVEN}{ const s: string = await cg(A, v); }`)).toHaveLength(1);
});

it('the TypeScript of the page about exporting compiles', { timeout: 120_000 }, async () => {
  const snippets = await snippetsOf('export');
  // Each sees the names of those before it.
  const nested = `${snippets.map((code) => `{\n${code}`).join('')}${'}'.repeat(snippets.length)}\n`;
  expect(await complaints(GIVEN + nested)).toEqual([]);
});

it('the TypeScript of the page about several machines compiles', { timeout: 120_000 }, async () => {
  const snippets = await snippetsOf('distributed');
  const nested = `${snippets.map((code) => `{\n${code}`).join('')}${'}'.repeat(snippets.length)}\n`;
  expect(await complaints(GIVEN + nested)).toEqual([]);
});

/** What tsc says of a module within this package. */
async function complaints(code: string): Promise<string[]> {
  const { config } = ts.readConfigFile(join(ROOT, 'tsconfig.json'), ts.sys.readFile);
  const { options } = ts.parseJsonConfigFileContent(config, ts.sys, ROOT);
  const file = join(ROOT, 'snippets.ts');
  const host = ts.createCompilerHost(options);
  const { readFile, fileExists } = host;
  host.readFile = (name) => (name === file ? code : readFile(name));
  host.fileExists = (name) => name === file || fileExists(name);
  const program = ts.createProgram([file], options, host);
  return [...program.getSyntacticDiagnostics(), ...program.getSemanticDiagnostics()].map(
    ({ start = 0, messageText }) => {
      const line = code.slice(code.lastIndexOf('\n', start - 1) + 1).split('\n', 1)[0];
      return `${line}: ${ts.flattenDiagnosticMessageText(messageText, '\n')}`;
    },
  );
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
