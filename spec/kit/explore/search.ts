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

import { Clocks } from './clocks.ts';
import { DepthFirst, type Fault } from './depth-first.ts';
import type { Instrumented } from './instrument.ts';
import { Failure, Machine, type Scenario } from './machine.ts';
import { Priorities } from './priorities.ts';
import { choicesOf, scheduleOf } from './schedule.ts';

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
