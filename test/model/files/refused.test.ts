import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { readModelFile } from '../../../lib/model/files/index.ts';
import { FOLDER } from './fixtures.ts';

/** What each of the models is refused for, in whichever format it is. */
const REASONS: Readonly<Record<string, { code: string; message: RegExp }>> = {
  'dropout-train': { code: 'ERR_UNSUPPORTED_OP', message: /aten::dropout draws random numbers.*eval\(\)/ },
  'batch-norm-train': { code: 'ERR_UNSUPPORTED_OP', message: /batch_norm|add_|prim::If/ },
  random: { code: 'ERR_UNSUPPORTED_OP', message: /aten::randn_like draws random numbers/ },
  'buffer-mutation': { code: 'ERR_UNSUPPORTED_OP', message: /aten::add_.* changes its input in place/ },
  branch: { code: 'ERR_UNSUPPORTED_OP', message: /aten::Bool.* takes a value out of the data/ },
  cond: { code: 'ERR_UNSUPPORTED_OP', message: /cond is control flow/ },
  item: { code: 'ERR_UNSUPPORTED_OP', message: /aten::Float.* takes a value out of the data/ },
  half: { code: 'ERR_UNSUPPORTED_OP', message: /0\.weight.*bfloat16/i },
  mixed: { code: 'ERR_UNSUPPORTED_OP', message: /mix/ },
};

describe.each(Object.entries(REASONS))('%s', (name, { code, message }) => {
  const files = ['.pt2', '.pt', '.script.pt'].map((format) => `refused-${name}${format}`);

  test.each(files.filter((file) => existsSync(join(FOLDER, file))))('%s', async (file) => {
    const error = await readModelFile(join(FOLDER, file), { trusted: true }).then(
      () => undefined,
      (reason: unknown) => reason,
    );
    expect(error).toMatchObject({ code, message: expect.stringMatching(message) });
  });
});

test('the message names the file', async () => {
  await expect(readModelFile(join(FOLDER, 'refused-cond.pt2'))).rejects.toThrow(/refused-cond\.pt2: /);
});
