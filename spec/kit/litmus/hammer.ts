import { Region } from '../../../lib/memory/region.ts';
import { Barrier } from '../../../lib/sync/barrier.ts';
import { crew } from '../crew.ts';
import { random } from '../random.ts';
import { at, PROGRAMS, type Program, type Shared } from './programs.ts';

// Runs a program thousands of times on real threads, and counts what came out.

const SIZE = 64; // instances that the threads go through between two meetings
const PAUSE = 12; // turns of waiting at the most
const PATIENCE = 1000; // turns that a thread waits for the others in each instance: many, and not for one that does not run

interface Order {
  readonly name: string;
  readonly shared: Shared;
  readonly start: Barrier;
  readonly rounds: number;
  /** How many have come to each instance. */
  readonly come: Int32Array;
  /** A word for each thread and instance. */
  readonly seen: Int32Array;
}

const NOTHING = -1; // it did not look

/** How often each outcome was seen in about so many runs. */
export async function hammer(program: Program, runs: number): Promise<Map<string, number>> {
  const threads = program.actors.length;
  const size = program.once ?? SIZE;
  const region = new Region({ bytes: 2 ** 22, threads: 8 });
  const words = () => region.array(Int32Array, at(size));
  const shared: Shared = { x: words(), y: words(), made: program.make(region, size) };
  const order: Order = {
    name: program.name,
    shared,
    start: new Barrier({ region, parties: threads }),
    rounds: program.once ? 1 : Math.ceil(runs / size),
    come: new Int32Array(new SharedArrayBuffer(size * 4)),
    seen: new Int32Array(new SharedArrayBuffer(threads * size * 4)),
  };
  const tallies = await crew<Map<string, number>>(threads, new URL(import.meta.url), 'act', order);
  const sum = new Map<string, number>();
  for (const [outcome, times] of tallies.flatMap((tally) => [...tally]))
    sum.set(outcome, (sum.get(outcome) ?? 0) + times);
  return sum;
}

/**
 * One thread: all go through the instances in the same order, and meet before each; they sleep only before and after a round. They
 * count in turn, since who counts comes to the next meeting last. What this one counted.
 */
export function act({ name, shared, start, rounds, come, seen }: Order, index: number): Map<string, number> {
  const program = PROGRAMS.find((one) => one.name === name) as Program;
  const actor = program.actors[index] as (shared: Shared, i: number) => number | undefined;
  const threads = program.actors.length;
  const size = seen.length / threads;
  const next = random(index + 1);
  const tally = new Map<string, number>();
  for (let round = 0; round < rounds; round++) {
    start.wait();
    for (let i = 0; i < size; i++) {
      meet(come, i, threads);
      pause(next);
      seen[i * threads + index] = actor(shared, i) ?? NOTHING;
    }
    start.wait();
    if (index !== round % threads) continue;
    count(program, seen, tally);
    come.fill(0);
    if (round + 1 < rounds) reset(program, shared);
  }
  return tally;
}

/** Waits for the others without sleeping, if they run. */
function meet(come: Int32Array, i: number, threads: number): void {
  Atomics.add(come, i, 1);
  for (let turn = 0; turn < PATIENCE && Atomics.load(come, i) < threads; turn++);
}

const turns = new Int32Array(1);

function pause(next: (limit: number) => number): void {
  if (next(2) === 0) for (let turn = next(PAUSE); turn > 0; turn--) Atomics.load(turns, 0);
}

function count(program: Program, seen: Int32Array, tally: Map<string, number>): void {
  const threads = program.actors.length;
  for (let i = 0; i < seen.length; i += threads) {
    const looked = [...seen.subarray(i, i + threads)].filter((what) => what !== NOTHING);
    const outcome = program.view?.(looked) ?? looked.join();
    tally.set(outcome, (tally.get(outcome) ?? 0) + 1);
  }
}

function reset({ reset: clear }: Program, { x, y, made }: Shared): void {
  x.fill(0);
  y.fill(0);
  clear?.(made as never);
}

/** Outcomes that are not listed. */
export function unlisted({ outcomes }: Pick<Program, 'outcomes'>, tally: ReadonlyMap<string, number>): string[] {
  return [...tally.keys()].filter((outcome) => !(outcome in outcomes));
}

/** A tally for people to read: also what could have been and was not. */
export function told({ name, outcomes }: Program, tally: ReadonlyMap<string, number>): string {
  const all = new Set([...Object.keys(outcomes), ...tally.keys()]);
  const lines = [...all].map((outcome) => {
    const times = (tally.get(outcome) ?? 0).toLocaleString('en').padStart(9);
    return `  ${times}  ${outcome.padEnd(8)}  ${outcomes[outcome] ?? 'NOT LISTED'}`;
  });
  return [name, ...lines].join('\n');
}
