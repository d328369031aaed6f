/**
 * What pip is asked for: every pinned wheel at its version, with the digests to accept.
 * @param {import('./releases.mjs').Release} release
 * @param {string} torch how to ask for PyTorch: `torch==2.13.0+cpu`
 * @returns {string} a requirements file for pip's `--require-hashes`
 */
export function requirementsFile(release, torch) {
  const lines = Object.entries(release.wheels).map(([wheel, digests]) => {
    const [name, version] = wheel.split('-');
    const requirement = name === 'torch' ? torch : `${name}==${version}`;
    return [requirement, ...digests.map((digest) => `--hash=sha256:${digest}`)].join(' ');
  });
  return `${lines.join('\n')}\n`;
}
