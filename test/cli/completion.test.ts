/** Completion as each shell does it. */
import { spawnSync } from 'node:child_process';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import { operatorName } from '../../lib/cli/operator.ts';
import { METHOD_NAMES } from '../../lib/cli/train/methods.ts';
import { MODEL_OPERATORS, type ModelOperator } from '../../lib/operators/kinds.ts';
import { run, temporaryFolder } from './run.ts';

const COMMANDS = ['bench', 'info', 'matvec', 'eigs', 'trace', 'spectrum', 'train', 'completion'];
const OPERATORS = Object.keys(MODEL_OPERATORS).map((kind) => operatorName(kind as ModelOperator));

const isThere = (shell: string) => spawnSync(shell, ['-c', 'exit 0']).status === 0;
const skip = (shell: string) => (isThere(shell) ? '' : ` (skipped: no ${shell} on PATH)`);

let options: Record<string, string[]>;
beforeAll(async () => {
  const of = async (name: string) => {
    const { stdout } = await run([name, '--help']);
    return Array.from(stdout.matchAll(/^ {2}(?:-\w, )?(--[\w-]+)/gm), ([, long]) => long!);
  };
  options = Object.fromEntries(
    await Promise.all(COMMANDS.map(async (name) => [name, await of(name)] as const)),
  );
});

const scripts = new Map<string, Promise<string>>();
/** What the command prints for a shell: the same each time. */
function scriptOf(shell: string): Promise<string> {
  const print = async () => {
    const { code, stdout, stderr } = await run(['completion', shell]);
    expect(stderr).toBe('');
    expect(code).toBe(0);
    return stdout;
  };
  if (!scripts.has(shell)) scripts.set(shell, print());
  return scripts.get(shell)!;
}

/** What bash offers for the last of these words. */
async function bash(words: readonly string[], files: readonly string[] = []) {
  const folder = await temporaryFolder();
  await writeFile(join(folder, 'script'), await scriptOf('bash'));
  for (const file of files) await writeFile(join(folder, file), '');
  const line = ['torch-curvature', ...words].map((word) => `'${word}'`).join(' ');
  const code = `source ./script; COMP_WORDS=(${line}); COMP_CWORD=${words.length}; _torch_curvature; printf '%s\\n' "\${COMPREPLY[@]}"`;
  const { stdout, stderr } = spawnSync('bash', ['--norc', '-c', code], { cwd: folder, encoding: 'utf8' });
  expect(stderr).toBe('');
  return stdout.split('\n').filter((word) => word !== '');
}

describe.skipIf(!isThere('bash'))(`bash${skip('bash')}`, () => {
  it('commands, and options of each', async () => {
    expect((await bash([''])).filter((word) => !word.startsWith('-'))).toEqual([...COMMANDS, 'help']);
    expect(await bash(['s'])).toEqual(['spectrum']);
    for (const command of COMMANDS) {
      expect(options[command]!.length).toBeGreaterThan(1);
      expect(await bash([command, '--'])).toEqual(options[command]);
    }
  });

  it('names that an option takes', async () => {
    expect(await bash(['matvec', '--operator', ''])).toEqual(OPERATORS);
    expect(await bash(['matvec', '--operator', 'g'])).toEqual([
      'gramian',
      'gramian-imaginary',
      'gauss-newton',
    ]);
    expect(await bash(['matvec', '--operator', '=', 'hes'])).toEqual(['hessian']);
    expect(await bash(['matvec', '--operator', '='])).toEqual(OPERATORS);
    expect(await bash(['trace', '--method', 'hutch+'])).toEqual(['hutch++']);
    expect(await bash(['completion', 'z'])).toEqual(['zsh']);
    expect(await bash(['train', '--method', ''])).toEqual(METHOD_NAMES);
    expect(await bash(['train', '--method', 'n'])).toEqual(['natural-gradient', 'newton-cg']);
    expect(await bash(['help', 'tr'])).toEqual(['trace', 'train']);
  });

  it('files where an option takes one, and nothing where only the caller knows', async () => {
    const files = ['a model.pt2', 'x.npy'];
    expect((await bash(['matvec', '--model', ''], files)).sort()).toEqual(['a model.pt2', 'script', 'x.npy']);
    expect(await bash(['eigs', '--x', 'x'], files)).toEqual(['x.npy']);
    expect(await bash(['train', '--out', 'x'], files)).toEqual(['x.npy']);
    expect(await bash(['eigs', '--k', ''], files)).toEqual([]);
  });
});

describe.skipIf(!isThere('fish'))(`fish${skip('fish')}`, () => {
  const fish = async (line: string) => {
    const folder = await temporaryFolder();
    await writeFile(join(folder, 'script'), await scriptOf('fish'));
    const code = `source ./script; complete -C'torch-curvature ${line}'`;
    const { stdout, stderr } = spawnSync('fish', ['--no-config', '-c', code], {
      cwd: folder,
      encoding: 'utf8',
    });
    expect(stderr).toBe('');
    return stdout.split('\n').flatMap((word) => (word === '' ? [] : [word.split('\t')[0]!]));
  };

  it('commands, options and names', async () => {
    expect((await fish('')).sort()).toEqual([...COMMANDS, 'help'].sort());
    for (const command of COMMANDS)
      expect((await fish(`${command} --`)).sort()).toEqual([...options[command]!].sort());
    expect(await fish('matvec --operator g')).toEqual(['gauss-newton', 'gramian', 'gramian-imaginary']);
    expect(await fish('completion z')).toEqual(['zsh']);
  });
});

describe.skipIf(!isThere('zsh'))(`zsh${skip('zsh')}`, () => {
  it('commands, options and names', async () => {
    const folder = await temporaryFolder();
    await writeFile(join(folder, '_torch-curvature'), await scriptOf('zsh'));
    // What the completion system is asked for is written down instead of shown.
    const code = (words: string, current: number) => `
      compdef() { }
      _describe() { print -l -- \${(P)2} }
      _arguments() { print -l -- "$@" }
      source ./_torch-curvature
      words=(torch-curvature ${words}); CURRENT=${current}
      _torch_curvature`;
    const zsh = (words: string, current: number) => {
      const { stdout, stderr } = spawnSync('zsh', ['-f', '-c', code(words, current)], {
        cwd: folder,
        encoding: 'utf8',
      });
      expect(stderr).toBe('');
      return stdout.split('\n').filter((line) => line !== '');
    };
    const first = zsh("''", 2).map((line) => line.split(':')[0]!);
    expect(first).toEqual(expect.arrayContaining(COMMANDS));
    for (const command of COMMANDS) {
      const longs = zsh(`${command} ''`, 3).flatMap((line) => /^\*?(--[\w-]+)/.exec(line)?.[1] ?? []);
      expect(longs).toEqual(options[command]);
    }
    expect(zsh("matvec ''", 3).join('\n')).toContain(`:operator:(${OPERATORS.join(' ')})`);
  });
});

it.each(['bash', 'zsh', 'fish'])('the script for %s names every command and option', async (shell) => {
  const script = await scriptOf(shell);
  for (const command of COMMANDS) {
    expect(script).toContain(command);
    for (const long of options[command]!)
      expect(script).toContain(shell === 'fish' ? `-l ${long.slice(2)} ` : long);
  }
});
