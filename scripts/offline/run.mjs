/** The archive's `run.sh`, but for finding Node: `run.mjs FOLDER test|bench|cuda|all`; `test` takes files of tests, too. */
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { buildAddon } from '../setup/addon.mjs';
import { runScript, SetupError } from '../setup/failure.mjs';
import { folderOfPyTorch, resolveLibtorch } from '../setup/libtorch.mjs';
import { PYTHON } from '../setup/python.mjs';
import { benchJob, cudaJob, testJob } from './jobs.mjs';
import { writeReport } from './report.mjs';

const root = fileURLToPath(new URL('../..', import.meta.url));
const JOBS = { test: testJob, bench: benchJob, cuda: cudaJob };

await runScript(async () => {
  const [folder, asked, ...more] = process.argv.slice(2);
  const names = asked === 'all' ? Object.keys(JOBS) : [asked];
  const fits = names.every((name) => Object.hasOwn(JOBS, name)) && (more.length === 0 || asked === 'test');
  if (!fits) throw new SetupError('Usage: ./run.sh test [file …] | bench | cuda | all');

  const python = process.env.PYTHON || PYTHON;
  const libtorch = await resolveLibtorch({
    ...process.env,
    LIBTORCH: process.env.LIBTORCH || (await requirePyTorch(python)),
  });
  await buildAddon(root, libtorch);

  for (const name of names) {
    console.log(`\n=== ${name} ===`);
    const started = Date.now();
    const outcome = await JOBS[name]({ root, python, files: more });
    await writeReport(folder, libtorch, name, { ...outcome, seconds: (Date.now() - started) / 1000 });
    if (!outcome.ok) process.exitCode = 1;
  }
  console.log(`\nWritten: ${join(folder, 'report.txt')}, ${join(folder, 'report.json')}`);
});

/** @param {string} python */
async function requirePyTorch(python) {
  const folder = await folderOfPyTorch(python, process.env);
  if (folder !== undefined) return folder;
  throw new SetupError(
    `${python} has no PyTorch. Name a Python that has one, PYTHON=/path/to/python ./run.sh …, or the folder of a libtorch: ` +
      'LIBTORCH=/path/to/torch ./run.sh …',
  );
}
