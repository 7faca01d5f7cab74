/**
 * Searches: which schedules of a scenario are run.
 *
 * Exhaustive  depth first; a schedule ends where it comes to a state that was seen before. A state is the
 *             memory and what each thread saw in its call and got from those before, so nothing that differs is cut off
 *             (up to a chance of some 5 in 100,000 for a million states that two of them share their 53 bits).
 * Bounded     the same with at most so many preemptions: switches away from a thread that could go on. Musuvathi and Qadeer,
 *             "Iterative context bounding" (2007).
 * Random      PCT: Burckhardt and others, "A randomized scheduler with probabilistic guarantees of finding bugs" (2010).
 */

import { random } from '../random.ts';
import { Clocks } from './clocks.ts';
import { THREADS } from './ground.ts';
import type { Instrumented } from './instrument.ts';
import { type Checkpoint, Failure, Machine, type Scenario } from './machine.ts';
import { choicesOf, EXPIRE, KILL, scheduleOf } from './schedule.ts';

/** `exhausted`: every schedule. `bounded`: all that were meant to be run. `cut`: there was no time for them. */
export type Verdict = 'exhausted' | 'bounded' | 'cut' | 'failed';

export interface Limits {
  /** Preemptions in a run; none by default means all. */
  readonly preemptions?: number;
  /** Milliseconds, after which the search is cut. */
  readonly time?: number;
  readonly mutant?: number;
  readonly fault?: Fault;
}

/** Mutants of the search itself; `uncached` is no fault but slow. */
export type Fault = 'never switches' | 'never kills' | 'knows no deadlines' | 'is blind for threads' | 'uncached';

export interface Report {
  readonly name: string;
  readonly verdict: Verdict;
  readonly schedules: number;
  readonly states: number;
  /** Fields with races that do no harm, as they were met. */
  readonly benign: readonly string[];
  readonly failure?: { readonly message: string; readonly schedule: string };
}

/** Runs every schedule of a scenario, up to a bound of preemptions if there is one. */
export function explore(instrumented: Instrumented, scenario: Scenario, limits: Limits = {}): Report {
  const { preemptions = Number.POSITIVE_INFINITY, time = 60_000, mutant = 0 } = limits;
  const machine = new Machine(instrumented, scenario, mutant);
  const search = new DepthFirst(machine, preemptions, performance.now() + time, limits.fault);
  const message = failureOf(() => search.run());
  const complete = preemptions === Number.POSITIVE_INFINITY ? 'exhausted' : 'bounded';
  const verdict = message !== undefined ? 'failed' : search.isCut ? 'cut' : complete;
  return reportOf(machine, scenario, verdict, search.schedules, search.states, message);
}

/** Runs `runs` schedules by PCT, with `depth - 1` points where the priorities change. */
export function sample(
  instrumented: Instrumented,
  scenario: Scenario,
  { runs, depth, seed, mutant = 0 }: { runs: number; depth: number; seed: number; mutant?: number },
): Report {
  const machine = new Machine(instrumented, scenario, mutant);
  machine.clocks = new Clocks();
  const priorities = new Priorities(depth, seed);
  for (let schedules = 1; schedules <= runs; schedules++) {
    priorities.begin();
    const message = failureOf(() => runThrough(machine, (options) => priorities.choose(machine, options)));
    if (message !== undefined) return reportOf(machine, scenario, 'failed', schedules, 0, message);
  }
  return reportOf(machine, scenario, 'bounded', runs, 0, undefined);
}

/** Runs one schedule again: what happened, step by step, and how it failed. */
export function replay(
  instrumented: Instrumented,
  scenario: Scenario,
  schedule: string,
  mutant = 0,
): { trace: string[]; message: string | undefined } {
  const machine = new Machine(instrumented, scenario, mutant);
  const choices = choicesOf(schedule);
  const trace: string[] = [];
  machine.trace = trace;
  machine.clocks = new Clocks();
  const message = failureOf(() => runThrough(machine, () => choices[machine.schedule.length]));
  return { trace, message };
}

/** One run; it ends when nothing can happen, or when nothing is chosen. */
function runThrough(machine: Machine, choose: (options: readonly number[]) => number | undefined): void {
  machine.reset();
  for (let options = machine.options(); options.length > 0; options = machine.options()) {
    const choice = choose(options);
    if (choice === undefined) return;
    machine.perform(choice);
  }
}

/** How it failed, if it did. */
function failureOf(run: () => void): string | undefined {
  try {
    run();
    return undefined;
  } catch (error) {
    if (error instanceof Failure || (error as Error).name === 'RuntimeError') return (error as Error).message; // or a trap
    throw error;
  }
}

function reportOf(
  { schedule, benign }: Machine,
  { name }: Scenario,
  verdict: Verdict,
  schedules: number,
  states: number,
  message: string | undefined,
): Report {
  const report = { name, verdict, schedules, states, benign: [...benign].sort() };
  return message === undefined ? report : { ...report, failure: { message, schedule: scheduleOf(schedule) } };
}

/** A state with choices left, and the way back to it. */
interface Fork {
  options: readonly number[];
  chosen: number;
  preemptions: number;
  checkpoint: Checkpoint | undefined;
}

class DepthFirst {
  readonly #machine: Machine;
  readonly #most: number;
  readonly #deadline: number;
  readonly #fault: Fault | undefined;
  readonly #seen = new Map<number, number>();
  readonly #forks: Fork[] = []; // kept beyond `#depth`, for their checkpoints
  #depth = 0;
  #left: number; // preemptions
  schedules = 0;
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
    if (left !== undefined && left >= this.#left && this.#fault !== 'uncached') return false;
    this.#seen.set(key, this.#left);
    return true;
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

class Priorities {
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
