export interface Axis {
  label: string;
  logarithmic?: boolean;
  /** What the numbers are; plain ones where it is left out. */
  unit?: 'count' | 'ms' | 'bytes';
}

export interface Curve {
  label: string;
  x: readonly number[];
  /** A gap where it is null. */
  y: readonly (number | null)[];
  /** Blue, orange and green in turn where it is left out. */
  color?: 'blue' | 'orange' | 'green';
  dashed?: boolean;
  /** Dots alone, or a line with and without them. */
  dots?: 'only' | 'too';
}

/** Curves over abscissas of their own. */
export interface Plot {
  x: Axis;
  y: Axis;
  curves: readonly Curve[];
}

export interface Table {
  head: readonly string[];
  rows: readonly (readonly (string | number)[])[];
}

export interface Section {
  title: string;
  /** Of the plot's element. */
  id?: string;
  plot?: Plot;
  table?: Table;
  /** A paragraph each, below. */
  notes?: readonly string[];
}

export interface Page {
  title: string;
  introduction?: string;
  sections: readonly Section[];
}

/** @returns the HTML */
export function page(page: Page): string;
