/** Where the page "Export your model" helps with a refusal. */
import { TorchCurvatureError } from '../../errors.ts';

const PAGE = 'scripts/docs/export.md';

/** What is said in a refusal, and the section that helps. The words are of both sides, this one and native code. */
export const SECTIONS: readonly (readonly [said: RegExp, section: string])[] = [
  [
    /draws random numbers|random.*eval\(\)|batch_norm|running_(mean|var)|export it after eval/,
    'evaluation-mode',
  ],
  [
    /the precision |precisions|converts to (float|bfloat|complex|double|half)|float32 or float64, is needed|should be float32 or float64/,
    'precision',
  ],
  [/model returns \d+ (values|tensors)/, 'several-results'],
  [/predispatch|functorch/, 'derivatives-by-the-inputs'],
  [
    /control flow|branches on|repeats as often|takes? a value out of|takes out of the data|in place|run_decompositions|writes to one place twice|no place in a straight-line program|not among the operators|number of axes is not known|whose length is known only/,
    'what-a-program-cannot-hold',
  ],
  [
    /is TorchScript|zip archive|neither an exported program|torch\.save|state dict|pickle/,
    'files-of-other-kinds',
  ],
  [/this libtorch has no operator|of the export format|schema version/, 'files-of-other-kinds'],
  [
    /for a batch of no rows|axis for the batch|has the batch in its axis|return the batch first/,
    'dynamic-batch',
  ],
];

/** The same refusal, with the section where one helps. */
export function withHelp(error: unknown): unknown {
  if (!(error instanceof TorchCurvatureError)) return error;
  const section = SECTIONS.find(([said]) => said.test(error.message))?.[1];
  if (section === undefined) return error;
  return new TorchCurvatureError(error.code, `${error.message} (see ${PAGE}#${section})`, { cause: error });
}
