/** The table of `key_averages().table()`, column for column as PyTorch's profiler prints it. */
import type { RawProfileRow } from '../addon/profiles.ts';

export interface TableContext {
  profileMemory: boolean;
  withFlops: boolean;
  /** Whether a device was profiled; its columns are then headed CUDA. */
  device: boolean;
  selfCpuTimeTotal: number;
  selfDeviceTimeTotal: number;
}

const NAME_WIDTH = 55;
const SHAPES_WIDTH = 80;
const COLUMN_WIDTH = 12;

interface Column {
  header: string;
  width: number;
  cell: (row: RawProfileRow) => string;
}

/** @param all every row of the profile, which decides the columns; the first `limit` are printed */
export function profileTable(all: readonly RawProfileRow[], limit: number, context: TableContext): string {
  if (all.length === 0) return '';
  const columns = chooseColumns(all, context);
  const line = (cells: readonly string[]) =>
    `${cells.map((cell, index) => cell.padStart(columns[index]!.width)).join('  ')}  \n`;
  const rule = line(columns.map(({ width }) => '-'.repeat(width)));
  const header = line(columns.map((column) => column.header));
  const body = all.slice(0, limit).map((row) => line(columns.map(({ cell }) => cell(row))));
  const totals = [`Self CPU time total: ${formatTime(context.selfCpuTimeTotal)}\n`];
  if (hasDeviceTime(all)) totals.push(`Self CUDA time total: ${formatTime(context.selfDeviceTimeTotal)}\n`);
  return [rule, header, rule, ...body, rule, ...totals].join('');
}

function chooseColumns(rows: readonly RawProfileRow[], context: TableContext): Column[] {
  const { profileMemory, withFlops, device, selfCpuTimeTotal, selfDeviceTimeTotal } = context;
  const plain = (header: string, cell: Column['cell']): Column => ({ header, width: COLUMN_WIDTH, cell });
  const columns: Column[] = [
    { header: 'Name', width: nameWidth(rows), cell: ({ name }) => shortened(name) },
    plain('Self CPU %', (row) => share(row.selfCpuTimeTotal, selfCpuTimeTotal)),
    plain('Self CPU', (row) => formatTime(row.selfCpuTimeTotal)),
    plain('CPU total %', (row) => share(row.cpuTimeTotal, selfCpuTimeTotal)),
    plain('CPU total', (row) => formatTime(row.cpuTimeTotal)),
    plain('CPU time avg', (row) => formatTime(row.cpuTimeTotal / row.count)),
  ];
  if (hasDeviceTime(rows)) {
    columns.push(
      plain('Self CUDA', (row) => formatTime(row.selfDeviceTimeTotal)),
      plain('Self CUDA %', (row) => share(row.selfDeviceTimeTotal, selfDeviceTimeTotal)),
      plain('CUDA total', (row) => formatTime(row.deviceTimeTotal)),
      plain('CUDA time avg', (row) => formatTime(row.deviceTimeTotal / row.count)),
    );
  }
  if (profileMemory) {
    columns.push(
      plain('CPU Mem', (row) => formatMemory(row.cpuMemoryUsage)),
      plain('Self CPU Mem', (row) => formatMemory(row.selfCpuMemoryUsage)),
    );
    if (device && rows.some((row) => row.selfDeviceMemoryUsage > 0)) {
      columns.push(
        plain('CUDA Mem', (row) => formatMemory(row.deviceMemoryUsage)),
        plain('Self CUDA Mem', (row) => formatMemory(row.selfDeviceMemoryUsage)),
      );
    }
  }
  columns.push(plain('# of Calls', (row) => String(row.count)));
  if (rows.some(({ inputShapes }) => inputShapes !== undefined && inputShapes.length > 0)) {
    const width = Math.min(SHAPES_WIDTH, Math.max(...rows.map((row) => formatShapes(row).length)) + 4);
    columns.push({ header: 'Input Shapes', width, cell: (row) => formatShapes(row).slice(0, width) });
  }
  const flops = rows.map((row) => row.flops).filter((each) => each > 0);
  if (withFlops && flops.length > 0) columns.push(flopsColumn(Math.min(...flops)));
  return columns;
}

/** The unit is the one that suits the smallest number. */
function flopsColumn(smallest: number): Column {
  const units = ['FLOPs', 'KFLOPs', 'MFLOPs', 'GFLOPs', 'TFLOPs', 'PFLOPs'];
  const unit = Math.max(0, Math.min(Math.floor(Math.log10(smallest) / 3), units.length - 1));
  return {
    header: `Total ${units[unit]}`,
    width: COLUMN_WIDTH,
    cell: ({ flops }) => (flops <= 0 ? '--' : (flops / 10 ** (3 * unit)).toFixed(3).padStart(8)),
  };
}

const hasDeviceTime = (rows: readonly RawProfileRow[]) => rows.some((row) => row.selfDeviceTimeTotal > 0);

const nameWidth = (rows: readonly RawProfileRow[]) =>
  Math.min(NAME_WIDTH, Math.max(...rows.map(({ name }) => name.length)) + 4);

const shortened = (name: string) =>
  name.length >= NAME_WIDTH - 3 ? `${name.slice(0, NAME_WIDTH - 3)}...` : name;

const formatShapes = ({ inputShapes = [] }: RawProfileRow) =>
  `[${inputShapes.map((shape) => `[${shape.join(', ')}]`).join(', ')}]`;

function share(part: number, whole: number): string {
  return whole === 0 ? 'NaN' : `${((100 * part) / whole).toFixed(2)}%`;
}

function formatTime(microseconds: number): string {
  if (microseconds >= 1e6) return `${(microseconds / 1e6).toFixed(3)}s`;
  if (microseconds >= 1e3) return `${(microseconds / 1e3).toFixed(3)}ms`;
  return `${microseconds.toFixed(3)}us`;
}

function formatMemory(bytes: number): string {
  const units: [string, number][] = [
    ['GB', 2 ** 30],
    ['MB', 2 ** 20],
    ['KB', 2 ** 10],
  ];
  const unit = units.find(([, size]) => Math.abs(bytes) >= size);
  return unit === undefined ? `${bytes} B` : `${(bytes / unit[1]).toFixed(2)} ${unit[0]}`;
}
