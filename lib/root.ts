/** The folder of the package: the parent of `lib/`, and of `dist/` once everything is one file there. */
export const ROOT = new URL('..', import.meta.url);
