import type { EventEmitter } from 'node:events';
import process from 'node:process';
import type { SingleBar } from 'cli-progress';
import type { PipelineStats } from './stats.ts';

/** Options of `showProgress`. */
export interface ProgressOptions {
  /** Records that will come out at the end; without it the bar counts and cannot fill. */
  total?: number | undefined;
  /** Stands before the bar. */
  label?: string | undefined;
  /** Where it is drawn, if that is a terminal; nothing is drawn elsewhere. `process.stderr` by default. */
  stream?: NodeJS.WriteStream | undefined;
}

/**
 * Draws a bar on a terminal for a pipeline until it ends, with the name of its slowest stage: that is the one to give
 * more threads. Does not block, and prints nothing into a pipe or a file. Returns the pipeline.
 *
 * @example
 * const work = new URL('./work.js', import.meta.url);
 * const hashes = await showProgress(pipeline(paths).map(work, 'hash'), { total: paths.length }).toArray();
 */
export function showProgress<P extends EventEmitter<{ progress: [PipelineStats] }>>(
  line: P,
  { total, label = '', stream = process.stderr }: ProgressOptions = {},
): P {
  if (!stream.isTTY) return line;
  // Only who wants a bar loads it.
  const drawn = import('cli-progress').then(({ default: { SingleBar, Presets } }) => {
    const counts = total === undefined ? '{value}' : '{bar} {percentage} % | {value}/{total}';
    const format = `${label} ${counts} | slowest: {slowest}`.trimStart();
    const bar = new SingleBar({ format, stream, clearOnComplete: true, hideCursor: true }, Presets.shades_classic);
    bar.start(total ?? 0, 0, { slowest: '' });
    return bar;
  });
  const draw = (stats: PipelineStats): void => void drawn.then((bar) => update(bar, stats));
  line.on('progress', draw);
  return line;
}

function update(bar: SingleBar, { stages, slowest = '', ended }: PipelineStats): void {
  bar.update(stages.at(-1)?.out ?? 0, { slowest });
  if (ended) bar.stop();
}
