/** Depth first: every choice at every state, the states that were seen before left out. */
import { THREADS } from './ground.ts';
import type { Checkpoint, Machine } from './machine.ts';
import { EXPIRE, KILL } from './schedule.ts';

/** Mutants of the search itself; `uncached` is no fault but slow. */
export type Fault = 'never switches' | 'never kills' | 'knows no deadlines' | 'is blind for threads' | 'uncached';

/** A state with choices left, and the way back to it. */
interface Fork {
  options: readonly number[];
  chosen: number;
  preemptions: number;
  checkpoint: Checkpoint | undefined;
}

export class DepthFirst {
  readonly #machine: Machine;
  readonly #most: number;
  readonly #deadline: number;
  readonly #fault: Fault | undefined;
  readonly #seen = new Map<number, number>();
  readonly #path: number[] = []; // keys of the states of the run, by their depth,
  readonly #depths = new Map<number, number>(); // and the other way round
  readonly #forks: Fork[] = []; // kept beyond `#depth`, for their checkpoints
  #depth = 0;
  #left: number; // preemptions
  /** Schedules that were run, to their end or to a state that was seen before. */
  schedules = 0;
  /** Whether there was no time for all. */
  isCut = false;

  constructor(machine: Machine, preemptions: number, deadline: number, fault: Fault | undefined) {
    this.#fault = fault;
    this.#machine = machine;
    this.#most = preemptions;
    this.#left = preemptions;
    this.#deadline = deadline;
  }

  get states(): number {
    return this.#seen.size;
  }

  run(): void {
    this.#machine.reset();
    do {
      this.schedules++;
      while (this.#goOn());
      this.isCut = performance.now() > this.#deadline;
    } while (!this.isCut && this.#goBack());
  }

  /** Makes the first choice of a new state; false when the state is not new, or an end. */
  #goOn(): boolean {
    const last = this.#machine.schedule.at(-1) ?? -1;
    if (!this.#isNew(last)) return false;
    const options = this.#allowed(this.#machine.options(), last);
    const [first] = options;
    if (first === undefined) return false;
    if (options.length > 1) this.#fork(options);
    this.#perform(first, last, options);
    return true;
  }

  #isNew(last: number): boolean {
    const beside = this.#most === Number.POSITIVE_INFINITY ? 0 : last;
    const key = this.#fault === 'is blind for threads' ? this.#machine.contents.key : this.#machine.key(beside);
    const left = this.#seen.get(key);
    const depth = this.#machine.schedule.length;
    if (left !== undefined && left >= this.#left && this.#fault !== 'uncached') {
      if (this.#isOnPath(key, depth) && last < THREADS) this.#machine.spin(last);
      return false;
    }
    this.#seen.set(key, this.#left);
    this.#path[depth] = key;
    this.#depths.set(key, depth);
    return true;
  }

  /** Whether the run has come in a circle: of such states the one that is seen first is on the path of the others. */
  #isOnPath(key: number, depth: number): boolean {
    const at = this.#depths.get(key) ?? depth;
    return at < depth && this.#path[at] === key;
  }

  #fork(options: readonly number[]): void {
    const fork = this.#forks[this.#depth];
    const checkpoint = this.#machine.checkpoint(fork?.checkpoint);
    this.#forks[this.#depth++] = { options, chosen: 0, preemptions: this.#left, checkpoint };
  }

  /** The choices within the bound; to go on with the same thread comes first. */
  #allowed(options: readonly number[], last: number): readonly number[] {
    const possible = this.#left > 0 ? options : options.filter((option) => !isPreemption(option, last, options));
    const allowed = this.#fault === undefined ? possible : withFault(this.#fault, possible);
    return allowed.includes(last) ? [last, ...allowed.filter((option) => option !== last)] : allowed;
  }

  #perform(choice: number, last: number, options: readonly number[]): void {
    if (isPreemption(choice, last, options)) this.#left--;
    this.#machine.perform(choice);
  }

  /** Back to the last state with a choice left, and makes it; false when there is none. */
  #goBack(): boolean {
    for (; this.#depth > 0; this.#depth--) {
      const fork = this.#forks[this.#depth - 1] as Fork;
      const choice = fork.options[++fork.chosen];
      if (choice === undefined) continue;
      this.#machine.restore(fork.checkpoint as Checkpoint);
      this.#left = fork.preemptions;
      this.#perform(choice, this.#machine.schedule.at(-1) ?? -1, fork.options);
      return true;
    }
    return false;
  }
}

function withFault(fault: Fault, options: readonly number[]): readonly number[] {
  if (fault === 'never switches') return options.slice(0, 1);
  if (fault === 'never kills') return options.filter((option) => option < KILL);
  if (fault === 'knows no deadlines') return options.filter((option) => option < EXPIRE || option >= KILL);
  return options;
}

/** Whether another thread steps though the last one could. */
function isPreemption(choice: number, last: number, options: readonly number[]): boolean {
  return choice < THREADS && choice !== last && last >= 0 && last < THREADS && options.includes(last);
}
