/** What shared libraries of Linux ask of the system that loads them, as binutils tell it. */
import { must } from './files.mjs';

/**
 * The names of the libraries that one is linked with.
 * @param {string} file
 */
export async function needed(file) {
  const text = await must('readelf', ['--dynamic', '--wide', file]);
  return [...text.matchAll(/\(NEEDED\).*\[(.+)\]/g)].map(([, name]) => name);
}

/**
 * Where the system looks for these first.
 * @param {string} file
 */
export async function searchPath(file) {
  const text = await must('readelf', ['--dynamic', '--wide', file]);
  return /\((?:RPATH|RUNPATH)\).*\[(.*)\]/.exec(text)?.[1] ?? '';
}

/**
 * The newest versions of the C and C++ libraries whose symbols it uses: `GLIBC_2.28`.
 * @param {string} file
 */
export async function symbolVersions(file) {
  const text = await must('readelf', ['--version-info', '--wide', file]);
  const found = [...text.matchAll(/Name: ((GLIBC|GLIBCXX|CXXABI)_[\d.]+)/g)];
  const newest = (library) =>
    found
      .filter(([, , name]) => name === library)
      .map(([, name]) => name)
      .sort((a, b) => a.localeCompare(b, 'en', { numeric: true }))
      .at(-1);
  return ['GLIBC', 'GLIBCXX', 'CXXABI'].map(newest).filter((name) => name !== undefined);
}
