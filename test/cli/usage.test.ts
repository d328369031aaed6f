import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import packageJson from '../../package.json' with { type: 'json' };
import { someOf } from '../support/counts.ts';
import { run, temporaryFolder } from './run.ts';

it.each([
  [
    ['--help'],
    /bench.*info.*matvec.*eigs.*trace.*spectrum.*train.*completion.*130 or 143 interrupted.*141 nobody reads/s,
  ],
  [['bench', '--help'], /--hidden.*--layers.*--batch.*--sort-by.*--sweep.*--html.*--json.*--trace/s],
  [['info', '--help'], /--json/],
  [['matvec', '--help'], /--model.*--x.*--operator.*--loss.*--v.*--transpose.*--out/s],
  [['eigs', '--help'], /--operator.*--k.*--which.*--tolerance.*--vectors.*--json.*--html/s],
  [['trace', '--help'], /--operator.*--seed.*--method.*--samples.*--json/s],
  [['spectrum', '--help'], /--operator.*--probes.*--steps.*--sigma.*--out.*--json.*--html/s],
  [
    ['train', '--help'],
    /--loss.*--target.*--method.*--damping.*--radius.*--steps.*--batch-size.*--out.*--json.*--html/s,
  ],
  [['completion', '--help'], /<shell>.*bash.*zsh.*fish/s],
])('%j explains itself', async (args, content) => {
  const { code, stdout, stderr } = await run(args);
  expect(stdout).toMatch(content);
  expect(stdout).not.toContain('measure');
  expect(stderr).toBe('');
  expect(code).toBe(0);
});

it('knows its version', async () => {
  expect(await run(['--version'])).toEqual({ code: 0, stdout: `${packageJson.version}\n`, stderr: '' });
});

const WRONG: [string[], string][] = [
  [[], 'Usage:'],
  [['bnech'], "unknown command 'bnech'\n(Did you mean bench?)"],
  [['bench', '--hiden', '8'], "unknown option '--hiden'\n(Did you mean --hidden?)"],
  [['bench', '--hiden=8'], '(Did you mean --hidden?)'],
  [['matvec', '--modl', 'm.json'], "unknown option '--modl'\n(Did you mean --model?)"],
  [['bench', '--hidden', '0'], 'at least 1'],
  [['bench', '--hidden', '1e3'], 'whole number'],
  [['bench', '--hidden', '99999999999999999999'], 'whole number'],
  [['bench', '--seed', '-1'], 'at least 0'],
  [['bench', '--dtype', 'float16'], 'float32, float64'],
  [['bench', '--device', 'tpu'], "'cpu', 'cuda'"],
  [['bench', '--sort-by', 'beauty'], 'beauty'],
  [['bench', '--sweep', 'width=8'], 'hidden, batch, layers'],
  [['bench', '--sweep', 'hidden=8,,16'], 'at least 1'],
  [['bench', '--html', 'report.html'], '--sweep'],
  [['bench', '--json', 'r.html'], '--json r.html: what is written is .json, not .html; call it r.json'],
  [['bench', '--sweep', 'hidden=8', '--html', 'r.npz'], 'call it r.html'],
  [['bench', '--sweep', 'hidden=8', '--html', 'a', '--json', './a'], '--html and --json name the same file'],
  [['matvec', '--model', 'm.json'], "'--x <file>' not specified"],
  [['info', 'extra'], 'too many arguments'],
  [['spectrm'], "unknown command 'spectrm'\n(Did you mean spectrum?)"],
  [['eigs', '--wich', 'LA'], "unknown option '--wich'\n(Did you mean --which?)"],
  [['eigs', '--operator', 'gauss_newton'], '(Did you mean gauss-newton?)'],
  [['matvec', '--operator', 'jacobain'], '(Did you mean jacobian?)'],
  [['trace', '--operator', 'ggn'], '(Did you mean gauss-newton?)'],
  [['trace', '--operator', 'identity'], 'Allowed choices are gramian, ntk, gauss-newton, hessian'],
  [['trace', '--method', 'hutchpp'], '(Did you mean hutch++?)'],
  [['matvec', '--loss', 'cross-entropy'], '(Did you mean cross_entropy?)'],
  [['eigs', '--which', 'largest'], 'LM, SM, LA, SA, BE'],
  [['eigs', '--tolerance', '-1'], 'at least 0'],
  [['eigs', '--k', '0'], 'at least 1'],
  [['spectrum', '--sigma', '0'], 'above 0'],
  [['spectrum', '--sigma', 'wide'], 'at least 0'],
  [['eigs', '--model', 'm.pt2'], "'--x <file>' not specified"],
  [['eigs', '--model', 'm.pt2', '--x', 'x.npy', '--out', 'e.json'], 'call it e.npy'],
  [['trace', '--model', 'm.pt2', '--x', 'x.npy', '--operator', 'hessian'], 'give --loss and --target'],
  [['train', '--method', 'lm'], '(Did you mean levenberg-marquardt?)'],
  [['train', '--method', 'newton'], '(Did you mean newton-cg?)'],
  [['train', '--method', 'adam'], 'Allowed choices are levenberg-marquardt, natural-gradient, newton-cg.'],
  [['trian'], "unknown command 'trian'\n(Did you mean train?)"],
  [['train', '--step', '3'], '(Did you mean --steps?)'],
  [['train', '--steps', '0'], 'at least 1'],
  [['train', '--damping', '0'], 'above 0'],
  [['completion'], "missing required argument 'shell'"],
  [['completion', 'fsh'], '(Did you mean fish?)'],
];

