/** What the readers of model files throw. */
import { TorchCurvatureError } from '../../errors.ts';

/** The file is damaged, or is not what it claims to be. */
export function damaged(reason: string, cause?: unknown): TorchCurvatureError {
  return new TorchCurvatureError('ERR_MODEL_LOAD', reason, { cause });
}

/** @throws TorchCurvatureError `ERR_MODEL_LOAD` for a graph that is larger than the caller allows */
export function requireFewNodes(nodes: number, most: number): void {
  if (nodes > most)
    throw damaged(`its graph has ${nodes} operators; at most ${most} are taken (the option maxNodes)`);
}

/** The file holds something that a program of differentiable operators has no place for. */
export function unsupported(reason: string): TorchCurvatureError {
  return new TorchCurvatureError('ERR_UNSUPPORTED_OP', reason);
}
