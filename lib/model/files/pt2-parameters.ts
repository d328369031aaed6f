/** Which parameters an exported model has, and in which order. */
import { asPairs, type StoredTensor } from './stored-tensor.ts';

/** A parameter, which has several names in the graph where modules share it. */
export interface Pt2Parameter {
  name: string;
  graphNames: string[];
  tensor: StoredTensor;
}

/** The parameters that require gradients, of which those in use come in the order of the graph. */
export class Pt2Parameters {
  readonly #byMemory = new Map<string, Pt2Parameter>();

  /** A parameter of the graph; one that is another already is known by one more name there. */
  add(name: string, graphName: string, tensor: StoredTensor): void {
    const memory = memoryOf(name, tensor);
    const known = this.#byMemory.get(memory);
    if (known === undefined) this.#byMemory.set(memory, { name, graphNames: [graphName], tensor });
    else known.graphNames.push(graphName);
  }

  /**
   * All of them as `named_parameters()` has them: in the order of the archive's weights, which is that of the modules, by
   * the first name of each. The graph of a strict export lists those in use alone, in order of use; the others have no
   * name there. Parameters that are not among the weights come last.
   */
  inModuleOrder(weights: ReadonlyMap<string, StoredTensor>): Pt2Parameter[] {
    // An object of JavaScript puts names that are whole numbers first, whatever their order in the file.
    if ([...weights.keys()].some((name) => /^\d+$/.test(name))) return [...this.#byMemory.values()];
    const ordered = new Map<string, Pt2Parameter>();
    for (const [name, tensor] of weights) {
      const memory = memoryOf(name, tensor);
      if (!tensor.isParameter || !tensor.requiresGrad || ordered.has(memory)) continue;
      const used = this.#byMemory.get(memory);
      ordered.set(memory, { graphNames: [], tensor: asPairs(tensor), ...used, name });
    }
    const others = [...this.#byMemory].filter(([memory]) => !ordered.has(memory));
    return [...ordered.values(), ...others.map(([, parameter]) => parameter)];
  }
}

/** Equal for tied parameters. Tensors of no elements are all at the same place, and tied to none. */
function memoryOf(name: string, { shape, identity }: StoredTensor): string {
  return shape.includes(0) ? JSON.stringify({ name }) : identity;
}
