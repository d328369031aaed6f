import { SetupError } from './failure.mjs';
import { run } from './process.mjs';

const OLDEST_CMAKE = [3, 18];

/**
 * Says what to install when the addon cannot be compiled on this machine.
 * @param {NodeJS.ProcessEnv} env
 */
export async function requireToolchain(env) {
  const cmake = await run('cmake', ['--version'], { env });
  if (cmake.code !== 0) {
    const found = cmake.code === 127 ? 'was not found' : `could not be run (${cmake.output.trim()})`;
    throw new SetupError(
      `CMake ${found}. Install it (Debian, Ubuntu: apt install cmake; or pip install cmake).`,
    );
  }
  const [version, major, minor] = /(\d+)\.(\d+)[.\d]*/.exec(cmake.stdout) ?? ['0', '0', '0'];
  const [oldestMajor, oldestMinor] = OLDEST_CMAKE;
  if (Number(major) < oldestMajor || (Number(major) === oldestMajor && Number(minor) < oldestMinor)) {
    throw new SetupError(`CMake ${version} is too old, ${OLDEST_CMAKE.join('.')} or later is needed.`);
  }
  if (process.platform === 'win32') return; // CMake finds Visual Studio itself
  const compilers = env.CXX ? [env.CXX] : ['c++', 'g++', 'clang++'];
  if (!(await anyRuns(compilers, env))) {
    throw new SetupError(
      `No C++ compiler was found (tried ${compilers.join(', ')}). Install one ` +
        '(Debian, Ubuntu: apt install build-essential; macOS: xcode-select --install).',
    );
  }
  if (!(await anyRuns(['ninja', 'make'], env))) {
    throw new SetupError(
      'Neither Ninja nor Make was found. Install one (Debian, Ubuntu: apt install build-essential).',
    );
  }
}

/**
 * @param {readonly string[]} programs
 * @param {NodeJS.ProcessEnv} env
 */
async function anyRuns(programs, env) {
  for (const program of programs) {
    const [name, ...args] = program.split(' '); // CXX may be "ccache g++"
    if ((await run(name, [...args, '--version'], { env })).code === 0) return true;
  }
  return false;
}
