/** What is said of files that a newer PyTorch wrote. */
import { info } from '../../addon/info.ts';
import { TorchCurvatureError } from '../../errors.ts';
import type { Json } from './json.ts';

/**
 * The failure with which PyTorch wrote the file, where that is newer than the libtorch in use or has operators that this
 * one lacks.
 */
export function ofNewerVersion(error: unknown, { torch_version: written }: Json): unknown {
  if (!(error instanceof TorchCurvatureError) || typeof written !== 'string') return error;
  if (error.code !== 'ERR_MODEL_LOAD' && error.code !== 'ERR_UNSUPPORTED_OP') return error;
  const { libtorchVersion } = info();
  if (!isNewer(written, libtorchVersion) && !error.message.includes('has no operator')) return error;
  const message = `${error.message}; the file was written by PyTorch ${written}, and libtorch ${libtorchVersion} is in use`;
  return new TorchCurvatureError(error.code, message, { cause: error });
}

/** Whether a release such as `2.14.1+cpu` comes after another. */
function isNewer(version: string, than: string): boolean {
  const [left = [], right = []] = [version, than].map((each) => each.split(/[.+]/).slice(0, 2).map(Number));
  const [major, minor] = [0, 1].map((index) => (left[index] ?? 0) - (right[index] ?? 0)) as [number, number];
  return major > 0 || (major === 0 && minor > 0);
}
