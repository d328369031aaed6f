/** What becomes of a command whose output nobody reads, or that cannot be written. */
import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { readFile, symlink } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { filesOf } from './files.ts';
import { temporaryFolder } from './run.ts';

const CLI = fileURLToPath(new URL('../../dist/cli.mjs', import.meta.url));
const SMALL = ['bench', '--hidden', '8', '--batch', '64', '--repeat', '1', '--threads', '1'];

/** Runs the command in a shell that goes on so after it, and tells how it ended. */
async function piped(args: readonly string[], then: string, cwd?: string) {
  const folder = cwd ?? (await temporaryFolder());
  const { stdout, stderr } = spawnSync(
    'sh',
    ['-c', `{ "$@"; echo $? > status; } ${then}`, 'sh', process.execPath, CLI, ...args],
    { cwd: folder, encoding: 'utf8' },
  );
  return { stdout, stderr, code: Number(await readFile(join(folder, 'status'), 'utf8')) };
}

describe('where nobody reads the output', () => {
  it.each([
    [['info'], '| true'],
    [['--help'], '| true'],
    [['completion', 'bash'], '| true'],
    [['eigs', '--help'], '| true'],
    [['nope'], '2>&1 | true'],
  ])('%j ends without a word, as other programs do: %s', async (args, then) => {
    expect(await piped(args, then)).toEqual({ stdout: '', stderr: '', code: 141 });
  });

  it('bench ends once its first line was read', async () => {
    const { stdout, stderr, code } = await piped(SMALL, '| head -n 1');
    expect(stdout).toMatch(/^JᵀJ v of [^\n]+\n$/);
    expect({ stderr, code }).toEqual({ stderr: '', code: 141 });
  });

  it('trace has written its file by then, and a file may be the output', async () => {
    const { folder, json } = await filesOf();
    const given = ['--model', 'model.json', '--params', 'params.npy', '--x', 'x.npy'];
    const traced = await piped(['trace', ...given, '--json', 'r.json'], '| true', folder);
    expect(traced).toEqual({ stdout: '', stderr: '', code: 141 });
    expect((await json('r.json')).command).toBe('trace');
    const product = ['matvec', ...given, '--v', 'v.npy', '--out', '/dev/stdout'];
    expect(await piped(product, '| true', folder)).toEqual({ stdout: '', stderr: '', code: 141 });
  });
});

it.skipIf(!existsSync('/dev/full'))('what was found is shown though its file cannot be written', async () => {
  const { folder } = await filesOf();
  await symlink('/dev/full', join(folder, 'r.json'));
  const given = ['--model', 'model.json', '--params', 'params.npy', '--x', 'x.npy', '--json', 'r.json'];
  for (const [command, shown] of [
    ['trace', /trace \S+, standard error/],
    ['eigs', /eigenvalue/],
    ['spectrum', /eigenvalues/],
  ] as const) {
    const { stdout, stderr, code } = await piped([command, ...given], '', folder);
    expect(stdout).toMatch(shown);
    expect({ told: stderr.includes('ENOSPC'), code }).toEqual({ told: true, code: 1 });
  }
});

it.skipIf(!existsSync('/dev/full'))('a full disk is told in a line', async () => {
  const { stderr, code } = await piped(['info'], '> /dev/full');
  expect(stderr).toMatch(/^torch-curvature: standard output cannot be written: ENOSPC[^\n]*\n$/);
  expect(code).toBe(1);
});
