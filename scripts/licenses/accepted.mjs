/** Licenses that ask for no more than to keep their text. */
const PERMISSIVE = [
  '0BSD',
  'Apache-2.0',
  'BlueOak-1.0.0',
  'BSD-2-Clause',
  'BSD-3-Clause',
  'ISC',
  'MIT',
  'Python-2.0',
];
/** Of tools that are neither shipped nor linked. */
const FOR_TOOLS = [...PERMISSIVE, 'MPL-2.0'];

/**
 * The packages whose licenses are unknown or not accepted.
 * @template {{ license?: string, dev: boolean }} P
 * @param {readonly P[]} packages
 * @returns {P[]}
 */
export function unaccepted(packages) {
  return packages.filter(({ license, dev }) => !accepts(dev ? FOR_TOOLS : PERMISSIVE, license));
}

/**
 * @param {readonly string[]} list
 * @param {string | undefined} license an SPDX expression; of alternatives one is enough
 */
function accepts(list, license = '') {
  const alternatives = license.replace(/^\((.*)\)$/, '$1').split(' OR ');
  return alternatives.some((each) => each.split(' AND ').every((name) => list.includes(name)));
}
