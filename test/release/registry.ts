/** A registry of npm packages on this machine that has what was published to it and asks no other. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { freePort } from '../support/free-port.ts';
import { must } from './run.ts';
import type { Tools } from './tools.ts';

const CONFIGURATION = `
storage: ./storage
auth: { htpasswd: { file: ./htpasswd, max_users: -1 } }
uplinks: {}
packages: { '**': { access: $all, publish: $all } }
max_body_size: 1gb
log: { type: stdout, level: warn }
`;

export class Registry {
  readonly #folder: string;
  readonly #tools: Tools;
  readonly #server: ChildProcess;

  private constructor(
    readonly url: string,
    folder: string,
    tools: Tools,
    server: ChildProcess,
  ) {
    this.#folder = folder;
    this.#tools = tools;
    this.#server = server;
  }

  static async start(folder: string, tools: Tools): Promise<Registry> {
    mkdirSync(folder, { recursive: true });
    writeFileSync(join(folder, 'config.yaml'), CONFIGURATION);
    const url = `http://127.0.0.1:${await freePort()}/`;
    const args = [tools.bin('verdaccio'), '--config', 'config.yaml', '--listen', url];
    const server = spawn(process.execPath, args, { cwd: folder, stdio: 'ignore' });
    const registry = new Registry(url, folder, tools, server);
    await registry.#answers();
    return registry;
  }

  async #answers(): Promise<void> {
    for (let trials = 0; trials < 600; trials++) {
      if (this.#hasEnded()) break;
      const response = await fetch(`${this.url}-/ping`).catch(() => undefined);
      if (response?.ok) return;
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
    throw new Error('The registry does not answer.');
  }

  #hasEnded(): boolean {
    return this.#server.exitCode !== null || this.#server.signalCode !== null;
  }

  async publish(tarball: string): Promise<void> {
    const userconfig = join(this.#folder, 'npmrc');
    writeFileSync(userconfig, `registry=${this.url}\n${this.url.replace('http:', '')}:_authToken=anyone\n`);
    const args = ['publish', tarball, '--userconfig', userconfig, '--ignore-scripts', '--loglevel=error'];
    await must(process.execPath, [this.#tools.bin('npm'), ...args], { cwd: this.#folder });
  }

  /** Publishes a package as it was installed. */
  async republish(installed: string): Promise<void> {
    const args = ['pack', installed, '--ignore-scripts', '--silent', '--pack-destination', this.#folder];
    const name = await must(process.execPath, [this.#tools.bin('npm'), ...args], { cwd: this.#folder });
    await this.publish(join(this.#folder, name.trim().split('\n').at(-1)!));
  }

  async stop(): Promise<void> {
    if (this.#hasEnded()) return;
    this.#server.kill();
    await once(this.#server, 'exit');
  }
}

/** The packages that a released one needs, and those that they need, by their folders here. */
export function runtimeDependencies(root: string, { dependencies = {} }: Manifest): string[] {
  return Object.keys(dependencies).flatMap((name) => {
    const folder = join(root, 'node_modules', name);
    const manifest = JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8')) as Manifest;
    return [folder, ...runtimeDependencies(root, manifest)];
  });
}

interface Manifest {
  dependencies?: Record<string, string>;
}
