/** What a training came to, for people: a line or two, a table, and a page with curves. */
import { page } from '../../../scripts/report/page.mjs';
import { fitTable, outputWidth, wrapWords } from '../fit.ts';
import { formatMs } from '../format.ts';
import { figure } from '../results.ts';
import { METHODS, type MethodName } from './methods.ts';
import { lossAfter, type TimedRecord, type TrainingReason } from './steps.ts';

/** A training with all that is told of it. */
export interface Outcome {
  method: MethodName;
  /** `mse of net.pt2` */
  subject: string;
  parameterCount: number;
  dtype: string;
  device: string;
  records: TimedRecord[];
  reason: TrainingReason;
  /** Why it ended, in words. */
  message: string;
  /** λ, or the radius of the trust region, of the step that would be next. */
  damping: number;
  /** Of all data, before and after. */
  initialLoss: number;
  finalLoss: number;
  /** Whether steps have the rows of all data. */
  whole: boolean;
  milliseconds: number;
}

export const acceptedSteps = (records: readonly TimedRecord[]) =>
  records.filter(({ accepted }) => accepted).length;

const title = ({ method, subject }: Outcome) => `${method}, ${subject}`;

function summary({ records, initialLoss, finalLoss, milliseconds }: Outcome): string {
  const products = records.reduce((sum, { iterations }) => sum + iterations, 0);
  return (
    `loss ${figure(initialLoss)} → ${figure(finalLoss)}: ${records.length} steps, ${acceptedSteps(records)} of them taken, ` +
    `${products} products, ${formatMs(milliseconds)}`
  );
}

const head = (method: MethodName) => [
  ...['step', 'loss before', 'loss there', 'gradient', METHODS[method].damping, 'products', ''],
];

const row = (record: TimedRecord): string[] => [
  String(record.step),
  ...[record.loss, record.candidateLoss, record.gradientNorm, record.damping].map(figure),
  String(record.iterations),
  record.accepted ? 'taken' : '',
];

/** Rows of tables, at the most. */
const [PRINTED, IN_PAGE] = [11, 1000];

/** Some of the values, the first and the last among them, at about the same distances. */
export function someOf<T>(values: readonly T[], most: number): T[] {
  if (values.length <= most) return [...values];
  return Array.from({ length: most }, (_, i) => values[Math.round((i * (values.length - 1)) / (most - 1))]!);
}

/** What is printed. */
export function describeTraining(outcome: Outcome): string {
  const { method, records, parameterCount, dtype, device, message } = outcome;
  const width = outputWidth();
  const subject = `${title(outcome)}, ${parameterCount} parameters, ${dtype} on ${device}`;
  const table = fitTable(head(method), someOf(records, PRINTED).map(row), width);
  return [
    wrapWords(subject, width),
    ...(records.length > 0 ? [table] : []),
    wrapWords(`${summary(outcome)}\n${message}`, width),
  ].join('\n');
}

/** HTML. */
export function trainingPage(outcome: Outcome): string {
  const { method, records, message, whole } = outcome;
  const { damping } = METHODS[method];
  const of = (value: (record: TimedRecord) => number) => records.map(value);
  const steps = of(({ step }) => step);
  // The first point is the start; of minibatches, each has a loss of its own.
  const losses = whole
    ? { x: [0, ...steps], y: [outcome.initialLoss, ...of(lossAfter)] }
    : { x: steps, y: of(({ loss }) => loss) };
  const plot = (label: string, { x, y }: { x: number[]; y: number[] }) => {
    const logarithmic = y.every((each) => each >= 0) && y.some((each) => each > 0);
    const shown = y.map((each) => (logarithmic && each === 0 ? null : each));
    return {
      x: { label: 'step' },
      y: { label, logarithmic },
      curves: [{ label, x, y: shown, dots: 'too' as const }],
    };
  };
  return page({
    title: title(outcome),
    introduction: `${summary(outcome)}; ${message}.`,
    sections: [
      {
        title: whole ? 'Loss after each step' : 'Loss of the rows of each step, before it',
        id: 'loss',
        plot: plot('loss', losses),
      },
      {
        title: 'Norm of the gradient before each step',
        id: 'gradient',
        plot: plot('norm', { x: steps, y: of(({ gradientNorm }) => gradientNorm) }),
      },
      {
        title: `${damping === 'radius' ? 'Radius of the trust region' : 'Damping λ'} of each step`,
        id: 'damping',
        plot: plot(damping, { x: steps, y: of((record) => record.damping) }),
      },
      { title: 'Numbers', table: { head: head(method), rows: someOf(records, IN_PAGE).map(row) } },
    ],
  });
}
