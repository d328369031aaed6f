/** Completion for bash, also the old one of macOS. */
import type { CompletedCommand, CompletedOption } from './words.ts';

export function bashScript(commands: readonly CompletedCommand[], own: readonly CompletedOption[]): string {
  const longs = (options: readonly CompletedOption[]) => options.map(({ long }) => long);
  const first = [...commands.map(({ name }) => name), ...longs(own)];
  const values = commands.flatMap(({ name, options }) =>
    options.filter(({ value }) => value !== 'none').map((option) => valueCase(name, option)),
  );
  const words = commands.map(
    ({ name, options, words }) => `    ${name}) words='${[...longs(options), ...words].join(' ')}' ;;`,
  );
  return `# torch-curvature for bash: source <(torch-curvature completion bash)
_torch_curvature() {
  local current=\${COMP_WORDS[COMP_CWORD]} before=\${COMP_WORDS[COMP_CWORD-1]} words IFS=$' \\t\\n'
  # --option=value is three words here
  if [ "$current" = '=' ]; then current=''
  elif [ "$before" = '=' ]; then before=\${COMP_WORDS[COMP_CWORD-2]}
  fi
  COMPREPLY=()
  if [ "$COMP_CWORD" -eq 1 ]; then
    COMPREPLY=($(compgen -W '${first.join(' ')}' -- "$current"))
    return
  fi
  case "\${COMP_WORDS[1]} $before" in
${values.join('\n')}
  esac
  case "\${COMP_WORDS[1]}" in
${words.join('\n')}
  esac
  COMPREPLY=($(compgen -W "$words" -- "$current"))
}
complete -F _torch_curvature torch-curvature
`;
}

function valueCase(command: string, { long, value }: CompletedOption): string {
  const pattern = `    '${command} ${long}')`;
  if (value === 'path') {
    return `${pattern} IFS=$'\\n'; COMPREPLY=($(compgen -f -- "$current")); compopt -o filenames 2>/dev/null; return ;;`;
  }
  if (typeof value === 'string') return `${pattern} return ;;`;
  return `${pattern} COMPREPLY=($(compgen -W '${value.join(' ')}' -- "$current")); return ;;`;
}
