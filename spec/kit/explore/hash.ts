/** Hashes of 32 bits; a state has two that differ in their seed. */
export function mix(hash: number, value: number): number {
  let h = Math.imul(hash ^ value, 0x85ebca6b);
  h = Math.imul(h ^ (h >>> 15), 0xc2b2ae35);
  return h ^ (h >>> 13);
}

/** A hash in two halves: what a thread has seen, what the memory holds. */
export class Hash {
  low = 0;
  high = 0;

  reset(): void {
    this.low = 0x2545f491;
    this.high = 0x6c078965;
  }

  copy(other: Hash): void {
    this.low = other.low;
    this.high = other.high;
  }

  /** Appends a value: the order counts. */
  add(value: number): void {
    this.low = mix(this.low, value);
    this.high = mix(this.high, value);
  }

  /** Puts a pair in, or takes it out again: the order does not count. */
  toggle(address: number, value: number): void {
    this.low ^= mix(mix(0x1b873593, address), value);
    this.high ^= mix(mix(0x5bd1e995, address), value);
  }

  /** 53 bits of it. */
  get key(): number {
    return (this.low >>> 0) * 0x200000 + (this.high & 0x1fffff);
  }
}
