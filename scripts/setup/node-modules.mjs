import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { SetupError } from './failure.mjs';
import { run, say } from './process.mjs';

/**
 * Installs the npm packages when they are not those of package-lock.json. Imports only what comes with Node, since
 * nothing else may be there yet.
 * @param {string} root
 */
export async function installPackages(root) {
  if (await upToDate(root)) return;
  say('Installing npm packages …');
  // Without scripts: npm would build the addon because of the install script, and the set-up does that itself.
  const args = ['ci', '--ignore-scripts', '--no-audit', '--no-fund'];
  const npm = process.env.npm_execpath?.endsWith('.js')
    ? [process.execPath, [process.env.npm_execpath, ...args]]
    : [process.platform === 'win32' ? 'npm.cmd' : 'npm', args];
  const { code, output } = await run(npm[0], npm[1], { cwd: root, supervised: true });
  if (code !== 0) throw new SetupError(`npm ci failed:\n${output.trim()}`);
}

/**
 * Compares npm's record of what it installed with what the lock file asks for.
 * @param {string} root
 */
async function upToDate(root) {
  const wanted = await packagesOf(join(root, 'package-lock.json'));
  const installed = await packagesOf(join(root, 'node_modules', '.package-lock.json'));
  // Optional packages are those of other platforms, mostly.
  return Object.entries(wanted).every(
    ([path, { version, optional }]) => path === '' || optional || installed[path]?.version === version,
  );
}

/**
 * @param {string} file
 * @returns {Promise<Record<string, { version: string, optional?: boolean }>>}
 */
async function packagesOf(file) {
  const text = await readFile(file, 'utf8').catch(() => '{}');
  return JSON.parse(text).packages ?? {};
}
