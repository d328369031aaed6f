/** Models from files of PyTorch. */
import { describe } from '../arrays.ts';
import { TorchCurvatureError, wrongType } from '../errors.ts';
import { OptionNames } from '../options.ts';
import { damaged } from './failure.ts';
import type { LoadedModel } from './loaded-model.ts';
import { readPt2 } from './pt2.ts';
import { isExportedProgram } from './pt2-archive.ts';
import { type FileSource, readSource } from './source.ts';
import { isTorchScript, readTorchScript } from './torchscript.ts';
import { Archive } from './zip.ts';

export type { LoadedModel, ModelInput } from './loaded-model.ts';
export type { FileSource } from './source.ts';

/** Of `Model.load`. */
export interface LoadOptions {
  /**
   * Whether the file comes from someone you trust. An exported program (`.pt2`) is data; TorchScript (`.pt`) is code, which
   * `false` refuses.
   */
  trusted?: boolean;
}
export const LOAD_OPTIONS = new OptionNames<LoadOptions>({ trusted: true });

/**
 * Reads a model of PyTorch, from `torch.export.save` or `torch.jit.save`; which one, the content tells.
 *
 * @throws TypeError when `source` is neither a path nor bytes
 * @throws TorchCurvatureError `ERR_MODEL_LOAD` for a file that is missing, damaged or of another kind,
 * `ERR_UNSUPPORTED_OP` for a model with operators that cannot be part of a program, `ERR_UNTRUSTED_MODEL`
 */
export function readModelFile(source: FileSource, { trusted }: LoadOptions = {}): Promise<LoadedModel> {
  if (trusted !== undefined && typeof trusted !== 'boolean') {
    throw wrongType(`trusted should be true or false, got ${describe(trusted)}`);
  }
  return readSource(source, 'the model file', (bytes) => readModel(bytes, trusted));
}

async function readModel(bytes: Uint8Array, trusted: boolean | undefined): Promise<LoadedModel> {
  if (!Archive.isZip(bytes)) {
    throw damaged('it is no zip archive, as the files of torch.export.save and torch.jit.save are');
  }
  const archive = await Archive.open(bytes);
  if (isExportedProgram(archive)) return readPt2(archive);
  if (isTorchScript(archive)) {
    if (trusted === false) {
      const message =
        'it is TorchScript, which is code; load it with { trusted: true } if it is from someone you trust';
      throw new TorchCurvatureError('ERR_UNTRUSTED_MODEL', message);
    }
    return readTorchScript(archive, bytes);
  }
  throw damaged('it holds neither an exported program (.pt2) nor a TorchScript module (.pt)');
}
