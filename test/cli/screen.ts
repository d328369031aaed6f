/** Commands in a terminal: a pseudo-terminal, and an emulator that turns what was written to it into a screen. */
import { type IPty, spawn } from '@lydell/node-pty';
import xterm from '@xterm/headless';

export interface Screen {
  /** Exit code, or the signal's number. */
  end: { exitCode: number; signal: number };
  /** Rows of the scrollback and the screen, without trailing blanks and without empty rows at the end. */
  rows: string[];
  /** Rows that go on from the one before, as it was too long. */
  wrapped: number[];
  /** Whether a shell gets the terminal as it was before. */
  wrapsLines: boolean;
  showsCursor: boolean;
  /** All that was written. */
  bytes: string;
}

export interface ScreenOptions {
  columns: number;
  cwd?: string;
  env?: NodeJS.ProcessEnv;
  /** Called with all that was written so far, each time more is. */
  onData?: (bytes: string, pty: IPty) => void;
}

export async function onScreen(
  file: string,
  args: readonly string[],
  options: ScreenOptions,
): Promise<Screen> {
  const { columns, cwd = process.cwd(), env = {}, onData } = options;
  const { CI: _, ...ours } = process.env;
  const terminal = new xterm.Terminal({
    cols: columns,
    rows: 24,
    scrollback: 10_000,
    allowProposedApi: true,
  });
  const pty = spawn(file, [...args], {
    ...{ cols: columns, rows: 24, cwd, name: env.TERM ?? 'xterm-256color' },
    env: { ...ours, ...env } as Record<string, string>,
  });
  let bytes = '';
  pty.onData((data) => {
    bytes += data;
    terminal.write(data);
    onData?.(bytes, pty);
  });
  const end = await new Promise<Screen['end']>((resolve) => {
    pty.onExit(({ exitCode, signal = 0 }) => resolve({ exitCode, signal }));
  });
  await new Promise<void>((resolve) => terminal.write('', resolve));

  const buffer = terminal.buffer.active;
  const lines = Array.from({ length: buffer.length }, (__, row) => buffer.getLine(row)!);
  const rows = lines.map((line) => line.translateToString(true));
  while (rows.at(-1) === '') rows.pop();
  return {
    end,
    rows,
    wrapped: lines.flatMap((line, row) => (line.isWrapped ? [row] : [])),
    wrapsLines: terminal.modes.wraparoundMode,
    showsCursor: !isCursorHidden(terminal),
    bytes,
  };
}

/** Not in the emulator's public interface. */
function isCursorHidden(terminal: unknown): boolean {
  const { isCursorHidden } = (terminal as { _core: { coreService: { isCursorHidden: boolean } } })._core
    .coreService;
  if (typeof isCursorHidden !== 'boolean')
    throw new Error('xterm.js tells no longer whether the cursor shows');
  return isCursorHidden;
}
