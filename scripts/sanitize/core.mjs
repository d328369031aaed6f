/** The core's tests with a sanitizer. */
import { spawn } from 'node:child_process';
import { join } from 'node:path';
import { build } from './build.mjs';

/**
 * The settings of each sanitizer. Reports of all end the process with a status that is not that of a failed test.
 * @type {Record<'sanitize' | 'tsan', Record<string, string>>}
 */
const SETTINGS = {
  sanitize: {
    // A request for too much is an error of libtorch's, as without.
    ASAN_OPTIONS: 'detect_leaks=1:allocator_may_return_null=1:detect_stack_use_after_return=1:exitcode=66',
    UBSAN_OPTIONS: 'print_stacktrace=1',
  },
  tsan: {
    // libtorch's own locks and atomics are not seen, nor therefore what they protect.
    TSAN_OPTIONS: 'halt_on_error=0:second_deadlock_stack=1:exitcode=66:ignore_noninstrumented_modules=1',
  },
};

/**
 * @param {'sanitize' | 'tsan'} preset
 * @param {readonly string[]} args of `core_tests`
 * @returns {Promise<string>} what was done; rejects where a test failed or something was reported
 */
export async function testCore(preset, args) {
  const program = join(build(preset, 'core_tests'), 'core_tests');
  const { code, output } = await run(program, args, { OMP_WAIT_POLICY: 'passive', ...SETTINGS[preset] });
  const reports =
    output.match(/ERROR: (?:Address|Leak)Sanitizer|WARNING: ThreadSanitizer|: runtime error: /g) ?? [];
  const tests = /^\d+ test cases? passed.*$/m.exec(output)?.[0] ?? 'not run to the end';
  const summary = `${tests}; ${reports.length} reports`;
  if (code !== 0 || reports.length > 0) throw new Error(`${summary} (status ${code})`);
  return summary;
}

/**
 * Shows what a program prints, and keeps it.
 *
 * @param {string} program
 * @param {readonly string[]} args
 * @param {Record<string, string>} env besides ours
 * @returns {Promise<{ code: number | NodeJS.Signals, output: string }>}
 */
function run(program, args, env) {
  const child = spawn(program, args, { env: { ...process.env, ...env }, stdio: ['ignore', 'pipe', 'pipe'] });
  let output = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding('utf8').on('data', (text) => {
      output += text;
      process.stdout.write(text);
    });
  }
  return new Promise((resolve, reject) => {
    child.on('error', reject);
    child.on('close', (code, signal) => resolve({ code: code ?? signal, output }));
  });
}
