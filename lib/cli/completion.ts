import { Argument, Command } from 'commander';
import { bashScript } from './completion/bash.ts';
import { fishScript } from './completion/fish.ts';
import { completedCommands, completedOptions } from './completion/words.ts';
import { zshScript } from './completion/zsh.ts';
import { oneOf } from './options.ts';

const SCRIPTS = { bash: bashScript, zsh: zshScript, fish: fishScript } as const;
const SHELLS = Object.keys(SCRIPTS) as (keyof typeof SCRIPTS)[];

export function completionCommand(): Command {
  const command = new Command('completion')
    .description(
      'Print what makes a shell complete commands, options and names: source <(torch-curvature completion bash)',
    )
    .addArgument(new Argument('<shell>', 'which shell').choices(SHELLS).argParser(oneOf(SHELLS)));
  return command.action((shell: keyof typeof SCRIPTS) => {
    const program = command.parent!;
    process.stdout.write(SCRIPTS[shell](completedCommands(program), completedOptions(program)));
  });
}
