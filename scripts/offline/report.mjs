import { readFile, writeFile } from 'node:fs/promises';
import { arch, cpus, release, totalmem } from 'node:os';
import { join } from 'node:path';

/**
 * Adds what came of a job to `report.json` and `report.txt`: a job that is run again replaces its last outcome, and those
 * against another PyTorch go.
 * @param {string} folder
 * @param {import('../setup/inspect.mjs').Libtorch} libtorch
 * @param {string} name of the job
 * @param {import('./jobs.mjs').Outcome & { seconds: number }} outcome
 */
export async function writeReport(folder, libtorch, name, outcome) {
  const file = join(folder, 'report.json');
  const machine = {
    processor: cpus()[0]?.model ?? 'unknown',
    cores: cpus().length,
    memoryBytes: totalmem(),
    system: `${process.platform} ${release()} ${arch()}`,
    node: process.version,
    libtorch,
  };
  const before = await readFile(file, 'utf8').then(JSON.parse, () => undefined);
  const same = JSON.stringify(before?.machine.libtorch) === JSON.stringify(libtorch);
  const report = { machine, jobs: { ...(same ? before.jobs : {}), [name]: outcome } };
  await writeFile(file, `${JSON.stringify(report, null, 2)}\n`);
  await writeFile(join(folder, 'report.txt'), textOf(report));
}

/** @param {{ machine: object, jobs: Record<string, import('./jobs.mjs').Outcome & { seconds: number }> }} report */
function textOf({ machine, jobs }) {
  const { processor, cores, memoryBytes, system, node, libtorch } = machine;
  const parts = Object.entries(jobs).map(([name, { ok, seconds, lines }]) =>
    [`=== ${name}: ${ok ? 'passed' : 'FAILED'}, ${seconds.toFixed(0)} s ===`, ...lines].join('\n'),
  );
  const head =
    `${processor}, ${cores} cores, ${(memoryBytes / 2 ** 30).toFixed(0)} GiB; ${system}; Node ${node}; ` +
    `libtorch ${libtorch.version} (${libtorch.variant})`;
  return `${[head, ...parts].join('\n\n')}\n`;
}
