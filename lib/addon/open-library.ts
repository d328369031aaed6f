/** Opens a library of the system's before the addon asks for it: of two with one name the system takes the one it has. */
import { constants } from 'node:os';

/** `RTLD_NODELETE`, which Node.js has no name for: it closes at once what turns out to be no addon. */
const NO_DELETE = { linux: 0x1000, darwin: 0x80 } as const;

/** Node.js's words for a library that was opened and is no addon. */
const NO_ADDON = 'did not self-register';

/** Flags of `process.dlopen` that keep a library for the life of the process. */
export function keepingFlags(): number {
  return constants.dlopen.RTLD_LAZY | NO_DELETE[process.platform as keyof typeof NO_DELETE];
}

/** @throws Error `ERR_DLOPEN_FAILED` with the system's reason */
export function openLibrary(file: string): void {
  try {
    process.dlopen({ exports: {} }, file, keepingFlags());
  } catch (error) {
    if (!(error as Error).message.includes(NO_ADDON)) throw error;
  }
}
