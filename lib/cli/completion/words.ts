/** What can be completed, found in the program itself: its commands, their options and what these take. */
import type { Command, Option } from 'commander';

export interface CompletedOption {
  /** `--model` */
  long: string;
  description: string;
  /** What follows it: nothing, a path, one of some words, or something that only the caller knows. */
  value: 'none' | 'path' | 'other' | readonly string[];
}

export interface CompletedCommand {
  name: string;
  description: string;
  options: CompletedOption[];
  /** Words for its argument, where it takes one. */
  words: readonly string[];
}

/** The commands of a program, those hidden left out. */
export function completedCommands(program: Command): CompletedCommand[] {
  const help = program.createHelp();
  return help.visibleCommands(program).map((command) => ({
    name: command.name(),
    description: firstSentence(command.description()),
    options: completedOptions(command),
    words: command.name() === 'help' ? namesOf(program) : (command.registeredArguments[0]?.argChoices ?? []),
  }));
}

function namesOf(program: Command): string[] {
  const help = program.createHelp();
  return help
    .visibleCommands(program)
    .map((command) => command.name())
    .filter((name) => name !== 'help');
}

/** The options of a command or of the program itself. */
export function completedOptions(command: Command): CompletedOption[] {
  return command
    .createHelp()
    .visibleOptions(command)
    .filter(({ long }) => long)
    .map((option) => ({
      long: option.long!,
      description: firstSentence(option.description),
      value: takenBy(option),
    }));
}

function takenBy({ argChoices, flags }: Option): CompletedOption['value'] {
  if (argChoices !== undefined) return argChoices;
  if (/<(file|dir)>/.test(flags)) return 'path';
  return flags.includes('<') ? 'other' : 'none';
}

/** One that fits beside a word in a terminal. */
function firstSentence(text: string): string {
  return text.replace(/[.,:;(] .*| \(.*/s, '').replace(/\.$/, '');
}