it.each(someOf(WRONG, 5))('%j is wrong usage', async (args, reason) => {
  const { code, stdout, stderr } = await run(args);
  expect(stderr).toContain(reason);
  expect(stdout).toBe('');
  expect(code).toBe(2);
});

it('reports a failed run in one line, and its stack when asked', async () => {
  const folder = await temporaryFolder();
  const args = ['matvec', '--model', join(folder, 'none.json'), '--x', 'x', '--v', 'v', '--out', 'o'];
  const plain = await run(args);
  expect(plain.code).toBe(1);
  expect(plain.stderr).toMatch(/^torch-curvature: .*none\.json.*\(ERR_MODEL_LOAD\)\n$/);
  for (const debug of [
    await run([...args, '--debug']),
    await run(args, { env: { TORCH_CURVATURE_DEBUG: '1' } }),
  ]) {
    expect(debug.code).toBe(1);
    expect(debug.stderr).toMatch(/\n {4}at .*\ncaused by ENOENT/s);
  }
});

describe('a file that cannot be written is found out before any work', () => {
  const matvec = ['matvec', '--model', 'none.json', '--x', 'none.npy', '--v', 'none.npy', '--out'];
  it.each([
    [[...matvec, 'a.npz'], 2, '--out a.npz: what is written is .npy, not .npz; call it a.npy'],
    [[...matvec, '-'], 2, '--out -: name a file, which may be /dev/stdout'],
    [['eigs', ...matvec.slice(1, 5), '--json', '-'], 2, '--json -: name a file, which may be /dev/stdout'],
    [[...matvec, 'a.PT'], 2, 'call it a.npy'],
    [[...matvec, 'folder.npy'], 1, '--out folder.npy cannot be written: it is a folder (EISDIR)'],
    [[...matvec, 'file/a.npy'], 1, 'file is no folder (ENOTDIR)'],
    [[...matvec, 'none/a.npy'], 1, 'there is no folder none (ENOENT)'],
    [['bench', '--json', 'folder.npy'], 2, 'what is written is .json'],
    [['bench', '--json', 'folder'], 1, '--json folder cannot be written: it is a folder (EISDIR)'],
    [['bench', '--json', 'file/r.json'], 1, '--json file/r.json cannot be written'],
    [['bench', '--trace', 'file'], 1, '--trace file cannot be written'],
    [['bench', '--trace', 'traces'], 1, 'dense.json cannot be written: it is a folder (EISDIR)'],
    [['bench', '--sweep', 'hidden=8', '--html', 'file/r.html'], 1, '--html file/r.html cannot be written'],
    [['bench', '--json', `${'long'.repeat(100)}.json`], 1, 'the name is too long (ENAMETOOLONG)'],
  ])('%j', async (args, exitCode, reason) => {
    const cwd = await temporaryFolder();
    await mkdir(join(cwd, 'folder.npy'));
    await mkdir(join(cwd, 'folder'));
    await mkdir(join(cwd, 'traces/dense.json'), { recursive: true });
    await writeFile(join(cwd, 'file'), 'kept');
    const { code, stdout, stderr } = await run(args, { cwd });
    expect(stderr).toContain(reason);
    expect(stdout).toBe('');
    expect(code).toBe(exitCode);
    expect(await readFile(join(cwd, 'file'), 'utf8')).toBe('kept');
    expect((await readdir(cwd)).sort()).toEqual(['file', 'folder', 'folder.npy', 'traces']);
  });

  it('looking leaves what is there, and nothing that was not', async () => {
    const cwd = await temporaryFolder();
    await writeFile(join(cwd, 'old.npy'), 'kept');
    for (const out of ['old.npy', 'new.npy', 'new']) {
      const { code, stderr } = await run([...matvec, out], { cwd });
      expect(stderr).toContain('none.json');
      expect(code).toBe(1);
    }
    expect(await readFile(join(cwd, 'old.npy'), 'utf8')).toBe('kept');
    expect(await readdir(cwd)).toEqual(['old.npy']);
  });
});
