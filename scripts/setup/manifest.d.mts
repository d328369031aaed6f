export interface FileRecord {
  bytes: number;
  seconds?: number;
  sha256: string;
}
export type Manifest = Record<string, FileRecord>;
export function recordFiles(folder: string, names: readonly string[]): Manifest;
export function findAltered(folder: string, manifest: Manifest): { name: string; fault: string } | undefined;
