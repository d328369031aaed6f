/**
 * The packages of a release and what their `package.json` says. A platform's package has the addon and depends on the
 * package with the libtorch that it was linked with, which keeps libtorch's own version, so that a new release of ours does
 * not have users download it again. A CUDA build is linked with gigabytes that no package can hold: its users name a
 * PyTorch with LIBTORCH.
 */

/**
 * @typedef {object} Platform
 * @property {Record<string, any>} base what all manifests have in common
 * @property {string} addon name of the package with the addon
 * @property {string} libtorch name of the package with libtorch
 * @property {string} libtorchVersion
 * @property {'cpu' | 'cuda'} variant
 * @property {string} system `linux-x64`
 * @property {{ os: string[], cpu: string[], libc?: string[] }} limits where the packages are installed
 */

/** What users get of the repository's own manifest. */
const PUBLISHED = [
  ...['name', 'version', 'description', 'keywords', 'license', 'repository', 'homepage', 'bugs'],
  ...['type', 'engines', 'os', 'main', 'module', 'types', 'exports', 'bin', 'files', 'dependencies'],
];

/** Platforms whose packages a release has: the main one names them, each with all others of the release. */
const RELEASED = ['linux-x64'];

/**
 * @param {Record<string, any>} manifest of the repository
 * @param {import('../setup/inspect.mjs').Libtorch} libtorch
 * @returns {Platform}
 */
export function describePlatform(manifest, { version, variant }) {
  const { platform, arch } = process;
  const system = `${platform}-${arch}`;
  const { version: release, license, repository, homepage, bugs, engines } = manifest;
  return {
    base: { version: release, license, repository, homepage, bugs, engines },
    addon: `@torch-curvature/${system}${variant === 'cuda' ? '-cuda' : ''}`,
    libtorch: `@torch-curvature/libtorch-${variant}-${system}`,
    libtorchVersion: version,
    variant,
    system,
    limits: { os: [platform], cpu: [arch], ...(platform === 'linux' ? { libc: ['glibc'] } : {}) },
  };
}

/** Packages of header files, which are put beside the sources. */
export const HEADERS = ['node-addon-api', 'node-api-headers'];

/**
 * Without scripts: pnpm ends with an error where one is there and was not approved, and the addon comes as a package.
 * @param {Record<string, any>} manifest of the repository
 */
export function mainManifest(manifest) {
  const published = Object.fromEntries(PUBLISHED.map((key) => [key, manifest[key]]));
  const packages = RELEASED.map((system) => [`@torch-curvature/${system}`, manifest.version]);
  const dependencies = Object.entries(manifest.dependencies).filter(([name]) => !HEADERS.includes(name));
  return {
    ...published,
    dependencies: Object.fromEntries(dependencies),
    optionalDependencies: Object.fromEntries(packages),
    publishConfig: { access: 'public' },
  };
}

/** @param {Platform} platform */
export function addonManifest({ base, addon, libtorch, libtorchVersion, variant, system, limits }) {
  return {
    name: addon,
    ...base,
    description: `The native addon of torch-curvature for ${system}${variant === 'cuda' ? ' and CUDA' : ''}`,
    ...limits,
    main: 'index.cjs',
    files: ['index.cjs', 'torch_curvature.node', 'libtorch.json'],
    ...(variant === 'cpu' ? { dependencies: { [libtorch]: libtorchVersion } } : {}),
    preferUnplugged: true,
    publishConfig: { access: 'public' },
  };
}

/** @param {Platform} platform */
export function libtorchManifest({ base, libtorch, libtorchVersion, system, limits }) {
  const { version: _, engines: __, ...shared } = base;
  return {
    name: libtorch,
    version: libtorchVersion,
    ...shared,
    description: `The shared libraries of libtorch ${libtorchVersion} for ${system}, as torch-curvature needs them`,
    license: 'SEE LICENSE IN licenses',
    ...limits,
    main: 'index.cjs',
    files: ['index.cjs', 'lib', 'licenses'],
    preferUnplugged: true,
    publishConfig: { access: 'public' },
  };
}
