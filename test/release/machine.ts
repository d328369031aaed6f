/** A machine of a user: no compiler, no Python, a user who owns nothing but a home, and one registry. */
import {
  chmodSync,
  chownSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { must, type Outcome, run } from './run.ts';

const NOBODY = 65534;
/** What package managers need of a system. */
const PROGRAMS = { sh: '/bin/sh', env: '/usr/bin/env', node: process.execPath };

export class Machine {
  readonly folder = mkdtempSync(join(tmpdir(), 'torch-curvature-machine-'));
  readonly home = join(this.folder, 'home');
  readonly #bin = join(this.folder, 'bin');
  /** Someone else, where this process may become that. */
  readonly #user = process.getuid?.() === 0 ? { uid: NOBODY, gid: NOBODY } : {};

  constructor() {
    chmodSync(this.folder, 0o755);
    for (const folder of [this.home, this.#bin]) mkdirSync(folder);
    for (const [name, target] of Object.entries(PROGRAMS)) symlinkSync(target, join(this.#bin, name));
    this.give(this.home);
  }

  /** Makes a file the user's. */
  give(file: string): void {
    if (this.#user.uid !== undefined) chownSync(file, this.#user.uid, this.#user.gid!);
  }

  /** A new folder of the user's with these files. */
  project(name: string, files: Record<string, string> = {}): string {
    const folder = join(this.home, name);
    mkdirSync(folder);
    this.give(folder);
    this.write(folder, { 'package.json': JSON.stringify({ name: 'project', private: true }), ...files });
    return folder;
  }

  write(folder: string, files: Record<string, string>): void {
    for (const [name, text] of Object.entries(files)) {
      writeFileSync(join(folder, name), text);
      this.give(join(folder, name));
    }
  }

  run(cwd: string, program: string, args: readonly string[], env: NodeJS.ProcessEnv = {}): Promise<Outcome> {
    return run(program, args, { cwd, ...this.#user, env: this.#env(env) });
  }

  must(cwd: string, program: string, args: readonly string[], env: NodeJS.ProcessEnv = {}): Promise<string> {
    return must(program, args, { cwd, ...this.#user, env: this.#env(env) });
  }

  #env(env: NodeJS.ProcessEnv): NodeJS.ProcessEnv {
    return { PATH: this.#bin, HOME: this.home, TMPDIR: this.home, CI: '1', ...env };
  }

  /** Puts a program written in JavaScript on the PATH. */
  provide(name: string, file: string): void {
    writeFileSync(join(this.#bin, name), `#!/bin/sh\nexec node '${file}' "$@"\n`, { mode: 0o755 });
  }

  programs(): string[] {
    return readdirSync(this.#bin).sort();
  }

  remove(): void {
    rmSync(this.folder, { recursive: true, force: true });
  }
}
