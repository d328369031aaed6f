/** How long OpenMP's threads wait: bounded unless the user says otherwise. Its library tells what it was loaded with. */
import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { expect, it } from 'vitest';

const SCRIPT = `
  import { info } from 'torch-curvature';
  info();
  console.log(JSON.stringify(process.env.GOMP_SPINCOUNT ?? null));
`;

async function loaded(settings: Record<string, string>) {
  const { OMP_WAIT_POLICY: _, GOMP_SPINCOUNT: __, ...rest } = process.env;
  const env = { ...rest, ...settings, OMP_DISPLAY_ENV: 'VERBOSE' };
  const { stdout, stderr } = await promisify(execFile)(
    process.execPath,
    ['--input-type=module', '-e', SCRIPT],
    { env, cwd: new URL('../..', import.meta.url) },
  );
  const looks = /GOMP_SPINCOUNT = '(\d+)'/.exec(stderr)?.[1];
  return { looks: Number(looks), left: JSON.parse(stdout) as string | null };
}

it.skipIf(process.platform !== 'linux')(
  'is bounded by default, and leaves no trace for child processes',
  async () => {
    const { looks, left } = await loaded({});
    expect([5000, 1000]).toContain(looks);
    expect(left).toBeNull();
  },
);

it.skipIf(process.platform !== 'linux')('is what the user sets', async () => {
  expect(await loaded({ GOMP_SPINCOUNT: '77' })).toEqual({ looks: 77, left: '77' });
  expect((await loaded({ OMP_WAIT_POLICY: 'passive' })).looks).toBe(0);
});
