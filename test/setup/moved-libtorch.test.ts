/** The libtorch of a run need not lie where that of the build did: `LIBTORCH`, and a cache that was moved. */
import {
  copyFileSync,
  mkdirSync,
  readdirSync,
  renameSync,
  rmSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { readRecord } from '../../lib/addon/build-record.ts';
import { builtWith, Installation, ROOT } from './installation.ts';

const VERSION = readRecord(join(ROOT, 'build/Release/libtorch.json')).version;

/** A folder with the libraries of the libtorch that this repository's addon was built with. */
function libtorchAt(path: string): string {
  mkdirSync(join(path, 'lib'), { recursive: true });
  const libraries = join(builtWith(), 'lib');
  for (const name of readdirSync(libraries)) symlinkSync(join(libraries, name), join(path, 'lib', name));
  return path;
}

async function builtInstallation(): Promise<Installation> {
  const installation = new Installation();
  await installation.build();
  return installation;
}

describe.skipIf(process.platform === 'win32')('at run time', { timeout: 60_000 }, () => {
  test('LIBTORCH names another copy of the same release', async () => {
    const installation = await builtInstallation();
    const LIBTORCH = libtorchAt(join(installation.project, 'another'));
    const { stdout } = await installation.load([], undefined, { LIBTORCH });
    expect(stdout).toBe(`${VERSION} ${LIBTORCH}\n`);
  });

  test('a release of another version is refused before it is loaded', async () => {
    const installation = await builtInstallation();
    const LIBTORCH = libtorchAt(join(installation.project, 'another'));
    writeFileSync(join(LIBTORCH, 'version.py'), "__version__ = '2.7.1+cpu'\n");
    const { stdout } = await installation.load([], undefined, { LIBTORCH });
    expect(stdout).toMatch(/^ERR_LIBTORCH_VERSION .*holds version 2\.7\.1: unset LIBTORCH/);
  });

  test.each([
    ['is not there', (_: Installation) => '/nowhere', /LIBTORCH: \/nowhere does not exist/],
    ['lacks a library', (i: Installation) => i.project, /LIBTORCH: .* has no lib\/libc10/],
  ])('a folder that %s is refused', async (_, folder, message) => {
    const installation = await builtInstallation();
    const { stdout } = await installation.load([], undefined, { LIBTORCH: folder(installation) });
    expect(stdout).toMatch(/^ERR_LIBTORCH_MISSING/);
    expect(stdout).toMatch(message);
  });

  test('one that would end the process is tried in another', async () => {
    const installation = await builtInstallation();
    const LIBTORCH = libtorchAt(join(installation.project, 'another'));
    const name = `lib/libc10.${process.platform === 'darwin' ? 'dylib' : 'so'}`;
    rmSync(join(LIBTORCH, name));
    copyFileSync(join(builtWith(), name), join(LIBTORCH, name));
    truncateSync(join(LIBTORCH, name), 700_000);
    const { stdout, code, signal } = await installation.load([], undefined, { LIBTORCH });
    expect(stdout).toMatch(
      /^ERR_LIBTORCH_VERSION .*tried in a process of its own, the process ended with SIG/,
    );
    expect({ code, signal }).toEqual({ code: 1, signal: null });
  });

  test('a cache that was moved is found where TORCH_CURVATURE_CACHE says', async () => {
    const installation = new Installation();
    const { project } = installation;
    const cached = join(`libtorch-${VERSION}-cpu`, 'torch');
    const first = libtorchAt(join(project, 'first', cached));
    symlinkSync(join(builtWith(), 'include'), join(first, 'include')); // for the build
    await installation.build({ LIBTORCH: first });
    renameSync(join(project, 'first'), join(project, 'moved'));
    const cache = (name: string) => ({ TORCH_CURVATURE_CACHE: join(project, name) });
    const lost = await installation.load([], undefined, cache('first'));
    expect(lost.stdout).toMatch(/^ERR_LIBTORCH_MISSING .*is missing: put it back, set LIBTORCH/);
    const { stdout } = await installation.load([], undefined, cache('moved'));
    expect(stdout).toBe(`${VERSION} ${join(project, 'moved', cached)}\n`);
  });
});
