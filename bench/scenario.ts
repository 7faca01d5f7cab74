import { Bench } from 'tinybench';

/** How long to measure. */
export interface Effort {
  /** Whether everything is to be measured quickly: then some scenarios are left out, and some count fewer records. */
  readonly quick: boolean;
  /** Rounds at the most of a rival that a target is about. */
  readonly judged: number;
  /** Rounds of any other rival, and of one that a target is about and whose rounds cost much. */
  readonly others: number;
  /** Rounds of any other rival whose rounds cost much. */
  readonly costly: number;
  /** Milliseconds of a round. */
  readonly roundMs: number;
  /** Milliseconds of running before the first round. */
  readonly warmUpMs: number;
}

const ALL = { judged: Infinity, others: Infinity, costly: Infinity };
export const FULL: Effort = { quick: false, ...ALL, roundMs: 100, warmUpMs: 400 };
export const QUICK: Effort = { quick: true, judged: 5, others: 3, costly: 2, roundMs: 30, warmUpMs: 60 };

/** One contestant of a scenario: three methods, be it a loop in this thread, a crew of threads or another process. */
export interface Rival {
  readonly name: string;
  /** Whether another process does the work: what it uses must not be taken for the work of strangers. */
  readonly elsewhere?: boolean;
  /** Whether it is there to know what is possible: it does less than the others, and is no competitor. */
  readonly reference?: boolean;
  /** Whether its rounds take much longer than a round should: a quick run has fewer of them. */
  readonly costly?: boolean;
  /** Left out of a quick run of everything: no target is about it, and its rounds cost much or say little that is new. */
  readonly slow?: boolean;
  /** Starts and warms up what the rounds need; throws {@link Unavailable} where this rival cannot run. */
  start(effort: Effort): void | Promise<void>;
  /** Runs one round and returns its figure, in the unit of the scenario. */
  round(): number | Promise<number>;
  /** Ends what `start` started. */
  stop(): void | Promise<void>;
  /** What the rounds counted besides their figure, as a last column of the table. */
  remark?(): string;
  /** Every single measurement of all rounds, where their distribution is the question; in the unit of the scenario. */
  samples?(): readonly number[];
}

/** A limit on the figure of `subject`, or on the ratio of its figure to that of `against`. */
export interface Target {
  readonly subject: string;
  readonly against?: string;
  readonly atMost?: number;
  readonly atLeast?: number;
  /** A figure of `subject` that is enough by itself, whatever the ratio. */
  readonly orFigure?: number;
}

/** What the results keep of a scenario. */
export interface Question {
  /** A title, a colon and a hypothesis. */
  readonly name: string;
  /** How it is run, in a line or two, printed under the name. */
  readonly how: string;
  readonly unit: string;
  readonly better: 'less' | 'more';
  /** Threads that work at the same time: the table says so where there are fewer cores. */
  readonly threads: number;
  /** Whether "so many times better" says something about these rivals. */
  readonly compare: boolean;
  /** Scenarios of one `curve` differ only in `x`: the report draws them as lines. */
  readonly scaling?: Scaling;
}

export interface Scaling {
  readonly curve: string;
  readonly axis: string;
  readonly x: number;
}

/** One question, and the rivals that answer it. Its name is a hypothesis; the first rival is ours. */
export interface Scenario extends Question {
  readonly rounds: number;
  /** Left out of a quick run of everything. */
  readonly slow?: boolean;
  readonly rivals: readonly Rival[];
}

/** What a quick run of everything measures of `scenarios`: nothing that is slow. */
export const quickOf = (scenarios: readonly Scenario[]): Scenario[] =>
  scenarios
    .filter(({ slow }) => !slow)
    .map((scenario) => ({ ...scenario, rivals: scenario.rivals.filter(({ slow }) => !slow) }));

