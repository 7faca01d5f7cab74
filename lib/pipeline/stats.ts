import { BUSY, FAILED, IN, OUT, sum, timesOf, WAITED } from './gauge.ts';
import type { Laid } from './layout.ts';

/** One stage, the source or the sink, in `stats()`. */
export interface StageStats {
  readonly name: string;
  readonly threads: number;
  /** Records that came to it. */
  readonly in: number;
  /** Records that it gave on. */
  readonly out: number;
  /** Records that failed and were left out. */
  readonly failed: number;
  /** Records that were given to it and that it has not begun. */
  readonly waiting: number;
  /** The share of its threads' time in which they worked, 0 to 1. For a source: in which there was room behind it. */
  readonly busy: number;
  /** Milliseconds that a record took, the median; for those of less than 5 µs the mean of their message stands for each. */
  readonly p50: number;
  /** As `p50`; no more than one record in a hundred took longer. */
  readonly p99: number;
}

/** `pipeline.stats()`: read while the threads go on, so that figures may be of slightly different times. */
export interface PipelineStats {
  /** Since the pipeline started, until it ended. */
  readonly seconds: number;
  readonly stages: readonly StageStats[];
  /** The name of the busiest stage, for which the others wait; absent before anything came through. */
  readonly slowest?: string;
  /** Whether nothing of it runs any more. */
  readonly ended: boolean;
}

export function statsOf(laid: readonly Laid[], milliseconds: number, ended: boolean): PipelineStats {
  const stages = laid.map(({ node, gauges }, at): StageStats => {
    const given = at === 0 ? 0 : sum((laid[at - 1] as Laid).gauges, OUT);
    const groups = laid[at - 1]?.node.batch || 1;
    const [came, out] = [sum(gauges, IN), sum(gauges, OUT)];
    const worked = at === 0 ? sum(gauges, BUSY) || milliseconds - sum(gauges, WAITED) : sum(gauges, BUSY);
    const times = timesOf(gauges);
    const quantile = (share: number): number => (times.count === 0 ? 0 : times.percentile(share) / 1e6);
    return {
      name: node.name,
      threads: node.threads,
      in: at === 0 ? out : came,
      out: at === laid.length - 1 ? came : out,
      failed: sum(gauges, FAILED),
      waiting: at === 0 ? 0 : Math.max(0, Math.floor(given / groups) - came),
      busy: milliseconds === 0 ? 0 : Math.max(0, Math.min(1, worked / (milliseconds * node.threads))),
      p50: quantile(50),
      p99: quantile(99),
    };
  });
  const [busiest] = stages.toSorted((a, b) => b.busy - a.busy);
  return { seconds: milliseconds / 1000, stages, ended, ...(busiest && busiest.in > 0 && { slowest: busiest.name }) };
}
