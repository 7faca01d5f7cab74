import { setTimeout } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { Piscina } from 'piscina';
import { departed, flight, flights } from '../examples/flights.worker.ts';
import { codec, Pool, pipeline, Region } from '../lib/index.ts';
import type * as Jobs from './pipelines.jobs.ts';
import { type City, located, type Timed, town } from './pipelines.jobs.ts';
import { type Rival, type Scenario, slow } from './scenario.ts';

const module = new URL('./pipelines.jobs.js', import.meta.url);
const FLIGHTS = 1_000_000; // by codec.any a quarter if quick
const CITIES = 90_000; // half if quick: the first seconds of a process, in which V8 compiles, are not what they are about
const TASKS = 5_000;
const IN_FLIGHT = 256;

/** A rival whose every round is a pipeline of its own; the time counts from the first record at the sink to the last. */
function pipelined(name: string, run: (quick: boolean) => Promise<Timed>): Rival {
  let quick = false;
  return {
    name,
    costly: true,
    start(effort) {
      quick = effort.quick;
    },
    async round() {
      const { records, ms } = await run(quick);
      return records / ms;
    },
    stop() {},
  };
}

const citiesOf = (quick: boolean): number => (quick ? CITIES / 2 : CITIES);

const cities = (threads: number): Rival =>
  pipelined(`pipeline, ${threads} ${threads === 1 ? 'thread' : 'threads'} at the work`, (quick) =>
    pipeline<City>({ module, name: 'cities', args: [citiesOf(quick)] }, { codec: town })
      .map(module, 'locate', { codec: located, threads, views: true })
      .to<Timed>({ module, name: 'timedWarm' }, { views: true }),
  );

/** The same work in a thread of its own each round, as new as those of a pipeline, and without one. */
function alone(): Rival {
  let pool: Pool<typeof Jobs> | undefined;
  const timed = pipelined('one plain thread', async (quick) => {
    if (!pool) throw new Error('it has not started');
    return pool.spawn('alone', citiesOf(quick)).join();
  });
  return {
    ...timed,
    start(effort) {
      pool = new Pool<typeof Jobs>(module, { threads: 1 });
      return timed.start(effort);
    },
    async stop() {
      await pool?.close();
    },
  };
}

const LUMP = 40_000; // bytes
const MESSAGE = 40_192; // the same with its heads, in units of the region
const FEW = 8; // records that may wait in each of two queues

/** Resolves when all threads of the pipeline wait for its sink: one that is just claiming memory has more for an instant. */
async function full(region: Region): Promise<void> {
  const isFull = (): boolean => {
    const lines = region.inspect().queues.filter(({ name }) => name.startsWith('behind'));
    return lines.every(({ waitersTo }) => waitersTo.put.length > 0);
  };
  while (!isFull()) await setTimeout(1);
}

/** How much more memory of its region a pipeline had in use than its queues took when it began, while its sink was slow. */
function slowly(name: string, bytes: number, count: number, capacity?: number): Rival {
  return {
    name,
    start() {},
    async round() {
      const region = new Region();
      const line = pipeline<Uint8Array>(
        { module, name: 'lumps', args: [bytes, count] },
        { region, capacity, codec: codec.bytes },
      ).map(module, 'same', { capacity, codec: codec.bytes });
      const records = line[Symbol.asyncIterator]();
      let next = records.next(); // its queues are there now, and its threads not yet
      const first = region.used;
      let most = 0;
      for (let came = 0; !(await next).done; came++, next = records.next()) {
        if (came % (count / 100) !== 0 || came > count / 2) continue;
        await full(region);
        most = Math.max(most, region.used);
      }
      return (most - first) / 1024;
    },
    stop() {},
  };
}

/** piscina with a message for each record. */
function posted(): Rival {
  let pool: Piscina | undefined;
  const records = flights().slice(0, TASKS);
  return {
    name: 'piscina.run, a task a record',
    costly: true,
    start() {
      pool = new Piscina({ filename: fileURLToPath(module), minThreads: 2, maxThreads: 2 });
    },
    async round() {
      let next = 0;
      const begin = performance.now();
      const run = async (): Promise<void> => {
        while (next < records.length) await pool?.run(records[next++], { name: 'departure' });
      };
      await Promise.all(Array.from({ length: IN_FLIGHT }, run));
      return records.length / (performance.now() - begin);
    },
    async stop() {
      await pool?.destroy();
    },
  };
}

const tiny: Scenario = {
  name: 'flights through a pipeline: tiny records cost a share of a message',
  how: `${FLIGHTS.toLocaleString('en')} records of three numbers, made in one thread, as structs through a stage into a sink (by codec.any a quarter if quick); piscina with ${IN_FLIGHT} in flight`,
  unit: 'thousand records/s',
  better: 'more',
  threads: 3,
  rounds: 5,
  compare: true,
  rivals: [
    pipelined('pipeline of two stages', () =>
      pipeline({ module, name: 'fly', args: [FLIGHTS] }, { codec: flight })
        .map(module, 'departure', { codec: departed, views: true })
        .to<Timed>({ module, name: 'timedByHour' }, { views: true }),
    ),
    slow(
      pipelined('the same, an object a record', () =>
        pipeline({ module, name: 'fly', args: [FLIGHTS] }, { codec: flight })
          .map(module, 'departure', { codec: departed })
          .to<Timed>({ module, name: 'timedByHour' }),
      ),
    ),
    slow(
      pipelined('the same by codec.any', (quick) =>
        pipeline({ module, name: 'fly', args: [quick ? FLIGHTS / 4 : FLIGHTS] })
          .map(module, 'departure')
          .to<Timed>({ module, name: 'timedByHour' }),
      ),
    ),
    posted(),
  ],
};

const heavy: Scenario = {
  name: 'cities through a pipeline: a second thread nearly doubles it',
  how: `${CITIES.toLocaleString('en')} records (half if quick), of which the first 15,000 do not count; some twenty microseconds of work for each, in order`,
  unit: 'thousand records/s',
  better: 'more',
  threads: 4,
  rounds: 5,
  compare: true,
  rivals: [cities(2), cities(1), alone()],
};

const flat: Scenario = {
  name: 'a slow sink: memory is flat',
  how: 'the most memory of its region that a pipeline of two queues had in use, less what its queues took when it began, while its sink was slower than its source',
  unit: 'KiB',
  better: 'less',
  threads: 3,
  rounds: 3,
  compare: false,
  rivals: [
    slowly('records of 16 bytes', 16, 50_000),
    slowly('records of 40 KB', LUMP, 500, FEW),
    {
      name: 'capacity × message for each queue, of 40 KB',
      reference: true,
      start() {},
      round: () => (2 * FEW * MESSAGE) / 1024,
      stop() {},
    },
  ],
};

/** The scenarios of pipelines. */
export const pipelines: readonly Scenario[] = [tiny, heavy, flat];
