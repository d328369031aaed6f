/**
 * A reporter of vitest that counts what came of every test, and writes it where `TORCH_CURVATURE_TALLY` says. A file that
 * cannot be collected, a hook that fails, an error outside tests and a test that never got to its end (its process died)
 * have no failed test to show; each counts as one.
 */
import { writeFileSync } from 'node:fs';
import { relative } from 'node:path';

export default class Tally {
  onTestRunEnd(modules, unhandledErrors) {
    const tally = { passed: 0, failed: unhandledErrors.length, skipped: 0, skips: {} };
    for (const module of modules) {
      let failed = 0;
      for (const test of module.children.allTests()) {
        const result = test.result();
        if (result.state === 'passed') tally.passed++;
        else if (result.state === 'skipped') skip(tally, module, test.fullName, result.note);
        else failed++;
      }
      for (const suite of module.children.allSuites()) failed += suite.errors().length > 0 ? 1 : 0;
      failed += module.errors().length > 0 ? 1 : 0;
      if (failed === 0 && module.state() === 'failed') failed = 1;
      tally.failed += failed;
    }
    writeFileSync(process.env.TORCH_CURVATURE_TALLY, JSON.stringify(tally));
  }
}

/** The reason is the test's note, or stands in its name or a suite's: `CUDA (skipped: no CUDA device)`. */
function skip(tally, module, name, note) {
  const reason = note ?? /\(skipped: ([^)]*)\)/.exec(name)?.[1] ?? 'not selected, or no reason given';
  const key = `${relative(process.cwd(), module.moduleId)}: ${reason}`;
  tally.skips[key] = (tally.skips[key] ?? 0) + 1;
  tally.skipped++;
}
