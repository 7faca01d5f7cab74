import { Bench } from 'tinybench';

/** One contestant of a scenario: three methods, be it a loop in this thread, a crew of threads or another process. */
export interface Rival {
  readonly name: string;
  /** Starts and warms up what the rounds need; throws {@link Unavailable} where this rival cannot run. */
  start(): void | Promise<void>;
  /** Runs one round and returns its figure, in the unit of the scenario. */
  round(): number | Promise<number>;
  /** Ends what `start` started. */
  stop(): void | Promise<void>;
  /** What the rounds counted besides their figure, as a last column of the table. */
  remark?(): string;
}

/** A limit on the figure of `subject`, or on the ratio of its figure to that of `against`. */
export interface Target {
  readonly subject: string;
  readonly against?: string;
  readonly atMost?: number;
  readonly atLeast?: number;
}

/** One question, and the rivals that answer it. Its name is a hypothesis; the first rival is ours. */
export interface Scenario {
  readonly name: string;
  /** How it is run, in a line or two, printed under the name. */
  readonly how: string;
  readonly unit: string;
  readonly better: 'less' | 'more';
  /** Threads that work at the same time: the table says so where there are fewer cores. */
  readonly threads: number;
  readonly rounds: number;
  /** Whether "so many times better" says something about these rivals. */
  readonly compare: boolean;
  readonly rivals: readonly Rival[];
  readonly targets: readonly Target[];
}

/** The figures of one rival, round by round; or the reason why there are none. */
export interface Row {
  readonly name: string;
  readonly figures: number[];
  readonly remark: string;
  readonly absent?: string;
}

/** Thrown by `start` where a rival cannot run: the message becomes its row. */
export class Unavailable extends Error {}

/**
 * Runs every rival of `scenario`, interleaved (A B C, A B C, ...), so that what disturbs the machine disturbs them alike
 * and a ratio can be taken round by round. `tick` is called after each round of each rival.
 */
export async function measure(scenario: Scenario, tick: () => void): Promise<Row[]> {
  const entries = scenario.rivals.map((rival) => ({ rival, figures: [] as number[], absent: '' }));
  try {
    for (const entry of entries) entry.absent = await start(entry.rival);
    for (let round = 0; round < scenario.rounds; round++) {
      for (const { rival, figures, absent } of entries) {
        if (!absent) figures.push(await rival.round());
        tick();
      }
    }
    return entries.map(({ rival, figures, absent }) => ({
      name: rival.name,
      figures,
      remark: absent ? '' : (rival.remark?.() ?? ''),
      ...(absent && { absent }),
    }));
  } finally {
    for (const { rival } of entries) await rival.stop();
  }
}

async function start(rival: Rival): Promise<string> {
  try {
    await rival.start();
    return '';
  } catch (error) {
    if (error instanceof Unavailable) return error.message;
    throw error;
  }
}

/** The value below which a share `at` of `figures` lies, interpolated. */
export function quantile(figures: readonly number[], at: number): number {
  const sorted = figures.toSorted((a, b) => a - b);
  const place = (sorted.length - 1) * at;
  const below = sorted[Math.floor(place)] ?? Number.NaN;
  const above = sorted[Math.ceil(place)] ?? Number.NaN;
  return below + (above - below) * (place - Math.floor(place));
}

/** The median of the ratios `subject / against` of the rounds that ran next to each other. */
export function ratio(subject: Row, against: Row): number {
  const ratios = subject.figures.map((figure, round) => figure / (against.figures[round] ?? Number.NaN));
  return quantile(ratios, 0.5);
}

/** Operations that are timed together: one costs less than reading the clock does. */
const BATCH = 10_000;

/** A rival that loops in this thread, timed by tinybench; its figure is the median nanoseconds of one operation. */
export function inThread(name: string, make: () => (operations: number) => void): Rival {
  const bench = new Bench({ time: 30, iterations: 10, warmupTime: 500, throws: true });
  const task = () => bench.getTask(name);
  return {
    name,
    start() {
      const loop = make();
      bench.add(name, () => loop(BATCH), { async: false });
      task()?.warmupSync();
    },
    round() {
      task()?.reset();
      const result = task()?.runSync().result;
      if (result?.state !== 'completed') throw new Error(`${name}: the round ended as ${result?.state}`);
      return (result.latency.p50 * 1e6) / BATCH;
    },
    stop() {
      bench.remove(name);
    },
  };
}
