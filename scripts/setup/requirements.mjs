import { SetupError } from './failure.mjs';
import { evaluateMarker } from './marker.mjs';
import { PYTHON_VERSION } from './releases.mjs';

/** The variables of environment markers (PEP 508) for the wheels that are taken. */
const ENVIRONMENT = {
  python_version: PYTHON_VERSION,
  platform_system: { linux: 'Linux', darwin: 'Darwin', win32: 'Windows' }[process.platform] ?? '',
  sys_platform: process.platform,
  platform_machine: { x64: 'x86_64', arm64: 'aarch64' }[process.arch] ?? process.arch,
};

/**
 * Package → extras asked of it, and whether it was fetched already.
 * @typedef {Map<string, { extras: Set<string>, fetched: boolean }>} Wanted
 */

/**
 * @param {import('./releases.mjs').Release} release
 * @returns {Wanted}
 */
export function initialRequirements(release) {
  return new Map((release.headers ?? []).map((name) => [name, { extras: new Set(), fetched: false }]));
}

/**
 * Adds the NVIDIA packages that a wheel requires; what else PyTorch requires serves Python only.
 * @param {Wanted} wanted
 * @param {string} metadata of the wheel
 */
export function addRequirements(wanted, metadata) {
  const self = normalise(/^Name: (.+)$/m.exec(metadata)?.[1] ?? '');
  const own = wanted.get(self)?.extras ?? new Set();
  for (const [, text] of metadata.matchAll(/^Requires-Dist: (.+)$/gm)) {
    const [requirement, marker] = text.split(';');
    const { name, extras } = parse(requirement);
    if (!isNvidia(name) || !applies(marker, own)) continue;
    const known = wanted.get(name);
    if (known) for (const extra of extras) known.extras.add(extra);
    else wanted.set(name, { extras: new Set(extras), fetched: false });
  }
}

/**
 * What to ask pip for next: the wanted packages not fetched yet, at the versions that are pinned. Marks them as fetched.
 * @param {Wanted} wanted
 * @param {import('./releases.mjs').Release} release
 */
export function needs(wanted, release) {
  const pinned = new Map();
  for (const wheel of Object.keys(release.wheels)) {
    const [name, version] = wheel.split('-');
    pinned.set(normalise(name), version);
  }
  const next = [];
  for (const [name, state] of wanted) {
    if (state.fetched) continue;
    if (!pinned.has(name)) throw new SetupError(`This PyTorch requires ${name}, which has no pinned wheel.`);
    state.fetched = true;
    next.push(`${name}==${pinned.get(name)}`);
  }
  return next;
}

/** @param {string} requirement such as `cuda-toolkit[cublas,cudart]==13.0.3` */
function parse(requirement) {
  const found = /^\s*([\w.-]+)\s*(?:\[([^\]]*)\])?/.exec(requirement);
  return {
    name: normalise(found?.[1] ?? ''),
    extras: (found?.[2] ?? '')
      .split(',')
      .filter(Boolean)
      .map((s) => s.trim()),
  };
}

/**
 * @param {string | undefined} marker
 * @param {Set<string>} extras that were asked of the package
 */
function applies(marker, extras) {
  if (marker === undefined) return true;
  return ['', ...extras].some((extra) => evaluateMarker(marker, { ...ENVIRONMENT, extra }));
}

/** @param {string} name */
function isNvidia(name) {
  return name.startsWith('nvidia-') || name === 'cuda-toolkit';
}

/** @param {string} name */
function normalise(name) {
  return name
    .trim()
    .toLowerCase()
    .replace(/[-_.]+/g, '-');
}
