export interface StatusLine {
  show(text: string): void;
  clear(): void;
}
type Stream = Pick<NodeJS.WriteStream, 'isTTY' | 'columns' | 'write'>;
export function statusLine(stream?: Stream): StatusLine;
export function isTerminal(stream?: Stream): boolean;
export function bar(done: number, total: number, width?: number): string;
