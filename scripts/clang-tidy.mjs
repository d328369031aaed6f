/**
 * clang-tidy over the native code, by the checks of `.clang-tidy`: `npm run lint:tidy -- [TEXT …]`. With texts, only
 * sources whose path has one of them.
 */
import { spawn, spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';

/**
 * Each release finds other things, so that "nothing found" is said of one of them. Before 22 it reads libtorch's headers as
 * closely as our files, which takes five times as long.
 */
const RELEASE = 22;

const root = fileURLToPath(new URL('..', import.meta.url));
const folder = join(root, 'build', 'presets', 'tidy');
/** Of OpenMP only libgomp's functions are used, as where Clang compiles, which has another library's headers. */
const ARGUMENTS = [
  ...['--quiet', '-p', folder, '--extra-arg=-fno-openmp', '--extra-arg=-DTC_LIBGOMP'],
  // GCC's headers use what they deprecate themselves, which GCC does not tell of.
  '--extra-arg=-Wno-deprecated-declarations',
];

const clangTidy = findClangTidy();
const wanted = process.argv.slice(2);
const files = sources().filter((path) => wanted.length === 0 || wanted.some((text) => path.includes(text)));
const queue = [...files];
/** A header is read by many files; what is said of it is told once. */
const findings = new Set();

await Promise.all(Array.from({ length: availableParallelism() }, worker));
console.log(`${files.length} files, ${findings.size} findings`);
process.exitCode = files.length > 0 && findings.size === 0 ? 0 : 1;

async function worker() {
  for (let file = queue.shift(); file !== undefined; file = queue.shift()) {
    for (const finding of split(await tidy(file))) {
      if (findings.has(finding)) continue;
      findings.add(finding);
      console.log(finding);
    }
  }
}

/**
 * @param {string} file
 * @returns {Promise<string>} what clang-tidy prints
 */
function tidy(file) {
  const child = spawn(clangTidy, [...ARGUMENTS, file], { cwd: root, stdio: ['ignore', 'pipe', 'pipe'] });
  let [output, errors] = ['', ''];
  child.stdout.setEncoding('utf8').on('data', (text) => {
    output += text;
  });
  child.stderr.setEncoding('utf8').on('data', (text) => {
    errors += text;
  });
  return new Promise((resolve, reject) => {
    child.on('error', reject);
    child.on('close', (code, signal) =>
      // It says on the other stream why it did not get to a source at all.
      resolve(code !== 0 && output === '' ? `${file}:1:1: error: ${signal ?? errors}` : output),
    );
  });
}

/**
 * @param {string} output
 * @returns {string[]} each with its lines of source and its notes, by paths in the package
 */
function split(output) {
  const FINDING = /^\S+:\d+:\d+: (?:error|warning): /;
  return output
    .replaceAll(root, '')
    .split(new RegExp(`(?=${FINDING.source})`, 'm'))
    .filter((part) => FINDING.test(part))
    .map((part) => part.trimEnd());
}

/** @returns {string[]} paths in the package of all that is compiled of `native` */
function sources() {
  const args = ['--preset', 'tidy', '--log-level=WARNING'];
  const { status, stdout, stderr, error } = spawnSync('cmake', args, { cwd: root, encoding: 'utf8' });
  if (error) throw error;
  if (status !== 0) throw new Error(`${stdout}${stderr}`);
  const commands = JSON.parse(readFileSync(join(folder, 'compile_commands.json'), 'utf8'));
  return commands.map(({ file }) => relative(root, file)).filter((path) => path.startsWith('native'));
}

/** @returns {string} a command; throws where there is none, and says how to get one */
function findClangTidy() {
  const named = process.env.CLANG_TIDY;
  for (const command of named ? [named] : [`clang-tidy-${RELEASE}`, 'clang-tidy']) {
    const { stdout } = spawnSync(command, ['--version'], { encoding: 'utf8' });
    if (Number(/version (\d+)\./.exec(stdout ?? '')?.[1]) === RELEASE) return command;
  }
  throw new Error(
    `${named ?? 'clang-tidy'} of LLVM ${RELEASE} was not found: \`pip install 'clang-tidy~=${RELEASE}.1'\`, and ` +
      'CLANG_TIDY=/path/to/clang-tidy where it is not on the PATH.',
  );
}
