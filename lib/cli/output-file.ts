/** Files that a command is to write, looked at before the work that fills them: minutes may lie between. */
import { access, constants, type FileHandle, mkdir, open, rm, stat } from 'node:fs/promises';
import { dirname, extname, join, resolve } from 'node:path';
import { RunFailure, UsageError } from './failure.ts';

/** Extensions that promise a format. A file called so holds that format or is not written; other names are free. */
const FORMATS = new Set(
  'npy npz json jsonl html htm csv tsv txt md pt pth pt2 safetensors onnx mat h5 hdf5 pkl gz zip'
    .split(' ')
    .map((name) => `.${name}`),
);

export interface OutputFile {
  /** `--out` */
  option: string;
  path: string;
  /** What is written, first the usual extension: `['.html', '.htm']`. */
  extensions: readonly string[];
  /** Whether the extension says in which of the formats it is written, so that one of no format is a mistake. */
  chosen?: boolean;
  /** Make the folder it lies in, where that is missing. */
  makeFolder?: boolean;
}

/**
 * Checks that each file can be written and that its name does not promise another format.
 *
 * @throws UsageError when the names are wrong; RunFailure, with the system's code, when a file cannot be written
 */
export async function checkOutputFiles(files: readonly OutputFile[]): Promise<void> {
  const seen = new Map<string, string>();
  for (const { option, path, extensions, chosen = false } of files) {
    if (path === '-') {
      throw new UsageError(`${option} -: name a file, which may be /dev/stdout`);
    }
    const extension = extname(path).toLowerCase();
    if (FORMATS.has(extension) && !extensions.includes(extension)) {
      const name = `${path.slice(0, path.length - extension.length)}${extensions[0]}`;
      throw new UsageError(
        `${option} ${path}: what is written is ${extensions[0]}, not ${extension}; call it ${name}`,
      );
    }
    if (chosen && extension !== '' && !extensions.includes(extension)) {
      throw new UsageError(
        `${option} ${path}: what is written is ${extensions.join(' or ')}, not ${extension}`,
      );
    }
    const other = seen.get(resolve(path));
    if (other !== undefined) throw new UsageError(`${other} and ${option} name the same file: ${path}`);
    seen.set(resolve(path), option);
  }
  for (const file of files) await checkWritable(file);
}

async function checkWritable({ option, path, makeFolder = false }: OutputFile): Promise<void> {
  const folder = dirname(path);
  let there: FileHandle | undefined;
  try {
    if (makeFolder) await mkdir(folder, { recursive: true });
    const isNew = await stat(path).then(
      () => false,
      () => true,
    );
    // To append nothing leaves what an existing file holds.
    there = await open(path, 'a');
    if (isNew) await rm(path, { force: true });
  } catch (error) {
    throw unwritable(option, path, folder, error as NodeJS.ErrnoException);
  } finally {
    await there?.close();
  }
}

/** Checks that files can be made in a folder, which is made where it is missing. */
export async function checkOutputFolder(option: string, folder: string, names: readonly string[]) {
  try {
    await mkdir(folder, { recursive: true });
    await access(folder, constants.W_OK);
  } catch (error) {
    throw unwritable(option, folder, folder, error as NodeJS.ErrnoException);
  }
  for (const name of names) await checkWritable({ option, path: join(folder, name), extensions: [] });
}

const REASONS: Readonly<Record<string, (folder: string) => string>> = {
  ENOENT: (folder) => `there is no folder ${folder}`,
  EISDIR: () => 'it is a folder',
  ENOTDIR: (folder) => `${folder} is no folder`,
  EEXIST: (folder) => `a file stands where a folder should: ${folder}`,
  EACCES: () => 'no permission to write it',
  EPERM: () => 'no permission to write it',
  EROFS: () => 'the file system is read-only',
  ENOSPC: () => 'the disk is full',
  ENAMETOOLONG: () => 'the name is too long',
};

function unwritable(option: string, path: string, folder: string, error: NodeJS.ErrnoException): Error {
  const reason = REASONS[error.code ?? '']?.(folder) ?? error.message;
  return new RunFailure(`${option} ${path} cannot be written: ${reason} (${error.code})`, { cause: error });
}