/** What {@link quickOf} leaves out, by its titles, and of a scenario that is there its rivals. */
export const leftOut = (scenarios: readonly Scenario[]): string =>
  scenarios
    .flatMap(({ name, slow, rivals }) => {
      const title = titleOf({ name });
      const names = rivals.flatMap((rival) => (rival.slow ? rival.name : []));
      if (slow) return title;
      return names.length > 0 ? `of ${title} ${names.join(', ')}` : [];
    })
    .join('; ');

/** What became of a scenario. */
export interface Outcome {
  readonly rows: readonly Row[];
  /** Cores that other programs used during the rounds. */
  readonly others: number;
}

/** The figures of one rival, round by round; or the reason why there are none. */
export interface Row {
  readonly name: string;
  readonly figures: readonly number[];
  readonly remark: string;
  readonly reference?: boolean;
  readonly absent?: string;
  /** Of all its samples: below which value which share of them lies. */
  readonly percentiles?: readonly Percentile[];
}

export type Percentile = readonly [share: number, value: number];

/** Thrown by `start` where a rival cannot run: the message becomes its row. */
export class Unavailable extends Error {}

/** The title of a scenario, which stands before the colon of its name, and by which targets name it. */
export const titleOf = ({ name }: { readonly name: string }): string => name.split(':')[0] ?? name;

/** The value below which a share `at` of `figures` lies, interpolated. */
export function quantile(figures: readonly number[], at: number): number {
  const sorted = figures.toSorted((a, b) => a - b);
  const place = (sorted.length - 1) * at;
  const below = sorted[Math.floor(place)] ?? Number.NaN;
  const above = sorted[Math.ceil(place)] ?? Number.NaN;
  return below + (above - below) * (place - Math.floor(place));
}

/** The median figure of a row. */
export const median = (row: Row): number => quantile(row.figures, 0.5);

/** The median of the ratios `subject / against` of the rounds that ran next to each other. */
export function ratio(subject: Row, against: Row): number {
  const ratios = subject.figures.map((figure, round) => figure / (against.figures[round] ?? Number.NaN));
  return quantile(
    ratios.filter((value) => !Number.isNaN(value)),
    0.5,
  );
}

/** `rival`, for comparison only. */
export const reference = (rival: Rival): Rival => ({ ...rival, reference: true });

/** `rival`, which a quick run of everything leaves out. */
export const slow = (rival: Rival): Rival => ({ ...rival, slow: true });

/** Operations that are timed together: one costs less than reading the clock does. */
const BATCH = 10_000;

/** A rival that loops in this thread, timed by tinybench; its figure is the median nanoseconds of one operation. */
export function inThread(name: string, make: () => (operations: number) => void, batch: number = BATCH): Rival {
  let bench: Bench | undefined;
  const task = () => bench?.getTask(name);
  return {
    name,
    start({ roundMs, warmUpMs }) {
      bench = new Bench({ time: roundMs / 3, iterations: 10, warmupTime: warmUpMs, throws: true });
      const loop = make();
      bench.add(name, () => loop(batch), { async: false });
      task()?.warmupSync();
    },
    round() {
      task()?.reset();
      const result = task()?.runSync().result;
      if (result?.state !== 'completed') throw new Error(`${name}: the round ended as ${result?.state}`);
      return (result.latency.p50 * 1e6) / batch;
    },
    stop() {
      bench?.remove(name);
    },
  };
}

/** A rival that awaits one operation after another in this thread; its figure is the median nanoseconds of one. */
export function awaited(name: string, make: () => () => Promise<unknown>, batch: number = 200): Rival {
  let one = (): Promise<unknown> => Promise.resolve();
  let ms = 0;
  const timed = async () => {
    const start = performance.now();
    for (let i = 0; i < batch; i++) await one();
    return ((performance.now() - start) * 1e6) / batch;
  };
  const during = async (limit: number) => {
    const figures: number[] = [];
    for (const end = performance.now() + limit; performance.now() < end; ) figures.push(await timed());
    return quantile(figures, 0.5);
  };
  return {
    name,
    async start({ roundMs, warmUpMs }) {
      one = make();
      ms = roundMs / 3;
      await during(warmUpMs);
    },
    round: () => during(ms),
    stop() {},
  };
}
