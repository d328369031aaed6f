/** Files that are there as a whole or not at all, whatever ends the process in between. */
import { randomBytes } from 'node:crypto';
import {
  chmodSync,
  closeSync,
  openSync,
  realpathSync,
  renameSync,
  rmSync,
  type Stats,
  statSync,
} from 'node:fs';
import { chmod, open, realpath, rename, rm, stat } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';

/** Where a path leads, through links, and what is there. */
export interface Place {
  target: string;
  there: Stats | undefined;
}

export async function placeOf(path: string): Promise<Place> {
  const target = await realpath(path).catch(() => path);
  return { target, there: await stat(target).catch(() => undefined) };
}

/** Files under way, which nobody needs once the process has ended. */
const drafts = new Set<string>();

function beginDraft(path: string): void {
  if (drafts.size === 0) process.on('exit', removeDrafts);
  drafts.add(path);
}

function endDraft(path: string): void {
  drafts.delete(path);
  if (drafts.size === 0) process.off('exit', removeDrafts);
}

function removeDrafts(): void {
  // What is thrown here would keep other listeners from hearing.
  for (const path of drafts) attempt(() => rmSync(path, { force: true }));
}

const draftFor = (target: string) =>
  join(dirname(target), `.${basename(target).slice(0, 200)}.${randomBytes(6).toString('hex')}`);

/**
 * Writes a file of these parts into a new one beside it, which takes its place once all of it is on the disk. Whoever reads
 * the file meanwhile, or after a failure at any moment, finds what was there before. An existing file's permissions stay.
 */
export async function replaceFile(
  { target, there }: Place,
  parts: Iterable<string | Uint8Array>,
): Promise<void> {
  const draft = draftFor(target);
  beginDraft(draft);
  try {
    const file = await open(draft, 'wx');
    try {
      for (const part of parts) await file.writeFile(part);
      await file.sync();
    } finally {
      await file.close();
    }
    if (there !== undefined) await chmod(draft, there.mode);
    await rename(draft, target);
  } catch (error) {
    await rm(draft, { force: true }).catch(() => {});
    throw error;
  } finally {
    endDraft(draft);
  }
}

/**
 * The same for what `write` writes by itself, into the empty file that it is given. Where no regular file stands, a pipe say,
 * it is given that.
 */
export function replaceFileSync(path: string, write: (draft: string) => void): void {
  const target = attempt(() => realpathSync(path)) ?? path;
  const there = attempt(() => statSync(target));
  if (there !== undefined && !there.isFile()) {
    write(target);
    return;
  }
  const draft = draftFor(target);
  beginDraft(draft);
  try {
    closeSync(openSync(draft, 'wx'));
    write(draft);
    if (there !== undefined) chmodSync(draft, there.mode);
    renameSync(draft, target);
  } catch (error) {
    attempt(() => rmSync(draft, { force: true }));
    throw error;
  } finally {
    endDraft(draft);
  }
}

function attempt<T>(action: () => T): T | undefined {
  try {
    return action();
  } catch {
    return undefined;
  }
}
