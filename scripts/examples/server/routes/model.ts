import { Refusal } from '../errors.ts';
import type { Registry, Served } from '../registry.ts';

/** Of routes with the name of a model in their path. */
export interface Named {
  Params: { name: string };
}

export function served(registry: Registry, { params: { name } }: { params: { name: string } }): Served {
  const found = registry.get(name);
  if (found === undefined) {
    throw new Refusal(404, 'ERR_UNKNOWN_MODEL', `the models are ${[...registry.keys()].join(', ')}`);
  }
  return found;
}
