// One hot path again and again, and nothing beside it: for profilers. See docs/performance.md.
//
//   node --cpu-prof dist/bench/hot.js mutex|i32|tasks [SECONDS]
//   node --trace-deopt dist/bench/hot.js i32
import { codec, Mutex, Pool, Queue } from '../lib/index.ts';
import type * as tasks from './rivals/tasks.ts';

const BATCH = 10_000;

const paths: Record<string, () => (() => unknown) | Promise<() => unknown>> = {
  mutex() {
    const mutex = new Mutex();
    return () => {
      for (let i = 0; i < BATCH; i++) {
        mutex.lock();
        mutex.unlock();
      }
    };
  },

  i32() {
    const queue = new Queue<number>({ capacity: 1024, codec: codec.i32 });
    return () => {
      for (let i = 0; i < BATCH; i++) {
        queue.put(i);
        queue.get();
      }
    };
  },

  async tasks() {
    const pool = new Pool<typeof tasks>(new URL('./rivals/tasks.js', import.meta.url), { threads: 2 });
    await pool.run(0 as never, { name: 'trivial' });
    const inTurn = async () => {
      for (let i = 0; i < BATCH / 256; i++) await pool.run(i as never, { name: 'trivial' });
    };
    return () => Promise.all(Array.from({ length: 256 }, inTurn));
  },
};

const [name = '', seconds = '5'] = process.argv.slice(2);
const path = paths[name];
if (!path) throw new Error(`a path must be one of ${Object.keys(paths).join(', ')}, and is "${name}"`);
const round = await path();
const [start, cpu] = [performance.now(), process.cpuUsage()];
let rounds = 0;
for (; performance.now() - start < Number(seconds) * 1000; rounds++) await round();
const ns = ((performance.now() - start) * 1e6) / (rounds * BATCH);
const { user, system } = process.cpuUsage(cpu);
console.log(
  `${name}: ${ns.toFixed(1)} ns each, ${(((user + system) * 1e3) / (rounds * BATCH)).toFixed(1)} of processor time`,
);
process.exit(); // a pool that nobody has closed
