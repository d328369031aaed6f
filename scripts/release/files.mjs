import { readFile, writeFile } from 'node:fs/promises';
import { SetupError } from '../setup/failure.mjs';
import { recordFiles } from '../setup/manifest.mjs';
import { run } from '../setup/process.mjs';

/** @param {string} file */
export async function readJson(file) {
  return JSON.parse(await readFile(file, 'utf8'));
}

/**
 * @param {string} file
 * @param {unknown} value
 */
export function writeJson(file, value) {
  return writeFile(file, `${JSON.stringify(value, null, 2)}\n`);
}

/**
 * What files of a package are. Their times are not: package managers set these anew.
 * @param {string} folder
 * @param {readonly string[]} names
 * @returns {import('../setup/manifest.mjs').Manifest}
 */
export function recordPackaged(folder, names) {
  const entries = Object.entries(recordFiles(folder, names));
  return Object.fromEntries(entries.map(([name, { bytes, sha256 }]) => [name, { bytes, sha256 }]));
}

/**
 * Runs a program that has to succeed.
 * @param {string} program
 * @param {readonly string[]} args
 * @param {{ cwd?: string, env?: NodeJS.ProcessEnv }} [options]
 * @returns {Promise<string>} what it printed
 */
export async function must(program, args, options) {
  const { code, stdout, output } = await run(program, args, options);
  if (code === 0) return stdout;
  throw new SetupError(`${[program, ...args].join(' ')} failed:\n${output.trim()}`);
}
