import { pathToFileURL } from 'node:url';

/** The module that this code is in: a source, a file of `dist`, or a bundle of someone's. */
export const SELF: string = ownUrl();

/** The folder of the package: the parent of `lib/`, and of `dist/` once everything is one file there. */
export const ROOT = new URL('..', SELF);

/** Some bundlers make ES modules of CommonJS ones and leave them without a name; the program itself has one. */
function ownUrl(): string {
  try {
    return import.meta.url;
  } catch {
    return pathToFileURL(process.argv[1] ?? process.execPath).href;
  }
}
