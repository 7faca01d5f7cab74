/**
 * Histogram: how long things took, counted at a few nanoseconds each.
 *
 * Source: Gil Tene, HdrHistogram, for buckets that are as wide as a fixed share of what they count.
 *
 * Count 1. the upper word of a double is its exponent, and the first digits of its mantissa: times that differ by less than
 *          one part in 128 have it in common, but for its last bits  2. without those it is the number of a bucket
 * Find  1. from the lowest bucket on, until so many have been counted  2. the upper end of that bucket, or the longest time
 */

/** Milliseconds. */
export interface PoolTimes {
  readonly mean: number;
  readonly p50: number;
  readonly p99: number;
  readonly max: number;
}

/** Bits of the upper word that do not matter: of 20 bits of the mantissa 7 are left. */
const SHIFT = 13;
/** Of the first bucket and the last one: what takes less than a nanosecond or more than a life counts there. */
const FIRST = upperWord(2 ** -20) >>> SHIFT;
const LAST = upperWord(2 ** 40) >>> SHIFT;

function upperWord(ms: number): number {
  const word = new DataView(new ArrayBuffer(8));
  word.setFloat64(0, ms);
  return word.getUint32(0);
}

export class Histogram {
  readonly #counts = new Float64Array(LAST - FIRST + 1);
  readonly #word = new DataView(new ArrayBuffer(8));
  #count = 0;
  #sum = 0;
  #max = 0;

  /** Counts a time, in ms; what is less than zero, since the clocks of two threads differ a little, as zero. */
  record(ms: number, times: number = 1): void {
    const time = Math.max(ms, 0);
    this.#word.setFloat64(0, time);
    const bucket = Math.min(Math.max(FIRST, this.#word.getUint32(0) >>> SHIFT), LAST);
    (this.#counts[bucket - FIRST] as number) += times;
    this.#count += times;
    this.#sum += time * times;
    if (time > this.#max) this.#max = time;
  }

  get times(): PoolTimes {
    const mean = this.#count > 0 ? this.#sum / this.#count : 0;
    return { mean, p50: this.#below(0.5), p99: this.#below(0.99), max: this.#max };
  }

  /** What that share of the times do not exceed. */
  #below(share: number): number {
    let left = Math.max(1, this.#count * share);
    let bucket = 0;
    while (bucket < this.#counts.length && left > (this.#counts[bucket] as number)) {
      left -= this.#counts[bucket] as number;
      bucket++;
    }
    this.#word.setUint32(0, (FIRST + bucket + 1) << SHIFT);
    this.#word.setUint32(4, 0);
    return Math.min(this.#word.getFloat64(0), this.#max);
  }
}
