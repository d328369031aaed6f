import { Command } from 'commander';
import { info } from '../index.ts';
import { fitPairs, outputWidth } from './fit.ts';

export function infoCommand(): Command {
  return new Command('info')
    .description('Say which libtorch is in use, where it lies, and on what it can compute.')
    .option('--json', 'print JSON')
    .action((options: { json?: boolean }) => {
      const facts = info();
      if (options.json) {
        process.stdout.write(`${JSON.stringify(facts, null, 2)}\n`);
        return;
      }
      const cuda = facts.cudaDevices.length > 0 ? facts.cudaDevices.join(', ') : 'none';
      const rows: [string, string][] = [
        ['libtorch', facts.libtorchVersion],
        ['found at', facts.libtorchPath],
        ['compiled against', facts.compiledVersion],
        ['CPU instruction set', facts.cpuCapability],
        ['threads', String(facts.threads)],
        ['CUDA support', facts.cudaCompiled ? 'compiled in' : 'not in this build of libtorch'],
        ['CUDA devices', cuda],
      ];
      process.stdout.write(`${fitPairs(rows, outputWidth())}\n`);
    });
}
