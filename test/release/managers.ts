/** How each package manager adds the package to a project, and puts a project's packages back without a network. */
import type { Tools } from './tools.ts';

export interface Manager {
  name: string;
  /** Files of a project that is set up for it. */
  files(registry: string): Record<string, string>;
  add(tools: Tools): [program: string, args: string[]];
  offline(tools: Tools): [program: string, args: string[]];
  /** What runs a program of the project's. */
  run?(tools: Tools): [program: string, args: string[]];
}

const NAME = 'torch-curvature';

/** A manager written in JavaScript. */
function script(file: string, ...args: string[]): [string, string[]] {
  return [process.execPath, [file, ...args]];
}

const npmrc = (registry: string) => ({ '.npmrc': `registry=${registry}\n` });

function berry(linker: 'node-modules' | 'pnp') {
  return (registry: string) => ({
    'yarn.lock': '',
    '.yarnrc.yml': [
      `nodeLinker: ${linker}`,
      `npmRegistryServer: '${registry.replace(/\/$/, '')}'`,
      'unsafeHttpWhitelist: ["127.0.0.1"]',
      'enableScripts: false',
      'enableTelemetry: false',
      'enableGlobalCache: false',
      'npmMinimalAgeGate: 0', // what was published a minute ago
    ].join('\n'),
  });
}

const berryBin = (tools: Tools) => tools.file('@yarnpkg/cli-dist', 'bin/yarn.js');
const bunBin = (tools: Tools) => tools.file('@oven/bun-linux-x64', 'bin/bun');
const pnpmBin = (tools: Tools) => tools.file('pnpm', 'bin/pnpm.mjs');

export const MANAGERS: readonly Manager[] = [
  {
    name: 'npm',
    files: npmrc,
    add: (tools) => script(tools.bin('npm'), 'install', '--no-audit', NAME),
    offline: (tools) => script(tools.bin('npm'), 'ci', '--offline', '--no-audit'),
  },
  {
    name: 'npm without scripts',
    files: npmrc,
    add: (tools) => script(tools.bin('npm'), 'install', '--ignore-scripts', '--no-audit', NAME),
    offline: (tools) => script(tools.bin('npm'), 'ci', '--ignore-scripts', '--offline', '--no-audit'),
  },
  {
    name: 'pnpm, which blocks scripts',
    files: npmrc,
    add: (tools) => script(pnpmBin(tools), 'add', NAME),
    offline: (tools) => script(pnpmBin(tools), 'install', '--offline', '--frozen-lockfile'),
  },
  {
    name: 'yarn 1',
    files: npmrc,
    add: (tools) => script(tools.bin('yarn'), 'add', '--non-interactive', NAME),
    offline: (tools) => script(tools.bin('yarn'), 'install', '--offline', '--frozen-lockfile'),
  },
  {
    name: 'yarn 4',
    files: berry('node-modules'),
    add: (tools) => script(berryBin(tools), 'add', NAME),
    offline: (tools) => script(berryBin(tools), 'install', '--immutable'),
  },
  {
    name: "yarn 4 with Plug'n'Play",
    files: berry('pnp'),
    add: (tools) => script(berryBin(tools), 'add', NAME),
    offline: (tools) => script(berryBin(tools), 'install', '--immutable'),
    run: (tools) => script(berryBin(tools), 'node'),
  },
  {
    name: 'bun, which blocks scripts',
    files: npmrc,
    add: (tools) => [bunBin(tools), ['add', NAME]],
    offline: (tools) => [bunBin(tools), ['install', '--frozen-lockfile']],
  },
];
