import { execFile } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

const run = promisify(execFile);

/**
 * The measured peak of multiply-adds, in GFLOP/s by precision, on 1 … `threads` threads; undefined without a compiler.
 *
 * @param {number} threads
 * @returns {Promise<{ threads: number, float32: number, float64: number }[] | undefined>}
 */
export async function measurePeak(threads) {
  const folder = await mkdtemp(join(tmpdir(), 'torch-curvature-peak-'));
  try {
    const program = join(folder, 'peak');
    const source = fileURLToPath(new URL('peak.cc', import.meta.url));
    const options = ['-O3', '-std=c++20', '-march=native', '-mprefer-vector-width=512', '-ffp-contract=fast'];
    await run(process.env.CXX ?? 'g++', [...options, '-pthread', source, '-o', program]);
    const { stdout } = await run(program, [String(threads)]);
    return JSON.parse(stdout);
  } catch (error) {
    console.error(`The peak of multiply-adds was not measured: ${error.message.split('\n')[0]}`);
    return undefined;
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}
