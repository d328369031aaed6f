/** Completion for fish. */
import type { CompletedCommand, CompletedOption } from './words.ts';

export function fishScript(commands: readonly CompletedCommand[], own: readonly CompletedOption[]): string {
  const first = '-n __fish_use_subcommand';
  const lines = [
    ...commands.map(({ name, description }) => `${first} -a ${name} -d ${quoted(description)}`),
    ...own.map((option) => `${first} ${optionFlags(option)}`),
    ...commands.flatMap(({ name, options, words }) => {
      const within = `-n '__fish_seen_subcommand_from ${name}'`;
      return [
        ...options.map((option) => `${within} ${optionFlags(option)}`),
        ...(words.length > 0 ? [`${within} -a ${quoted(words.join(' '))}`] : []),
      ];
    }),
  ];
  return `# torch-curvature for fish: torch-curvature completion fish | source
complete -c torch-curvature -f
${lines.map((line) => `complete -c torch-curvature ${line}`).join('\n')}
`;
}

function optionFlags({ long, description, value }: CompletedOption): string {
  const flag = `-l ${long.slice(2)} -d ${quoted(description)}`;
  if (value === 'none') return flag;
  if (value === 'path') return `${flag} -r -F`;
  return value === 'other' ? `${flag} -x` : `${flag} -x -a ${quoted(value.join(' '))}`;
}

const quoted = (text: string) => `'${text.replace(/[\\']/g, '\\$&')}'`;
