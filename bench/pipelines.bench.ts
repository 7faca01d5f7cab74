import { fileURLToPath } from 'node:url';
import { Piscina } from 'piscina';
import { departed, flight, flights } from '../examples/flights.worker.ts';
import { pipeline } from '../lib/index.ts';
import type { Timed } from './pipelines.jobs.ts';
import type { Rival, Scenario } from './scenario.ts';

const module = new URL('./pipelines.jobs.js', import.meta.url);
const FLIGHTS = 1_000_000; // a quarter if quick
const CITIES = 20_000;
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

const cities = (threads: number): Rival =>
  pipelined(`pipeline, ${threads} ${threads === 1 ? 'thread' : 'threads'} at the work`, () =>
    pipeline({ module, name: 'cities', args: [CITIES] })
      .map(module, 'locate', { threads })
      .to<Timed>({ module, name: 'timed' }),
  );

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
    pipelined('the same, an object a record', () =>
      pipeline({ module, name: 'fly', args: [FLIGHTS] }, { codec: flight })
        .map(module, 'departure', { codec: departed })
        .to<Timed>({ module, name: 'timedByHour' }),
    ),
    pipelined('the same by codec.any', (quick) =>
      pipeline({ module, name: 'fly', args: [quick ? FLIGHTS / 4 : FLIGHTS] })
        .map(module, 'departure')
        .to<Timed>({ module, name: 'timedByHour' }),
    ),
    posted(),
  ],
};

const heavy: Scenario = {
  name: 'cities through a pipeline: a second thread nearly doubles it',
  how: `${CITIES.toLocaleString('en')} records, some tens of microseconds of work for each, in order`,
  unit: 'thousand records/s',
  better: 'more',
  threads: 4,
  rounds: 5,
  compare: true,
  rivals: [cities(2), cities(1)],
};

/** The scenarios of pipelines. */
export const pipelines: readonly Scenario[] = [tiny, heavy];
