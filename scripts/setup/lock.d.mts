/** Runs `work` while holding the lock `file`, so that other processes doing the same wait. */
export function withLock<T>(file: string, work: () => Promise<T>, onWait?: () => void): Promise<T>;
