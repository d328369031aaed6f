/** What one reading of a file may take, and its turns on the event loop. */
import { positive } from '../../check.ts';
import { OptionNames } from '../../options.ts';
import { damaged } from './failure.ts';
import { Turns } from './turns.ts';

/** What the reading of a file may take; a file that needs more is refused with `ERR_MODEL_LOAD`. */
export interface ReadLimits {
  /** Bytes that a file may have; 16 GiB by default. */
  maxBytes?: number;
  /**
   * Bytes that reading may allocate: the file itself, what is unpacked, parsed and copied of it. By default a GiB and 32 times
   * the file's size; models take some three times theirs.
   */
  maxMemory?: number;
  /** How deep lists, objects and code may lie in one another: at most 1000 in JSON, 200 in pickles, 100 in TorchScript. */
  maxNesting?: number;
}

export const READ_LIMITS = new OptionNames<ReadLimits>({ maxBytes: true, maxMemory: true, maxNesting: true });

/** Of a file; writers make none that readers refuse. */
export const MOST_BYTES = 2 ** 34;
const MEMORY_ALLOWANCE = 2 ** 30;
/** More than the worst JSON takes, which becomes empty objects. */
const MEMORY_PER_BYTE = 32;

export class Reading extends Turns {
  readonly #limits: ReadLimits;
  #maxMemory: number;
  #taken = 0;

  /** @throws RangeError for a limit that is no positive number */
  constructor(limits: ReadLimits = {}) {
    super();
    for (const name of ['maxBytes', 'maxMemory', 'maxNesting'] as const) {
      if (limits[name] !== undefined) positive(limits[name], name);
    }
    this.#limits = limits;
    this.#maxMemory = limits.maxMemory ?? MEMORY_ALLOWANCE;
  }

  /** Begins with a file of so many bytes, before they are read. */
  begin(bytes: number): void {
    const { maxBytes = MOST_BYTES, maxMemory } = this.#limits;
    if (bytes > maxBytes) {
      throw damaged(`it has ${bytes} bytes; at most ${maxBytes} are read (the option maxBytes)`);
    }
    if (maxMemory === undefined) this.#maxMemory = MEMORY_ALLOWANCE + MEMORY_PER_BYTE * bytes;
    this.take(bytes, 'the file');
  }

  /** To be called before so many bytes are allocated for `what`. */
  take(bytes: number, what: string): void {
    this.#taken += bytes;
    if (this.#taken > this.#maxMemory) {
      throw damaged(
        `with ${what}, reading it would take ${this.#taken} bytes; at most ${this.#maxMemory} are taken (the option maxMemory)`,
      );
    }
  }

  /** The limit to the nesting of a kind of content, which a caller can only lower: whoever walks it has a stack to keep. */
  nesting(most: number): number {
    return Math.min(most, this.#limits.maxNesting ?? most);
  }
}
