/** Models from files of PyTorch. */
import { type DType, describe } from '../../arrays.ts';
import { checkDType, checkOneOf, positive } from '../../check.ts';
import { outOfRange, TorchCurvatureError, wrongType } from '../../errors.ts';
import { OptionNames, record } from '../../options.ts';
import { damaged, unsupported } from './failure.ts';
import { withHelp } from './help.ts';
import type { LoadedModel } from './loaded-model.ts';
import { otherFile, pickledFile } from './other-files.ts';
import { readPt2 } from './pt2.ts';
import { isExportedProgram } from './pt2-archive.ts';
import type { Reading, ReadLimits } from './reading.ts';
import { type FileSource, readSource } from './source.ts';
import { isTorchScript, readTorchScript, type TorchScriptOptions } from './torchscript.ts';
import { Archive } from './zip.ts';

export type { LoadedModel } from './loaded-model.ts';
export type { FileSource } from './source.ts';

/** Of `Model.load`. */
export interface LoadOptions extends ReadLimits {
  /**
   * Your word that the file comes from someone you trust. An exported program (`.pt2`) is data and needs none; TorchScript
   * (`.pt`) is code, which PyTorch itself runs while loading.
   */
  trusted?: boolean;
  /** Operators that its graph may have; a million by default. */
  maxNodes?: number;
  /**
   * Which result the products are of, where the model returns several: its key in a dictionary, or its number in a tuple.
   * Required there.
   */
  output?: string | number;
  /**
   * Converts all parameters and constants to this precision, and computes everything in it, whatever the graph says: for
   * models in half precision, or in several. Of exported programs.
   */
  dtype?: DType;
  /**
   * Which inputs are truth values or bytes, by name (`model.inputs`): `{ mask: 'bool' }`. Both are given as `Uint8Array`s, and
   * TorchScript does not tell which an input is of. Exported programs do, and take no such option.
   */
  inputs?: Readonly<Record<string, 'bool' | 'uint8'>>;
}
export const LOAD_OPTIONS = new OptionNames<LoadOptions>({
  trusted: true,
  maxBytes: true,
  maxMemory: true,
  maxNesting: true,
  maxNodes: true,
  output: true,
  dtype: true,
  inputs: true,
});

/** Nodes of a graph where the caller sets no limit; large language models have some ten thousand. */
const MOST_NODES = 1_000_000;

/**
 * Reads a model of PyTorch, from `torch.export.save` or `torch.jit.save`; which one, the content tells.
 *
 * @throws TypeError when `source` is neither a path nor bytes
 * @throws TorchCurvatureError `ERR_MODEL_LOAD` for a file that is missing, damaged or of another kind,
 * `ERR_UNSUPPORTED_OP` for a model with operators that cannot be part of a program, `ERR_UNTRUSTED_MODEL`
 */
export function readModelFile(source: FileSource, options: LoadOptions = {}): Promise<LoadedModel> {
  const { trusted = false, maxNodes = MOST_NODES, output, dtype, inputs: given, ...limits } = options;
  if (typeof trusted !== 'boolean') {
    throw wrongType(`trusted should be true or false, got ${describe(trusted)}`);
  }
  positive(maxNodes, 'maxNodes');
  checkOutput(output);
  if (dtype !== undefined) checkDType(dtype);
  const inputs = given === undefined ? undefined : checkInputKinds(given);
  const read = (bytes: Uint8Array, reading: Reading) =>
    readModel(bytes, { trusted, maxNodes, output, dtype, inputs }, reading).catch((error: unknown) => {
      throw withHelp(error);
    });
  return readSource(source, 'the model file', read, limits);
}

function checkOutput(output: unknown): void {
  if (output === undefined || typeof output === 'string') return;
  if (typeof output !== 'number') {
    throw wrongType(`output should be the name or the number of a result, got ${describe(output)}`);
  }
  if (!Number.isSafeInteger(output) || output < 0)
    throw outOfRange(`output should be a whole number of at least 0, got ${output}`);
}

/** A copy. */
function checkInputKinds(given: unknown): Readonly<Record<string, 'bool' | 'uint8'>> {
  const kinds = Object.entries(record(given, 'inputs'));
  return Object.fromEntries(
    kinds.map(([name, kind]) => [name, checkOneOf(kind, ['bool', 'uint8'] as const, `inputs.${name}`)]),
  );
}

async function readModel(
  bytes: Uint8Array,
  { trusted, ...options }: TorchScriptOptions & { trusted: boolean },
  reading: Reading,
): Promise<LoadedModel> {
  if (!Archive.isZip(bytes)) {
    throw otherFile(bytes);
  }
  const archive = await Archive.open(bytes, reading);
  if (isExportedProgram(archive)) {
    if (options.inputs !== undefined)
      throw unsupported('the option inputs is for TorchScript: an exported program says what it takes');
    return readPt2(archive, reading, options);
  }
  if (isTorchScript(archive)) {
    if (!trusted) {
      throw new TorchCurvatureError(
        'ERR_UNTRUSTED_MODEL',
        'it is TorchScript, which is code that PyTorch runs while loading. Export the model as data, which is safe to ' +
          "load from anyone: torch.export.save(torch.export.export(model, (x,), dynamic_shapes={'x': {0: " +
          "torch.export.Dim('batch')}}), 'model.pt2'); or, if you trust whoever wrote the file: " +
          'Model.load(path, { trusted: true })',
      );
    }
    return readTorchScript(archive, bytes, reading, options);
  }
  throw (
    pickledFile(archive) ??
    damaged('it holds neither an exported program (.pt2) nor a TorchScript module (.pt)')
  );
}
