/** Hands programs to the addon, which looks up and checks their operators. */
import { addon } from '../addon/addon.ts';
import type { ProgramRecord, RawProgram } from '../addon/program.ts';
import { run } from '../addon/run.ts';
import type { Turns } from './files/turns.ts';

/** Nodes that cross in a fraction of a slice. */
const PIECE = 64;

/**
 * Does not hold up the event loop: nodes cross piece by piece, and are checked on a thread of the executor.
 *
 * @throws TorchCurvatureError `ERR_MODEL_LOAD`, `ERR_UNSUPPORTED_OP`
 */
export async function createProgram({ nodes, ...rest }: RawProgram, turns: Turns): Promise<ProgramRecord> {
  const draft = addon().draftProgram(rest);
  for (let begin = 0; begin < nodes.length; begin += PIECE) {
    addon().draftNodes(draft, nodes.slice(begin, begin + PIECE));
    await turns.pass();
  }
  return run('createProgram', { draft }, undefined, () => ({ nodes: nodes.length }));
}

/** For small programs: checks them on the calling thread. */
export function createProgramSync({ nodes, ...rest }: RawProgram): ProgramRecord {
  const draft = addon().draftProgram(rest);
  addon().draftNodes(draft, nodes);
  return addon().createProgramSync({ draft });
}
