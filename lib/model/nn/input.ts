/** What a list of layers takes, as far as the layers tell. */
import type { RawPort } from '../../addon/program.ts';
import type { Layer } from './layer.ts';

const UNKNOWN: RawPort = { name: 'x', dtype: 'float32', shape: ['batch', '...'] };

/** The input of the first layer that says what it takes, behind those that keep the shape of what they are given. */
export function inputOf(layers: readonly Layer[]): RawPort {
  const found = layers.find(({ takes }) => takes !== 'any')?.takes;
  if (found === undefined || found === 'any') return UNKNOWN;
  return { name: 'x', dtype: found.dtype ?? 'float32', shape: ['batch', ...found.shape] };
}
