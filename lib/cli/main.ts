#!/usr/bin/env node
import { realpathSync } from 'node:fs';
import { Command, CommanderError } from 'commander';
import packageJson from '../../package.json' with { type: 'json' };
import { MEASURE, measureCommand } from './bench/child.ts';
import { benchCommand } from './bench.ts';
import { CLOSED_PIPE, endWithOutput, isClosedPipe } from './closed-output.ts';
import { completionCommand } from './completion.ts';
import { eigsCommand } from './eigs.ts';
import { describeError, Interruption, UsageError } from './failure.ts';
import { outputWidth, wrapWords } from './fit.ts';
import { infoCommand } from './info.ts';
import { exitCodeOf } from './interrupt.ts';
import { matvecCommand } from './matvec.ts';
import { spectrumCommand } from './spectrum.ts';
import { traceCommand } from './trace.ts';
import { trainCommand } from './train.ts';

/** Exit codes of the command: what a script calling it can rely on. */
const SUCCESS = 0;
const FAILURE = 1;
const WRONG_USAGE = 2;
const EXIT_CODES =
  `Exit code: ${SUCCESS} success, ${FAILURE} a check or a run failed, ${WRONG_USAGE} wrong usage, ` +
  `${exitCodeOf('SIGINT')} or ${exitCodeOf('SIGTERM')} interrupted by Ctrl-C or SIGTERM, ` +
  `${CLOSED_PIPE} nobody reads the output.`;

function program(executable: string): Command {
  const root = new Command('torch-curvature')
    .description('Matrix-free curvature products of PyTorch models, on libtorch.')
    .version(packageJson.version)
    .showHelpAfterError('(run with --help to see what is accepted)')
    .configureHelp({ minWidthToWrap: 20 })
    .addHelpText('after', () => wrapWords(`\n${EXIT_CODES}`, outputWidth()));
  const commands = [
    benchCommand(executable),
    infoCommand(),
    matvecCommand(),
    eigsCommand(),
    traceCommand(),
    spectrumCommand(),
    trainCommand(),
    completionCommand(),
    // The fresh processes that `bench` measures in.
    measureCommand(),
  ];
  for (const command of commands) {
    command.option('--debug', 'print stack traces of errors (as does TORCH_CURVATURE_DEBUG=1)');
    command.copyInheritedSettings(root).exitOverride();
    root.addCommand(command, { hidden: command.name() === MEASURE });
  }
  return root.exitOverride();
}

function say(error: unknown, debug: boolean): void {
  process.stderr.write(`torch-curvature: ${describeError(error, debug)}\n`);
}

async function main(args: readonly string[]): Promise<number> {
  const debug = args.includes('--debug') || process.env.TORCH_CURVATURE_DEBUG === '1';
  endWithOutput((error) => say(error, debug), FAILURE);
  if (args.length === 0) {
    program('').outputHelp({ error: true });
    return WRONG_USAGE;
  }
  try {
    await program(realpathSync(process.argv[1]!)).parseAsync(args, { from: 'user' });
    return typeof process.exitCode === 'number' ? process.exitCode : SUCCESS;
  } catch (error) {
    // Commander has printed its own message by now.
    if (error instanceof CommanderError) return error.exitCode === 0 ? SUCCESS : WRONG_USAGE;
    if (isClosedPipe(error)) return CLOSED_PIPE;
    say(error, debug);
    if (error instanceof Interruption) return error.exitCode;
    return error instanceof UsageError ? WRONG_USAGE : FAILURE;
  }
}

process.exitCode = await main(process.argv.slice(2));
