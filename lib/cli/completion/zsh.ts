/** Completion for zsh, sourced or as a file `_torch-curvature` in `$fpath`. */
import type { CompletedCommand, CompletedOption } from './words.ts';

export function zshScript(commands: readonly CompletedCommand[], own: readonly CompletedOption[]): string {
  const cases = commands.map(
    ({ name, options, words }) =>
      `    ${name}) _arguments ${[...options.map(argument), ...positional(words)].join(' \\\n      ')} ;;`,
  );
  const described = commands.map(({ name, description }) => quoted(`${name}:${description}`));
  return `#compdef torch-curvature
# torch-curvature for zsh: source <(torch-curvature completion zsh)
_torch_curvature() {
  local -a commands
  commands=(
    ${described.join('\n    ')}
  )
  if (( CURRENT == 2 )); then
    _describe command commands
    _arguments ${own.map(argument).join(' ')}
    return
  fi
  shift words
  (( CURRENT-- ))
  case $words[1] in
${cases.join('\n')}
  esac
}
if [ "$funcstack[1]" = _torch_curvature ]; then
  _torch_curvature "$@"
else
  compdef _torch_curvature torch-curvature
fi
`;
}

function argument({ long, description, value }: CompletedOption): string {
  const text = description.replace(/[[\]:\\]/g, '\\$&');
  const name = long.slice(2);
  if (value === 'none') return quoted(`${long}[${text}]`);
  const values = value === 'path' ? '_files' : value === 'other' ? ' ' : `(${value.join(' ')})`;
  return quoted(`*${long}=[${text}]:${name}:${values}`);
}

const positional = (words: readonly string[]) =>
  words.length > 0 ? [quoted(`1:word:(${words.join(' ')})`)] : [];

const quoted = (text: string) => `'${text.replaceAll("'", "'\\''")}'`;
