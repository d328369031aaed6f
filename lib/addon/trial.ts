/**
 * Tries an addon together with a libtorch that it was not built with, in a process of its own: what does not fit may end
 * the process that loads it.
 */
import { spawnSync } from 'node:child_process';
import { TorchCurvatureError } from '../errors.ts';
import { keepingFlags } from './open-library.ts';

const TIMEOUT_MS = 120_000;
/** The first number of `torch.manual_seed(0); torch.randn(1)`. */
const FIRST_NORMAL = 1.540996;

const PROGRAM = `
const [file, library, flags] = process.argv.slice(1);
try { process.dlopen({ exports: {} }, library, Number(flags)); }
catch (error) { if (!error.message.includes('did not self-register')) throw error; }
const addon = require(file);
const [first] = addon.normal(addon.createGenerator(0n), [1], 0, 1, false);
if (Math.abs(first - ${FIRST_NORMAL}) > 1e-5) throw new Error('it computes ' + first + ' for ${FIRST_NORMAL}');`;

/**
 * @param library of libtorch, which brings the others along
 * @throws TorchCurvatureError `ERR_LIBTORCH_VERSION` where the two do not work together
 */
export function tryTogether(addon: string, library: string, mend: string): void {
  const env: NodeJS.ProcessEnv = { ...process.env, ELECTRON_RUN_AS_NODE: '1' };
  delete env.NODE_OPTIONS; // what they load might load this package
  const { status, signal, stderr, error } = start([addon, library, String(keepingFlags())], env);
  // Where no process may be started (the permission model, a full process table) there is no trial.
  if (error !== undefined || status === 0) return;
  const reason = /^\w*Error: .*$/m.exec(stderr)?.[0] ?? stderr.trim().split('\n').at(-1);
  const ending = signal === null ? reason : `the process ended with ${signal}`;
  const message = `the addon does not work with ${library}: tried in a process of its own, ${ending}. To mend it, ${mend}`;
  throw new TorchCurvatureError('ERR_LIBTORCH_VERSION', message);
}

type Outcome = Pick<ReturnType<typeof spawnSync>, 'status' | 'signal' | 'error'> & { stderr: string };

function start(args: string[], env: NodeJS.ProcessEnv): Outcome {
  try {
    const options = { env, encoding: 'utf8', timeout: TIMEOUT_MS, windowsHide: true } as const;
    return spawnSync(process.execPath, ['-e', PROGRAM, ...args], options);
  } catch (error) {
    return { status: null, signal: null, stderr: '', error: error as Error };
  }
}
