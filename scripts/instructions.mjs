/**
 * Counts the instructions of a few fixed products under valgrind's callgrind and compares them with the committed budget,
 * scripts/instructions/budget.json: unlike times, counts hardly change from run to run. Fails where one is above it.
 *
 *     npm run bench:instructions -- [--update]
 *
 * Exit status: 0 within the budget, 1 above it, 77 where it cannot be counted (valgrind or its header is missing).
 */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import Table from 'cli-table3';
import { build, configure, folder } from './test/native-programs.mjs';

const root = fileURLToPath(new URL('..', import.meta.url));
const budgetFile = join(root, 'scripts', 'instructions', 'budget.json');
const SKIPPED = 77;
/** How far above its budget a count may be: other compilers and other versions of libtorch count differently. */
const TOLERANCE = 0.03;
const TOLERANCE_ELSEWHERE = 0.3;

const { values: options } = parseArgs({ options: { update: { type: 'boolean', default: false } } });

for (const tool of ['cmake', 'valgrind']) {
  if (run(tool, ['--version']).status !== 0) skip(`${tool} was not found`);
}
const reason = /Skipping the instruction counts: (.*)/.exec(await configure().catch(fail));
if (reason !== null) skip(reason[1]);
await build('core_instructions').catch(fail);

const measured = count(join(folder, 'core_instructions'));
if (options.update) {
  writeFileSync(budgetFile, `${JSON.stringify(measured, null, 2)}\n`);
  console.log(`Wrote ${budgetFile}`);
}
process.exitCode = report(measured, JSON.parse(readFileSync(budgetFile, 'utf8')));

/**
 * @param {string} program
 * @returns {{ compiler: string, libtorch: string, counts: Record<string, number> }}
 */
function count(program) {
  const dumps = mkdtempSync(join(tmpdir(), 'torch-curvature-instructions-'));
  try {
    // AVX-512 is beyond valgrind; addresses that differ from run to run would move a count a little.
    const printed = mustRun(
      'setarch',
      [
        ...['-R', 'valgrind', '--tool=callgrind', '--instr-atstart=no', '--quiet'],
        ...[`--callgrind-out-file=${join(dumps, 'counts')}`, program],
      ],
      { TORCH_CURVATURE_ISA: 'avx2', OMP_NUM_THREADS: '1', MKL_NUM_THREADS: '1' },
    );
    const counts = {};
    for (const name of readdirSync(dumps)) {
      const dump = readFileSync(join(dumps, name), 'utf8');
      const product = /^desc: Trigger: Client Request: (.*)$/m.exec(dump);
      if (product !== null) counts[product[1]] = Number(/^totals: (\d+)/m.exec(dump)[1]);
    }
    return { ...JSON.parse(printed.trim().split('\n').at(-1)), counts };
  } finally {
    rmSync(dumps, { recursive: true, force: true });
  }
}

/** Prints the comparison; returns the exit status. */
function report(measured, budget) {
  const alike = measured.compiler === budget.compiler && measured.libtorch === budget.libtorch;
  const tolerance = alike ? TOLERANCE : TOLERANCE_ELSEWHERE;
  const table = new Table({
    head: ['instructions', 'budget', 'counted', 'change', ''],
    style: { head: [], border: [] },
  });
  let above = 0;
  for (const [name, allowed] of Object.entries(budget.counts)) {
    const counted = measured.counts[name];
    const change = counted / allowed - 1;
    // A product that was not counted has a change of NaN, which is not within anything.
    const within = change <= tolerance;
    if (!within) above++;
    const verdict = within ? (change < -tolerance ? 'less: lower the budget' : '') : 'ABOVE THE BUDGET';
    table.push([name, allowed, counted ?? 'none', `${(100 * change).toFixed(1)} %`, verdict]);
  }
  console.log(table.toString());
  console.log(`Allowed: ${100 * tolerance} % above the budget.`);
  if (!alike) {
    console.log(
      `The budget was made with compiler ${budget.compiler} and libtorch ${budget.libtorch}, ` +
        `this is ${measured.compiler} and ${measured.libtorch}.`,
    );
  }
  if (above > 0) console.log('If the additional work is meant: npm run bench:instructions -- --update');
  return above === 0 ? 0 : 1;
}

function run(program, args, env = {}) {
  return spawnSync(program, args, { encoding: 'utf8', env: { ...process.env, ...env } });
}

function mustRun(program, args, env) {
  const { status, stdout, stderr, error } = run(program, args, env);
  if (status === 0) return stdout;
  const said = `${stdout ?? ''}${stderr ?? ''}${error?.message ?? ''}`;
  return fail(new Error(`${program} ${args.join(' ')} failed:\n${said}`));
}

/** @returns {never} */
function fail({ message }) {
  console.error(message);
  process.exit(1);
}

function skip(why) {
  console.log(`Skipping the instruction counts: ${why}`);
  process.exit(SKIPPED);
}
