/** What a process of its own says is what a thread says, which other tests start: nothing of native code's comes with it. */
import { expect, it } from 'vitest';
import { filesOf } from './files.ts';
import { run, runProcess } from './run.ts';

const MODEL = ['--model', 'model.json', '--x', 'x.npy', '--params', 'params.npy'];
const COMMANDS: Record<string, string[]> = {
  info: [],
  matvec: [...MODEL, '--v', 'v.npy', '--out', 'product.npy'],
  eigs: [...MODEL, '--k', '1'],
  trace: MODEL,
  spectrum: MODEL,
  train: [...MODEL, '--loss', 'mse', '--target', 'target.npy', '--steps', '2', '--out', 'trained.npy'],
  completion: ['bash'],
  bnech: [],
};
const DURATION = /\d+(\.\d+)? m?s\b/g;

it.each(Object.entries(COMMANDS))('%s', async (command, args) => {
  const { folder } = await filesOf();
  const outcomes = [run, runProcess].map(async (start) => {
    const { code, stdout, stderr } = await start([command, ...args], { cwd: folder });
    return { code, stdout: stdout.replaceAll(DURATION, ''), stderr };
  });
  const [inThread, inProcess] = await Promise.all(outcomes);
  expect(inProcess).toEqual(inThread);
});
