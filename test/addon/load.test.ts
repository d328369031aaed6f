import { cp, mkdir, mkdtemp, readFile, rm, truncate, utimes, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, expect, it, onTestFinished, vi } from 'vitest';
import { type BuildRecord, readRecord } from '../../lib/addon/build-record.ts';
import { loadAddon } from '../../lib/addon/load.ts';
import { recordFiles } from '../../scripts/setup/manifest.mjs';

const BUILD = fileURLToPath(new URL('../../build/Release/', import.meta.url));
const ADDON = 'torch_curvature.node';
const RECORD = 'libtorch.json';

/** A copy of the build that a test may damage. */
async function copyOfBuild() {
  const folder = await mkdtemp(join(tmpdir(), 'torch-curvature-'));
  onTestFinished(() => rm(folder, { recursive: true, force: true }));
  for (const file of [ADDON, RECORD]) await cp(join(BUILD, file), join(folder, file));
  return folder;
}

// A libtorch that the environment names would stand in for the one of the record.
beforeEach(() => void vi.stubEnv('LIBTORCH', undefined));
afterEach(() => void vi.unstubAllEnvs());

/** Changes the record of a copy. */
async function rewrite(folder: string, changes: Partial<BuildRecord>) {
  const record = { ...readRecord(join(folder, RECORD)), ...changes };
  await writeFile(join(folder, RECORD), JSON.stringify(record));
}

/** A copy of the build whose libtorch is a folder of one library, recorded as it is. */
async function copyWithLibtorch() {
  const folder = await copyOfBuild();
  const path = join(folder, 'libtorch');
  await mkdir(join(path, 'lib'), { recursive: true });
  const library = join(path, 'lib/libc10.so');
  await writeFile(library, 'machine code');
  await rewrite(folder, { path, libraries: recordFiles(path, ['lib/libc10.so']) });
  return { folder, path, library };
}

const failure = (code: string, message: RegExp) =>
  expect.objectContaining({ name: 'TorchCurvatureError', code, message: expect.stringMatching(message) });

it('loads what was built and knows its libtorch', () => {
  const { addon, libtorch } = loadAddon();
  expect(libtorch).toEqual(readRecord(join(BUILD, RECORD)));
  expect(addon.info().compiledVersion).toMatch(/^\d+\.\d+\.\d+/);
});

it('loads a copy, whatever the times of its files', async () => {
  const folder = await copyOfBuild();
  await utimes(join(folder, ADDON), 0, 0);
  expect(loadAddon(folder).libtorch.path).toBe(loadAddon().libtorch.path);
});

it('says how to build an addon that is missing', async () => {
  const folder = await copyOfBuild();
  await rm(join(folder, ADDON));
  expect(() => loadAddon(folder)).toThrow(
    failure('ERR_ADDON_MISSING', /torch_curvature\.node is missing: run `node ".*build\.mjs"`/),
  );
});

it.each([0, 40, 1000, 100_000])('refuses an addon cut to %i bytes', async (length) => {
  const folder = await copyOfBuild();
  await truncate(join(folder, ADDON), length);
  expect(() => loadAddon(folder)).toThrow(
    failure('ERR_ADDON_MISSING', new RegExp(`is truncated: ${length} of .*run \`node`)),
  );
});

it('refuses an addon that was altered without changing its size', async () => {
  const folder = await copyOfBuild();
  const file = join(folder, ADDON);
  const bytes = await readFile(file);
  bytes.fill(0, bytes.length >> 1, (bytes.length >> 1) + 4096);
  await writeFile(file, bytes);
  await utimes(file, 0, 0);
  expect(() => loadAddon(folder)).toThrow(
    failure('ERR_ADDON_MISSING', /torch_curvature\.node was altered: run/),
  );
});

it.each([
  [
    'missing',
    (file: string) => rm(file),
    /lib\/libc10\.so of libtorch .* is missing since the addon was built/,
  ],
  ['truncated', (file: string) => truncate(file, 5), /is truncated: 5 of 12 bytes are left/],
  ['longer', (file: string) => writeFile(file, 'more machine code'), /has 17 bytes, not 12/],
  [
    'altered',
    (file: string) => writeFile(file, 'MACHINE CODE').then(() => utimes(file, 0, 0)),
    /was altered/,
  ],
])('refuses a libtorch with a library that is %s', async (_, spoil, message) => {
  const { folder, library } = await copyWithLibtorch();
  await spoil(library);
  expect(() => loadAddon(folder)).toThrow(failure('ERR_LIBTORCH_MISSING', message));
});

it('refuses something that is no addon', async () => {
  const folder = await copyOfBuild();
  await writeFile(join(folder, ADDON), 'once upon a time '.repeat(10));
  await rewrite(folder, { addon: recordFiles(folder, [ADDON]) });
  expect(() => loadAddon(folder)).toThrow(failure('ERR_ADDON_MISSING', /could not be loaded .*run `node/s));
});

it.each(['', '{"path": 3', '{"path": "/a/libtorch"}', undefined])(
  'refuses a record that is damaged or missing: %j',
  async (content) => {
    const folder = await copyOfBuild();
    if (content === undefined) await rm(join(folder, RECORD));
    else await writeFile(join(folder, RECORD), content);
    expect(() => loadAddon(folder)).toThrow(failure('ERR_ADDON_MISSING', /libtorch\.json.*run `node/));
  },
);

it('names the libtorch that is gone', async () => {
  const folder = await copyOfBuild();
  vi.stubEnv('TORCH_CURVATURE_CACHE', folder);
  await rewrite(folder, { path: '/gone/libtorch' });
  expect(() => loadAddon(folder)).toThrow(
    failure('ERR_LIBTORCH_MISSING', /2\.\d+\.\d+ in \/gone\/libtorch, but that is missing/),
  );
});

it.skipIf(process.platform !== 'linux')('names the library of libtorch that is missing', async () => {
  const folder = await copyOfBuild();
  const file = join(folder, ADDON);
  const bytes = await readFile(file);
  bytes.write('libtorch_cpX.so', bytes.indexOf('libtorch_cpu.so'), 'latin1');
  await writeFile(file, bytes);
  await rewrite(folder, { addon: recordFiles(folder, [ADDON]) });
  expect(() => loadAddon(folder)).toThrow(
    failure('ERR_LIBTORCH_MISSING', /libtorch_cpX\.so could not be loaded/),
  );
});

it('refuses a libtorch of another version than it was built for', async () => {
  const { folder, path } = await copyWithLibtorch();
  await mkdir(join(path, 'include/torch/headeronly'), { recursive: true });
  await writeFile(join(path, 'include/torch/headeronly/version.h'), '#define TORCH_VERSION \\\n  "2.7.1"\n');
  expect(() => loadAddon(folder)).toThrow(failure('ERR_LIBTORCH_VERSION', /holds version 2\.7\.1/));
});
