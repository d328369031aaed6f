import { cp, mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, it, onTestFinished } from 'vitest';
import { loadAddon, readRecord } from '../../lib/addon/load.ts';

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

const failure = (code: string, message: RegExp) =>
  expect.objectContaining({ name: 'TorchCurvatureError', code, message: expect.stringMatching(message) });

it('loads what was built and knows its libtorch', () => {
  const { addon, libtorch } = loadAddon();
  expect(libtorch).toEqual(readRecord(join(BUILD, RECORD)));
  expect(addon.info().compiledVersion).toMatch(/^\d+\.\d+\.\d+/);
});

it('says how to build an addon that is missing', async () => {
  const folder = await copyOfBuild();
  await rm(join(folder, ADDON));
  expect(() => loadAddon(folder)).toThrow(
    failure('ERR_ADDON_MISSING', /torch_curvature\.node.*npm rebuild torch-curvature/),
  );
});

it.each([0, 40, 1000, 100_000])('refuses an addon cut to %i bytes', async (length) => {
  const folder = await copyOfBuild();
  const file = join(folder, ADDON);
  await writeFile(file, (await readFile(file)).subarray(0, length));
  expect(() => loadAddon(folder)).toThrow(failure('ERR_ADDON_MISSING', /is truncated.*rebuild/));
});

it.skipIf(process.platform !== 'linux')('refuses a libtorch with a truncated library', async () => {
  const folder = await copyOfBuild();
  const lib = join(folder, 'libtorch/lib');
  await mkdir(lib, { recursive: true });
  const bytes = await readFile(join(folder, ADDON));
  await writeFile(join(lib, 'libc10.so'), bytes);
  await writeFile(join(lib, 'libtorch_cpu.so'), bytes.subarray(0, bytes.length >> 1));
  const record = { ...readRecord(join(folder, RECORD)), path: join(folder, 'libtorch') };
  await writeFile(join(folder, RECORD), JSON.stringify(record));
  expect(() => loadAddon(folder)).toThrow(failure('ERR_LIBTORCH_MISSING', /libtorch_cpu\.so .*truncated/));
});

it('refuses something that is no addon', async () => {
  const folder = await copyOfBuild();
  await writeFile(join(folder, ADDON), 'once upon a time '.repeat(10));
  expect(() => loadAddon(folder)).toThrow(failure('ERR_ADDON_MISSING', /could not be loaded .*rebuild/s));
});

it.each(['', '{"path": 3', undefined])('refuses a record that is damaged or missing: %j', async (content) => {
  const folder = await copyOfBuild();
  if (content === undefined) await rm(join(folder, RECORD));
  else await writeFile(join(folder, RECORD), content);
  expect(() => loadAddon(folder)).toThrow(failure('ERR_ADDON_MISSING', /libtorch\.json/));
});

it('names the libtorch that is gone', async () => {
  const folder = await copyOfBuild();
  await writeFile(join(folder, RECORD), '{"path": "/gone/libtorch", "version": "2.13.0", "variant": "cpu"}');
  expect(() => loadAddon(folder)).toThrow(failure('ERR_LIBTORCH_MISSING', /2\.13\.0 in \/gone\/libtorch/));
});

it.skipIf(process.platform !== 'linux')('names the library of libtorch that is missing', async () => {
  const folder = await copyOfBuild();
  const file = join(folder, ADDON);
  const bytes = await readFile(file);
  bytes.write('libtorch_cpX.so', bytes.indexOf('libtorch_cpu.so'), 'latin1');
  await writeFile(file, bytes);
  expect(() => loadAddon(folder)).toThrow(
    failure('ERR_LIBTORCH_MISSING', /libtorch_cpX\.so could not be loaded/),
  );
});

it('refuses a libtorch of another version than it was built for', async () => {
  const folder = await copyOfBuild();
  const other = join(folder, 'libtorch');
  await mkdir(join(other, 'lib'), { recursive: true });
  await mkdir(join(other, 'include/torch/headeronly'), { recursive: true });
  await writeFile(join(other, 'include/torch/headeronly/version.h'), '#define TORCH_VERSION \\\n  "2.7.1"\n');
  const record = { ...readRecord(join(folder, RECORD)), path: other };
  await writeFile(join(folder, RECORD), JSON.stringify(record));
  expect(() => loadAddon(folder)).toThrow(failure('ERR_LIBTORCH_VERSION', /holds version 2\.7\.1/));
});
