/** The package as npm leaves it in a project, but for a compiler that has the addon ready. */
import { type ChildProcess, spawn } from 'node:child_process';
import { cpSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { onTestFinished } from 'vitest';
import { readRecord } from '../../lib/addon/build-record.ts';

export const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const FAKE_CMAKE = fileURLToPath(new URL('fake-cmake.mjs', import.meta.url));
const ADDON = join(ROOT, 'build/Release/torch_curvature.node');
/** Enough of the package to be built and loaded. */
const PARTS = ['package.json', 'dist', 'scripts/setup', 'CMakeLists.txt'];

export interface Ending {
  code: number | null;
  signal: NodeJS.Signals | null;
  stdout: string;
  stderr: string;
}

export class Installation {
  /** With a space, as folders of people have. */
  readonly project = mkdtempSync(join(tmpdir(), 'torch curvature '));
  readonly #modules = join(this.project, 'node_modules');
  readonly package = join(this.#modules, 'torch-curvature');
  readonly release = join(this.package, 'build/Release');
  readonly addon = join(this.release, 'torch_curvature.node');
  /** How the next commands run; the libtorch is the one that the addon of this repository was built with. */
  env: NodeJS.ProcessEnv;

  constructor(env: NodeJS.ProcessEnv = {}) {
    onTestFinished(() => rmSync(this.project, { recursive: true, force: true }));
    for (const part of PARTS) cpSync(join(ROOT, part), join(this.package, part), { recursive: true });
    mkdirSync(join(this.package, 'native'));
    for (const name of ['a.cc', 'b.cc']) writeFileSync(join(this.package, 'native', name), '');
    for (const name of ['yauzl', 'pend'])
      symlinkSync(join(ROOT, 'node_modules', name), join(this.#modules, name));
    for (const name of ['node-addon-api', 'node-api-headers']) {
      mkdirSync(join(this.#modules, name));
      writeFileSync(join(this.#modules, name, 'package.json'), '{"version": "1.0.0"}');
    }
    this.env = { PATH: this.#programs(), FAKE_ADDON: ADDON, LIBTORCH: builtWith(), ...env };
  }

  /** A PATH of programs that are found and no more. */
  #programs(): string {
    const bin = join(this.project, 'bin');
    mkdirSync(bin);
    const put = (name: string, line: string) =>
      writeFileSync(join(bin, name), `#!/bin/sh\n${line}\n`, { mode: 0o755 });
    put('node', `exec '${process.execPath}' "$@"`);
    put('cmake', `exec '${process.execPath}' '${FAKE_CMAKE}' "$@"`);
    for (const name of ['c++', 'make']) put(name, 'echo 3.25.1');
    return bin;
  }

  /** What npm runs when the package is installed. */
  build(env: NodeJS.ProcessEnv = {}, node: readonly string[] = []): Promise<Ending> {
    return ended(this.startBuild(env, node));
  }

  startBuild(env: NodeJS.ProcessEnv = {}, node: readonly string[] = []): ChildProcess {
    const script = join(this.package, 'scripts/setup/build.mjs');
    return spawn(process.execPath, [...node, script], { env: { ...this.env, ...env } });
  }

  /** Runs a line of a shell, as a message shows it. */
  shell(line: string): Promise<Ending> {
    return ended(spawn('/bin/sh', ['-c', line], { env: this.env, cwd: this.project }));
  }

  /** Loads the package in a process of its own, which prints the version of its libtorch and where that lies. */
  load(node: readonly string[] = [], uid?: number, env: NodeJS.ProcessEnv = {}): Promise<Ending> {
    const script = `const { info } = require('torch-curvature');
      try { console.log(info().libtorchVersion, info().libtorchPath); }
      catch (error) { console.log(error.code, error.message); process.exitCode = 1; }`;
    writeFileSync(join(this.project, 'load.cjs'), script);
    const options = {
      cwd: this.project,
      env: { PATH: this.env.PATH, ...env },
      ...(uid === undefined ? {} : { uid }),
    };
    return ended(spawn(process.execPath, [...node, 'load.cjs'], options));
  }
}

/** Folder of the libtorch that this repository's addon was built with. */
export function builtWith(): string {
  return readRecord(join(ROOT, 'build/Release/libtorch.json')).path;
}

export function ended(child: ChildProcess): Promise<Ending> {
  let stdout = '';
  let stderr = '';
  child.stdout?.on('data', (text) => {
    stdout += text;
  });
  child.stderr?.on('data', (text) => {
    stderr += text;
  });
  return new Promise((resolve) => {
    child.on('close', (code, signal) => resolve({ code, signal, stdout, stderr }));
  });
}
