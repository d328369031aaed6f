/** Models from files of PyTorch. */
import { damaged } from './failure.ts';
import type { LoadedModel } from './loaded-model.ts';
import { readPt2 } from './pt2.ts';
import { isExportedProgram } from './pt2-archive.ts';
import { type FileSource, readSource } from './source.ts';
import { isTorchScript, readTorchScript } from './torchscript.ts';
import { Archive } from './zip.ts';

export type { LoadedModel, ModelInput } from './loaded-model.ts';
export type { FileSource } from './source.ts';

/**
 * Reads a model of PyTorch, from `torch.export.save` or `torch.jit.save`; which one, the content tells.
 *
 * @throws TypeError when `source` is neither a path nor bytes
 * @throws TorchCurvatureError `ERR_MODEL_LOAD` for a file that is missing, damaged or of another kind,
 * `ERR_UNSUPPORTED_OP` for a model with operators that cannot be part of a program
 */
export function readModelFile(source: FileSource): Promise<LoadedModel> {
  return readSource(source, 'the model file', readModel);
}

async function readModel(bytes: Uint8Array): Promise<LoadedModel> {
  if (!Archive.isZip(bytes)) {
    throw damaged('it is no zip archive, as the files of torch.export.save and torch.jit.save are');
  }
  const archive = await Archive.open(bytes);
  if (isExportedProgram(archive)) return readPt2(archive);
  if (isTorchScript(archive)) return readTorchScript(archive, bytes);
  throw damaged('it holds neither an exported program (.pt2) nor a TorchScript module (.pt)');
}
