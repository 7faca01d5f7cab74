import { MessageChannel } from 'node:worker_threads';
import { codec, Queue, share } from '../lib/index.ts';
import { AtomicsRing } from './atomics.ts';
import { Crew, type Job } from './crew.ts';
import type { Watch } from './latency.jobs.ts';
import { native, python } from './native.ts';
import { roundTrips } from './rivals/multithreading.ts';
import { numbers as ringbufNumbers } from './rivals/ringbuf.ts';
import { quantile, type Rival, reference, type Scenario, Unavailable } from './scenario.ts';

const CAPACITY = 1024;
const module = new URL('./latency.jobs.js', import.meta.url).href;
const ringbuf = new URL('./rivals/ringbuf.js', import.meta.url).href;

/** A rival of two threads that time single messages, so many in a round; its figure is the median of the round. */
export function timed(name: string, messages: number, jobs: (times: Float64Array, word: Int32Array) => Job[]): Rival {
  const times = new Float64Array(new SharedArrayBuffer(8 * (messages + 1)));
  const word = new Int32Array(new SharedArrayBuffer(8));
  let all: number[] = [];
  let crew: Crew | undefined;
  return {
    name,
    async start({ warmUpMs }) {
      all = [];
      crew = await Crew.start(jobs(times, word));
      for (let spent = 0; spent < warmUpMs; ) spent += await crew.round(messages);
    },
    async round() {
      await crew?.round(messages);
      const round = [...times.subarray(1)];
      all.push(...round);
      return quantile(round, 0.5);
    },
    async stop() {
      await crew?.stop();
    },
    samples: () => all,
  };
}

/** How the threads of a scenario wait, and what is rested before each message. */
interface Waiting {
  readonly how: 'spinning' | 'parked';
  /** Milliseconds. */
  readonly pause: number;
  /** Of a round. */
  readonly messages: number;
}

const SPINNING: Waiting = { how: 'spinning', pause: 0, messages: 500 };
const PARKED: Waiting = { how: 'parked', pause: 0.4, messages: 100 };

type Ends = (watch: Watch) => { readonly there: unknown; readonly back: unknown; readonly transfer?: boolean };

/** The pair of jobs that a kind of ends has for a round trip, or for one way. */
function crewed(name: string, kind: string, way: 'round' | 'one', { pause, messages }: Waiting, make: Ends): Rival {
  const [first, second] = way === 'round' ? ['ask', 'answer'] : ['send', 'receive'];
  const from = kind === 'Ringbuf' ? ringbuf : module;
  return timed(name, messages, (times, word) => {
    const watch = { times, word, pause };
    const { there, back, transfer } = make(watch);
    if (!transfer)
      return [first, second].map((job) => ({ module: from, name: job + kind, data: { ...watch, there, back } }));
    return [there, back].map((port, at) => ({
      module: from,
      name: (at === 0 ? first : second) + kind,
      data: { ...watch, there: port, back: port },
      transfer: [port as never],
    }));
  });
}

const numbers = () => share(new Queue<number>({ capacity: CAPACITY, codec: codec.i32 }));
const ports = () => {
  const { port1, port2 } = new MessageChannel();
  return { there: port1, back: port2, transfer: true };
};

const never = (name: string): Rival => ({
  name,
  start() {
    throw new Unavailable('it never sleeps');
  },
  round: () => Number.NaN,
  stop() {},
});

/** Who spins for ever has no row of its own where the question is how long it takes to wake. */
const spinningOnly = (rival: Rival, { how }: Waiting): Rival => (how === 'spinning' ? rival : never(rival.name));

function rivals(way: 'round' | 'one', waiting: Waiting): Rival[] {
  const of = (name: string, kind: string, make: Ends) => crewed(name, kind, way, waiting, make);
  return [
    of('ringfence Queue', 'Queue', () => ({ there: numbers(), back: numbers() })),
    of('ring on JS Atomics', 'Atomics', () => ({
      there: AtomicsRing.words(CAPACITY),
      back: AtomicsRing.words(CAPACITY),
    })),
    of("postMessage, 'message' events", 'Port', ports),
    spinningOnly(of('postMessage, receiveMessageOnPort in a loop', 'Loop', ports), waiting),
    spinningOnly(
      of('ringbuf.js, which never sleeps', 'Ringbuf', () => ({
        there: ringbufNumbers(CAPACITY),
        back: ringbufNumbers(CAPACITY),
      })),
      waiting,
    ),
  ];
}

/** Rivals that time round trips only. */
function others({ how, pause, messages }: Waiting): Rival[] {
  const mode = how === 'spinning' ? 'trips' : 'boxes';
  const cpp = how === 'spinning' ? 'Vyukov ring, C++' : 'queue under a mutex and a condition, C++';
  return [
    roundTrips('multithreading channel', messages, pause),
    reference(native(cpp, [mode, `${messages}`, `${pause * 1000}`])),
    python('multiprocessing.Queue, Python', ['trips', `${messages}`, pause.toFixed(3)]),
  ];
}

const common = { unit: 'us', better: 'less', threads: 2, rounds: 15, compare: true } as const;
const before = ({ pause, messages }: Waiting): string =>
  `${pause === 0 ? 'at once after the last one' : `${pause} ms after the last one, so that the other thread sleeps`}; ${messages.toLocaleString('en')} in a round, each timed`;

const roundTrip = (waiting: Waiting, hypothesis: string): Scenario => ({
  ...common,
  name: `latency of a round trip, ${waiting.how}: ${hypothesis}`,
  how: `a number to another thread and back, ${before(waiting)}`,
  rivals: [...rivals('round', waiting), ...others(waiting)],
});

const oneWay = (waiting: Waiting, hypothesis: string): Scenario => ({
  ...common,
  name: `latency one way, ${waiting.how}: ${hypothesis}`,
  how: `from just before a number is sent to the line behind its receipt in another thread, ${before(waiting)}`,
  slow: true,
  rivals: rivals('one', waiting),
});

/** The scenarios of single messages. */
export const latencies: readonly Scenario[] = [
  roundTrip(SPINNING, 'threads that are awake need no system call'),
  roundTrip(PARKED, 'what it costs is to wake a thread, whoever does it'),
  oneWay(SPINNING, 'half of a round trip'),
  oneWay(PARKED, 'one wake-up'),
];
