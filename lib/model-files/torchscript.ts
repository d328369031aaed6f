/** Models that `torch.jit.save` wrote. */
import { translated } from '../errors.ts';
import { addon } from '../native.ts';
import { unsupported } from './failure.ts';
import type { LoadedModel } from './loaded-model.ts';
import { unpickle } from './pickle.ts';
import { storage } from './state-dict.ts';
import type { Archive } from './zip.ts';

const MAIN = /^([^/]+\/)data\.pkl$/;

export function isTorchScript({ names }: Archive): boolean {
  return names.some((name) => MAIN.test(name)) && names.some((name) => /^[^/]+\/constants\.pkl$/.test(name));
}

/**
 * `archive` is that of `bytes`. What libtorch takes on trust is looked at first: checksums, lengths of storages, code
 * that would run while loading.
 */
export function readTorchScript(archive: Archive, bytes: Uint8Array): LoadedModel {
  archive.verify();
  for (const name of archive.names) {
    if (!/\.(py|pkl)$/.test(name)) continue;
    const content = Buffer.from(archive.read(name));
    if (content.includes('__setstate__'))
      throw unsupported(`${name} runs code of its own while it is loaded`);
    if (content.includes('__torch__.torch.classes'))
      throw unsupported(`${name} needs a class written in C++`);
  }
  const [, root] = MAIN.exec(archive.names.find((name) => MAIN.test(name))!)!;
  for (const part of ['data', 'constants']) checkStorages(archive, root!, part);
  const { program, parameters, frozen } = translated(() => addon().loadTorchScript(bytes));
  return { kind: 'torchscript', program, initialParameters: parameters, frozen };
}

/** libtorch reads as many elements of a storage as the pickle says, also where the file has fewer. */
function checkStorages(archive: Archive, root: string, part: string): void {
  unpickle(archive.read(`${root}${part}.pkl`), {
    persistent: (id) => storage(archive, `${root}${part}/`, id),
    call: (name, args) => (name === 'collections.OrderedDict' ? new Map() : args[0]),
  });
}
