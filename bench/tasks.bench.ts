import { type Opened, pools, type TaskName } from './rivals/pools.ts';
import type { Order } from './rivals/tasks.ts';
import type { Rival, Scenario } from './scenario.ts';

type Payload = (id: number) => unknown;

const count: Payload = (id) => id;

const order = (id: number): Order => ({
  id,
  name: 'Amsterdam',
  country: 'NL',
  latitude: 52.37403,
  longitude: 4.88969,
  capital: true,
});

const idOf = (result: unknown): number => (typeof result === 'number' ? result : (result as Order).id);

/** Runs tasks for `ms` milliseconds, `inFlight` at any time, and returns how many thousand ended in a second. */
async function tasksIn(pool: Opened, ms: number, inFlight: number, payload: Payload): Promise<number> {
  let ended = 0;
  const start = performance.now();
  const inTurn = async () => {
    while (performance.now() - start < ms) {
      const id = ended;
      const result = idOf(await pool.run(payload(id)));
      if (result !== id + 1) throw new Error(`task ${id} gave ${result}`);
      ended++;
    }
  };
  await Promise.all(Array.from({ length: inFlight }, inTurn));
  return ended / (performance.now() - start);
}

/** Until then V8's compilers take the cores from the threads that look for tasks. */
const WARM_UP_MS = 400;
/** After so long the pools whose tasks are messages are as fast as they will be. */
const SHORT_WARM_UP_MS = 150;

/** Ours, and the pool that it stands on, which targets are about: a quick run has less time for the others. */
const CLOSE = /^(ringfence|piscina)/;

function rival(name: string, task: TaskName, inFlight: number, payload: Payload): Rival {
  let pool: Opened | undefined;
  let ms = 0;
  const run = (limit: number) => (pool ? tasksIn(pool, limit, inFlight, payload) : Number.NaN);
  return {
    name,
    reference: name.startsWith('fastq'),
    slow: (task === 'object' && !CLOSE.test(name)) || (inFlight > 1 && name === 'threads'), // whose round ends a quarter of a second late
    async start({ roundMs, warmUpMs }) {
      ms = roundMs;
      pool = await pools[name]?.(task);
      await pool?.run(payload(0));
      await run(Math.max(warmUpMs, CLOSE.test(name) ? WARM_UP_MS : SHORT_WARM_UP_MS));
    },
    round: () => run(ms),
    async stop() {
      await pool?.close();
    },
  };
}

/** `task`, which `title` describes, at so many in flight. */
function scenario(title: string, task: TaskName, inFlight: number, payload: Payload = count): Scenario {
  return {
    name: `tasks, ${title}, ${inFlight} in flight: a task costs what its work costs`,
    how: `two threads; ${inFlight} loop${inFlight > 1 ? 's' : ''} of the main thread, each awaiting one task after another`,
    unit: 'k tasks/s',
    better: 'more',
    threads: inFlight > 1 ? 3 : 2,
    rounds: 7,
    compare: true,
    slow: inFlight === 16 || task === 'long' || task === 'short',
    scaling: { curve: `tasks, ${title}`, axis: 'tasks in flight', x: inFlight },
    rivals: Object.keys(pools).map((name) => rival(name, task, inFlight, payload)),
  };
}

const IN_FLIGHT = [1, 16, 256];

/** The scenarios of tasks. */
export const tasks: readonly Scenario[] = [
  ...IN_FLIGHT.map((inFlight) => scenario('trivial', 'trivial', inFlight)),
  scenario('six fields', 'object', 256, order),
  ...IN_FLIGHT.map((inFlight) => scenario('10 us', 'short', inFlight)),
  ...IN_FLIGHT.map((inFlight) => scenario('1 ms', 'long', inFlight)),
];
