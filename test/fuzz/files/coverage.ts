/** Which parts of a script have run, from the counters that V8 keeps for its own profiler. */
import { Session } from 'node:inspector';

interface Range {
  startOffset: number;
  endOffset: number;
  count: number;
}

const inside = (inner: Range, outer: Range) =>
  inner.startOffset >= outer.startOffset && inner.endOffset <= outer.endOffset;

/** Counts from its making on; scripts that are loaded afterwards are counted by blocks. */
export class Coverage {
  readonly #session = new Session();
  readonly #file: string;
  /** Of each function that was called, the blocks that never ran. */
  readonly #missed = new Map<string, Range[]>();

  /** @param file of the script */
  constructor(file: string) {
    this.#file = file;
    this.#session.connect();
    this.#session.post('Profiler.enable');
    this.#session.post('Profiler.startPreciseCoverage', { callCount: true, detailed: true });
  }

  /** Functions seen. */
  get functions(): number {
    return this.#missed.size;
  }

  /** Whether something ran since the last look that had not run before; `keep` also takes it as seen. */
  look(keep: boolean): boolean {
    let grew = false;
    this.#session.post('Profiler.takePreciseCoverage', (error, taken) => {
      if (error) throw error;
      const script = taken.result.find(({ url }) => url.endsWith(this.#file));
      for (const { ranges } of script?.functions ?? []) {
        if (ranges[0]!.count > 0) grew = this.#look(ranges, keep) || grew;
      }
    });
    return grew;
  }

  /** V8 gives blocks whose count differs from that around them: what did not run is there, or inside what is. */
  #look(ranges: readonly Range[], keep: boolean): boolean {
    const key = `${ranges[0]!.startOffset}-${ranges[0]!.endOffset}`;
    const missed = ranges.filter(({ count }) => count === 0);
    const before = this.#missed.get(key);
    const still = before?.filter((block) => missed.some((each) => inside(block, each)));
    if (still !== undefined && still.length === before!.length) return false;
    const partly = missed.filter((each) => before?.some((block) => inside(each, block)) ?? true);
    if (keep) this.#missed.set(key, [...(still ?? []), ...partly]);
    return true;
  }
}
