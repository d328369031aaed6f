import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';

/**
 * The environment in which builds of the same sources in several folders share their objects, where there is ccache: each
 * compiles from its own files, but what one has compiled from the same text the next one takes. `.ci/run` says the same of the
 * clone's own build.
 *
 * @param folder that the package is built in
 */
export function compilerCache(folder: string): NodeJS.ProcessEnv {
  if (spawnSync('ccache', ['--version']).status !== 0) return {};
  return {
    CMAKE_CXX_COMPILER_LAUNCHER: 'ccache',
    CCACHE_DIR: process.env.CCACHE_DIR ?? fileURLToPath(new URL('../../build/ccache', import.meta.url)),
    // Paths below it count from the folder that is compiled in.
    CCACHE_BASEDIR: folder,
    CCACHE_NOHASHDIR: '1',
    // Warnings are errors in a clone.
    CCACHE_IGNOREOPTIONS: '-Werror',
    CCACHE_SLOPPINESS: 'pch_defines,time_macros,include_file_mtime,include_file_ctime,locale',
  };
}
