/**
 * The readers of files, each as a function of bytes that a fuzzer makes up. One returns when the reader gave a value or
 * refused the bytes as callers are told; whatever else is thrown is a finding.
 */
import { ERROR_CODES } from '../../../lib/errors.ts';
import { loadNpy, loadSafetensors, Model } from '../../../lib/index.ts';
import { Reading } from '../../../lib/model/files/reading.ts';
import { checkNesting } from '../../../lib/model/files/script-nesting.ts';
import { Archive } from '../../../lib/model/files/zip.ts';
import { archiveAround, framed } from './archives.ts';

const BRACE = 0x7b;

type Target = (bytes: Uint8Array) => Promise<void>;

function reader(read: (bytes: Uint8Array) => unknown): Target {
  return async (bytes) => {
    try {
      await read(bytes);
    } catch (error) {
      const { code } = Object(error) as { code?: unknown };
      const told = typeof code === 'string' && Object.hasOwn(ERROR_CODES, code);
      if (!told) throw error;
    }
  };
}

/** The directory of an archive, and the content of its entries. */
export const zip = reader((bytes) => Archive.open(bytes, new Reading()));

/** A whole exported program, as it comes from somebody. */
export const pt2 = reader((bytes) => Model.load(bytes));

/** The pickle of a state dict, in an exported program that is otherwise in order. */
export const pickle = reader(async (bytes) => Model.load(await archiveAround('pickle', bytes)));

/** The graph of an exported program that is otherwise in order. */
export const graph = reader(async (bytes) => Model.load(await archiveAround('graph', bytes)));

/** The code of a TorchScript module, before libtorch parses it. */
export const nesting = reader((bytes) =>
  checkNesting(new TextDecoder().decode(bytes), 'code.py', new Reading()),
);

/** A whole file, or its header alone, whose length is then right. */
export const safetensors = reader((bytes) => loadSafetensors(bytes[0] === BRACE ? framed(bytes) : bytes));

export const npy = reader((bytes) => loadNpy(bytes));
