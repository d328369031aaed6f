/** The core's own tests (C++), each as a test here: what one prints shows when it fails. */
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
// @ts-expect-error a script of the repository, without types
import { build, folder } from '../../scripts/test/native-programs.mjs';
import { Cases, caseNames, mustRun } from './cases.ts';

const core = join(folder, 'core_tests');
const example = join(folder, 'doctest_example');
/** To tell a hang from a busy machine. */
const HANG = 20 * 60_000;

// The names are known once the program is built. Where that fails, so does this file.
await build('core_tests', 'doctest_example');
const names = await caseNames(core);

describe('the core', () => {
  let cases: Cases;

  // biome-ignore lint/correctness/noEmptyPattern: vitest wants the first parameter destructured.
  beforeAll(({}, { tasks }) => {
    const chosen = new Set(tasks.filter(({ mode }) => mode === 'run').map(({ name }) => name));
    cases = new Cases(
      core,
      names.filter((name) => chosen.has(name)),
    );
  });
  afterAll(() => cases.stop());

  it.each(names)('%s', { timeout: HANG }, async (name) => {
    const { ok, output } = await cases.outcome(name);
    if (!ok) throw new Error(output);
  });
});

describe('their runner', () => {
  it('tells what each case came to, also where one ends the process', { timeout: HANG }, async () => {
    const all = await caseNames(example);
    expect(all).toHaveLength(9);
    const cases = new Cases(example, all);
    const outcomes = await Promise.all(
      all.map(async (name) => {
        const { ok, checks, output } = await cases.outcome(name);
        return [name, [ok, checks, output.replaceAll(/^.*example.cc:\d+: /gm, '')]];
      }),
    );
    expect(Object.fromEntries(outcomes)).toEqual({
      'holds, in both parts': [true, 10, ''],
      'fails twice': [
        false,
        2,
        'CHECK(three + 1 == 5)\n  4 == 5\n  three := 3\n' +
          'CHECK(std::string("a \\"quoted\\" word") == "another")\n  a "quoted" word == another\n  three := 3\n',
      ],
      stops: [false, 1, 'REQUIRE(1 > 2)\n  1 > 2\n'],
      throws: [false, 2, 'thrown\n  something happened\n'],
      'does not throw what it should': [
        false,
        2,
        'CHECK_THROWS_AS(throw std::runtime_error("this"), std::logic_error)\n' +
          '  something else was thrown: this\n' +
          'CHECK_THROWS_AS(static_cast<void>(0), std::exception)\n  nothing was thrown\n',
      ],
      'ends the process': [false, 0, 'the process ended: SIGKILL'],
      'fails on another thread, in its second part': [
        false,
        2,
        expect.stringMatching(/^CHECK\(2 != 2\)\n {2}2 != 2\n {2}in subcase at line \d+: two\n$/),
      ],
      'checks nothing': [false, 1, 'the test case checks nothing\n'],
      'holds after those': [true, 1, ''],
    });
    expect(await mustRun(example, '-tc=holds*')).toBe('2 test cases passed, 0 failed; 11 checks\n');
    await expect(mustRun(example, '-tc=*twice')).rejects.toThrow('ended with 1:\nFAILED: fails twice');
    await expect(mustRun(example, '-tc=none such')).rejects.toThrow('ended with 1');
    expect(await mustRun(example, '-tc=holds*', '-sf=*example.cc')).toMatch(/^2 test cases passed/);
    await expect(mustRun(example, '-tc=holds*', '-sf=*main.cc')).rejects.toThrow('ended with 1');
  });
});
