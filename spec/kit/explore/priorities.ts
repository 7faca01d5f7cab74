/** PCT: the thread with the highest priority goes on; at some points that are drawn before it gets the lowest. */
import { random } from '../random.ts';
import { THREADS } from './ground.ts';
import type { Machine } from './machine.ts';
import { KILL } from './schedule.ts';

export class Priorities {
  readonly #depth: number;
  readonly #random: (limit: number) => number;
  #priorities: number[] = [];
  #changes: number[] = [];
  #killAt = 0;
  #length = 20; // steps of a run, as far as they were seen

  constructor(depth: number, seed: number) {
    this.#depth = depth;
    this.#random = random(seed);
  }

  begin(): void {
    this.#priorities = Array.from({ length: 2 * THREADS }, () => this.#depth + this.#random(1 << 20));
    this.#changes = Array.from({ length: this.#depth - 1 }, () => this.#random(this.#length));
    this.#killAt = this.#random(this.#length);
  }

  choose({ schedule }: Machine, options: readonly number[]): number {
    const depth = schedule.length;
    this.#length = Math.max(this.#length, depth);
    const kills = options.filter((option) => option >= KILL);
    if (kills.length > 0 && depth >= this.#killAt) return kills[this.#random(kills.length)] as number;
    const steps = options.filter((option) => option < KILL);
    const change = this.#changes.indexOf(depth);
    if (change >= 0) this.#priorities[this.#best(steps)] = change;
    return this.#best(steps);
  }

  #best(options: readonly number[]): number {
    const priority = (choice: number): number => this.#priorities[choice] as number;
    return options.reduce((best, option) => (priority(option) > priority(best) ? option : best));
  }
}
