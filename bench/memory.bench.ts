import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { codec, Queue, Region, share } from '../lib/index.ts';
import { Crew } from './crew.ts';
import type { Rival, Scenario } from './scenario.ts';

const run = promisify(execFile);
const MIB = 2 ** 20;
const CAPACITY = 1024;

/** `(module (func (export "f")))`: enough to start V8's WebAssembly engine, which costs memory once a process. */
const EMPTY_MODULE = Buffer.from('0061736d0100000001040160000003020100070501016600000a040102000b', 'hex');

function engine(): unknown {
  const { exports } = new WebAssembly.Instance(new WebAssembly.Module(EMPTY_MODULE), {});
  (exports as { f(): void }).f();
  return exports;
}

function region(): unknown {
  const region = new Region({ bytes: 64 * MIB });
  return [region, new Queue({ capacity: CAPACITY, region })];
}

/** What a fresh process makes: before the first reading of its resident memory, and between the two. */
const subjects: Record<string, [before: () => unknown, between: () => unknown]> = {
  region: [engine, region],
  engine: [() => undefined, engine],
  nothing: [engine, () => undefined],
  filled: [engine, () => new Uint8Array(new SharedArrayBuffer(64 * MIB)).fill(1)],
};

/** What `between` made and is still alive at the second reading. */
const kept: unknown[] = [];

/** The child's side: by how many bytes the resident memory of this process rose. */
function rise([before, between]: [() => unknown, () => unknown]): number {
  kept.push(before());
  const first = resident();
  kept.push(between());
  return resident() - first;
}

function resident(): number {
  for (let times = 0; times < 3; times++) globalThis.gc?.();
  return process.memoryUsage.rss();
}

/** A rival whose every round is a fresh process; its figure is KiB. */
const inChild = (name: string, subject: string): Rival => ({
  name,
  costly: true,
  start() {},
  async round() {
    const { stdout } = await run(process.execPath, ['--expose-gc', fileURLToPath(import.meta.url), subject]);
    return Number(stdout) / 1024;
  },
  stop() {},
});

const atRest: Scenario = {
  name: 'memory at rest: a region costs what was touched and not what was reserved',
  how: 'by how much resident memory rises, in a fresh process each; V8 has started its WebAssembly engine, a row of its own',
  unit: 'KiB',
  better: 'less',
  threads: 1,
  rounds: 7,
  compare: false,
  rivals: [
    inChild('a region of 64 MiB with a queue of 1,024 slots', 'region'),
    inChild('the WebAssembly engine of V8, once a process', 'engine'),
    inChild('nothing: the noise of this measurement', 'nothing'),
    inChild('64 MiB that were filled: what real use shows', 'filled'),
  ],
};

const PART = 100_000;

/** A rival whose figure is by how many bytes `region.used` differs after ten million messages (three, if quick) between two threads. */
function used(name: string, producer: string, consumer: string, make: (region: Region) => unknown): Rival {
  const module = new URL('./queues.jobs.js', import.meta.url).href;
  let region: Region;
  let crew: Crew | undefined;
  let parts = 0;
  return {
    name,
    async start({ roundMs }) {
      parts = roundMs;
      region = new Region({ bytes: 64 * MIB });
      const data = share(make(region));
      crew = await Crew.start([producer, consumer].map((job) => ({ module, name: job, data })));
    },
    async round() {
      const before = region.used;
      for (let part = 0; part < parts; part++) await crew?.round(PART);
      return region.used - before;
    },
    async stop() {
      await crew?.stop();
    },
  };
}

const afterUse: Scenario = {
  name: 'memory after use: ten million messages leave region.used where it was',
  how: 'one producer thread, one consumer thread, ten million messages (three, if quick); region.used at the end less region.used at the start',
  unit: 'bytes',
  better: 'less',
  threads: 2,
  rounds: 1,
  compare: false,
  rivals: [
    used(
      'ringfence Queue of i32',
      'put',
      'get',
      (region) => new Queue({ capacity: CAPACITY, codec: codec.i32, region }),
    ),
    used(
      'ringfence Queue of objects',
      'putObjects',
      'getObjects',
      (region) => new Queue({ capacity: CAPACITY, region }),
    ),
  ],
};

/** The scenarios of memory. */
export const memory: readonly Scenario[] = [atRest, afterUse];

const [, program, subject = ''] = process.argv;
const steps = subjects[subject];
if (program === fileURLToPath(import.meta.url) && steps) console.log(rise(steps));
