/** @throws Error where the user has no home folder and names no cache */
export function cacheFolder(env: NodeJS.ProcessEnv, platform?: NodeJS.Platform): string;
