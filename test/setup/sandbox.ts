/** A machine for the set-up: a cache, a PATH with a Python that serves made-up wheels, and releases that pin these. */
import { type ChildProcess, spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import {
  chmodSync,
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { onTestFinished } from 'vitest';

const CALL = fileURLToPath(new URL('call.mjs', import.meta.url));
const FAKE_PYTHON = fileURLToPath(new URL('fake-python.mjs', import.meta.url));

/** What stands for a wheel: its files with their texts, as JSON. */
export interface Wheel {
  name: string;
  sha256: string;
}

export interface Outcome {
  code: number | null;
  signal: NodeJS.Signals | null;
  /** What the call returned. */
  libtorch: { path: string; version: string; variant: string } | undefined;
  /** What the set-up said. */
  said: string;
}

/** The files of a libtorch that the set-up looks at, in a folder of this name. */
export function libtorchFiles(folder: string, version = '2.13.0'): Record<string, string> {
  return {
    [`${folder}include/ATen/ATen.h`]: '',
    [`${folder}include/torch/headeronly/version.h`]: `#define TORCH_VERSION \\\n  "${version}"\n`,
    [`${folder}lib/libtorch_cpu.so`]: 'machine code',
    [`${folder}lib/libc10.so`]: 'more of it',
  };
}

export class Sandbox {
  readonly folder = mkdtempSync(join(tmpdir(), 'torch-curvature-setup-'));
  readonly cache = join(this.folder, 'cache');
  readonly index = join(this.folder, 'index');
  readonly #log = join(this.folder, 'calls.log');
  readonly #releases = join(this.folder, 'releases.json');
  readonly #bin = join(this.folder, 'bin');

  constructor() {
    onTestFinished(() => rmSync(this.folder, { recursive: true, force: true }));
    for (const folder of [this.index, this.#bin]) mkdirSync(folder);
    copyFileSync(FAKE_PYTHON, join(this.#bin, 'python3'));
    chmodSync(join(this.#bin, 'python3'), 0o755);
    // The scripts' own `#!/usr/bin/env node`, and nothing else of the real PATH.
    writeFileSync(join(this.#bin, 'node'), `#!/bin/sh\nexec '${process.execPath}' "$@"\n`, { mode: 0o755 });
    this.pin([]);
  }

  /** Lets the set-up download these wheels and no others. */
  pin(wheels: readonly Wheel[], variant: 'cpu' | 'cuda' = 'cpu', diskBytes = 0): void {
    const sources = [['torch==2.13.0+local', '--index-url', 'https://example.org/simple'], ['torch==2.13.0']];
    const release = {
      version: '2.13.0',
      variant,
      sources,
      diskBytes,
      wheels: {} as Record<string, string[]>,
    };
    for (const { name, sha256 } of wheels) release.wheels[name] = ['0'.repeat(64), sha256];
    writeFileSync(this.#releases, JSON.stringify({ [variant]: release }));
  }

  /** Puts a wheel into the index. */
  offer(name: string, files: Record<string, string>): Wheel {
    const content = JSON.stringify(files);
    writeFileSync(join(this.index, name), content);
    return { name, sha256: createHash('sha256').update(content).digest('hex') };
  }

  /** Offers a wheel of PyTorch's CPU build and pins it. */
  offerTorch(): Wheel {
    const wheel = this.offer('torch-2.13.0-cp311-none-any.whl', {
      ...libtorchFiles('torch/'),
      'bin/torchrun': 'serves Python',
      'torch/lib/libtorch_python.so': 'serves Python',
      'torch/nn/functional.py': 'pass',
      'torch/share/cmake/Torch/TorchConfig.cmake': '',
      'torch-2.13.0.dist-info/licenses/LICENSE': 'terms',
    });
    this.pin([wheel]);
    return wheel;
  }

  /** A libtorch folder of the user's. */
  makeLibtorch(name: string, version?: string): string {
    for (const [file, text] of Object.entries(libtorchFiles(`${name}/`, version))) {
      mkdirSync(dirname(join(this.folder, file)), { recursive: true });
      writeFileSync(join(this.folder, file), text);
    }
    return join(this.folder, name);
  }

  /** Starts a part of the set-up, with options of Node.js, as a user, or after what a shell does in its place. */
  start(
    call: 'resolve' | 'toolchain',
    env: NodeJS.ProcessEnv = {},
    { node = [], uid, shell }: { node?: readonly string[]; uid?: number | undefined; shell?: string } = {},
  ): { child: ChildProcess; outcome: Promise<Outcome> } {
    const command = [process.execPath, ...node, CALL, call];
    if (shell !== undefined) command.unshift('/bin/sh', '-c', `${shell}; exec "$@"`, 'sh');
    const child = spawn(command[0]!, command.slice(1), {
      ...(uid === undefined ? {} : { uid }),
      env: {
        PATH: this.#bin,
        TORCH_CURVATURE_CACHE: this.cache,
        FAKE_INDEX: this.index,
        FAKE_LOG: this.#log,
        FAKE_RELEASES: this.#releases,
        ...env,
      },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    let stdout = '';
    let said = '';
    child.stdout.on('data', (text) => {
      stdout += text;
    });
    child.stderr.on('data', (text) => {
      said += text;
    });
    const outcome = new Promise<Outcome>((resolve) => {
      child.on('close', (code, signal) => {
        resolve({ code, signal, said, libtorch: stdout.trim() ? JSON.parse(stdout) : undefined });
      });
    });
    return { child, outcome };
  }

  resolve(env?: NodeJS.ProcessEnv): Promise<Outcome> {
    return this.start('resolve', env).outcome;
  }

  /** The calls of the fake Python so far; of a line that is still being written, nothing. */
  calls(): { pid: number; args: string[]; asked: string[] }[] {
    if (!existsSync(this.#log)) return [];
    return readFileSync(this.#log, 'utf8')
      .split('\n')
      .slice(0, -1)
      .map((line) => JSON.parse(line));
  }

  /** What pip was asked for, call by call. */
  downloads(): string[][] {
    return this.calls()
      .filter(({ args }) => args[2] === 'install')
      .map(({ asked }) => asked);
  }

  cached(): string[] {
    return existsSync(this.cache) ? readdirSync(this.cache).sort() : [];
  }
}
