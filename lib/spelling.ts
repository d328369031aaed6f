/** Which known name a caller meant: another way to write it, another library's word for it, or a slip of the finger. */

/** Words of PyTorch, SciPy, NumPy and others for the names here, lower case and without underscores. */
const SYNONYMS: Readonly<Record<string, readonly string[]>> = synonyms({
  activities: 'activity devices',
  alpha: 'slope',
  basis: 'ncv krylov krylovdimension subspace lanczosvectors',
  batches: 'dataset loader dataloader datas stream',
  bias: 'usebias withbias hasbias',
  center: 'centre centered centred centering centring demean subtractmean',
  chunkSize: 'batchsize minibatch minibatchsize microbatch microbatchsize chunk chunks blocksize rowsatonce',
  countIncludePad: 'includepad includepadding',
  device: 'dev gpu cuda placement',
  dtype: 'datatype type precision floattype',
  elementwiseAffine: 'affine',
  affine: 'elementwiseaffine',
  'empirical-fisher': 'ef efim empiricalfim',
  engine: 'backend implementation impl',
  eps: 'epsilon',
  fisher: 'fim',
  'gauss-newton': 'ggn gn generalizedgaussnewton ggnvp',
  generator: 'rng random',
  gramian: 'gram jtj qgt quantumgeometrictensor s',
  gridPoints: 'npoints numpoints points grid gridsize bins nbins numbins',
  hessian: 'hess hvp',
  high: 'max maximum maxval to b',
  jacobian: 'jac jvp vjp',
  k: 'neigs numeigs neig numeig nev neigenvalues numeigenvalues nvectors numvectors topk topn count nrhs numrhs',
  'levenberg-marquardt': 'lm levmar',
  loss: 'lossfn lossfunction lossfunc lossname criterion objective cost costfunction',
  low: 'min minimum minval from a',
  margin: 'padding overhang',
  maxIterations: 'maxiter maxiters maxit niter niters numiter numiterations iterations iters maxsteps nsteps',
  mcSamples: 'samples nsamples numsamples montecarlosamples draws ndraws',
  memoryBudget: 'memory memorylimit maxmemory budget memlimit limit',
  method: 'strategy algorithm estimator',
  model: 'module net network nnmodule func function fn',
  'natural-gradient': 'ngd naturalgradientdescent',
  negativeSlope: 'slope alpha',
  'newton-cg': 'newton hessianfree hf truncatednewton trustregion',
  ntk: 'kernel tangentkernel neuraltangentkernel',
  onIteration: 'callback oniter onstep progress',
  out: 'output result dest destination dst into buffer',
  paddingIdx: 'paddingindex padidx padindex',
  padding: 'pad',
  params: 'parameters param theta statedict variables',
  preconditioner: 'm precond precondition pc minv',
  products: 'nproducts numproducts expectedproducts matvecs',
  probes: 'samples nsamples numsamples nprobes numprobes nruns nv numvectors nvectors draws',
  profileMemory: 'memory memoryprofile recordmemory withmemory',
  recordShapes: 'shapes withshapes inputshapes recordinputshapes groupbyinputshape',
  reduction: 'reduce sizeaverage',
  rowLimit: 'limit rows maxrows nrows numrows top',
  samples:
    'nsamples numsamples mcsamples probes numprobes nprobes nvectors numvectors ndraws draws numqueries',
  seed: 'randomstate randomseed rngseed manualseed rng generator',
  sigma: 'sigmasquared variance bandwidth std stddev kernelwidth',
  signal: 'abort abortsignal abortcontroller cancel canceltoken cancellationtoken token',
  sortBy: 'sort sortkey sortedby order orderby key',
  steps: 'nsteps numsteps lanczossteps maxiter maxiterations niter numiter order degree deg iterations',
  strategy: 'method mode algorithm',
  target: 'targets y ys label labels ytrue truth',
  threads: 'nthreads numthreads intraopthreads intraop workers numworkers jobs njobs cores concurrency',
  tolerance: 'tol rtol reltol eps epsilon atol ftol gtol',
  trusted: 'trust safe unsafe weightsonly',
  weights: 'weight sampleweight sampleweights rowweights instanceweights',
  which: 'sort order target side',
  withFlops: 'flops countflops recordflops',
  x: 'input inputs data features xs images',
  x0: 'initial initialguess guess start init warmstart',
});

function synonyms(words: Readonly<Record<string, string>>): Record<string, string[]> {
  const names: Record<string, string[]> = Object.create(null);
  for (const [name, list] of Object.entries(words)) {
    for (const word of list.split(' ')) {
      names[word] ??= [];
      names[word].push(name);
    }
  }
  return names;
}

/** `sort_by`, `sort-by`, `SortBy`: all the same word. */
const bare = (name: string) => name.replace(/[\s_-]/g, '').toLowerCase();

/** The known name that `given` stands for most likely; undefined where none is near. */
export function nearestName(given: string, known: readonly string[]): string | undefined {
  // Longer than any option by far; the distance to it would only take time.
  if (given.length > 64) return undefined;
  const word = bare(given);
  const same = known.find((name) => bare(name) === word);
  if (same !== undefined) return same;
  const meant = SYNONYMS[word]?.find((name) => known.includes(name));
  if (meant !== undefined) return meant;
  let [nearest, least, longest]: [string | undefined, number, number] = [
    undefined,
    Number.POSITIVE_INFINITY,
    0,
  ];
  for (const name of known) {
    const edits = distance(word, bare(name));
    // Of two as near, the one that begins as the word does: slips are rare at the beginning.
    const prefix = commonPrefix(word, bare(name));
    if (edits < least || (edits === least && prefix > longest))
      [nearest, least, longest] = [name, edits, prefix];
  }
  return least <= Math.max(1, Math.floor(word.length / 3)) ? nearest : undefined;
}

function commonPrefix(a: string, b: string): number {
  let length = 0;
  while (length < a.length && a[length] === b[length]) length += 1;
  return length;
}

/**
 * How many slips make `b` of `a`: letters added, left out, replaced, or exchanged with their neighbor (the optimal string
 * alignment distance).
 */
function distance(a: string, b: string): number {
  let before: number[] = [];
  let last = Array.from({ length: b.length + 1 }, (_, j) => j);
  for (let i = 1; i <= a.length; i++) {
    const row = [i];
    for (let j = 1; j <= b.length; j++) {
      const replaced = last[j - 1]! + Number(a[i - 1] !== b[j - 1]);
      row[j] = Math.min(replaced, last[j]! + 1, row[j - 1]! + 1);
      if (i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1]) {
        row[j] = Math.min(row[j]!, before[j - 2]! + 1);
      }
    }
    [before, last] = [last, row];
  }
  return last[b.length]!;
}
