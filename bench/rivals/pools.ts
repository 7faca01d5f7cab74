import { fileURLToPath } from 'node:url';
import fastq from 'fastq';
import { Piscina } from 'piscina';
import { FixedThreadPool } from 'poolifier';
import { spawn, Pool as ThreadsPool, Worker } from 'threads';
import Tinypool from 'tinypool';
import workerpool from 'workerpool';
import { Pool } from '../../lib/index.ts';
import type * as tasks from './tasks.ts';
import { long, object, short, trivial } from './tasks.ts';

export type TaskName = keyof typeof tasks;

/** A pool of two threads, ready for tasks. */
export interface Opened {
  run(payload: unknown): PromiseLike<unknown>;
  close(): unknown;
}

/** Each pool under its name, as its documentation says that one makes it; two threads each. */
export const pools: Record<string, (task: TaskName) => Opened | Promise<Opened>> = {
  'ringfence Pool': (name) => {
    const pool = new Pool<typeof tasks>(here('./tasks.js'), { threads: THREADS });
    return { run: (payload) => pool.run(payload as never, { name }), close: () => pool.close() };
  },

  piscina: (name) => {
    const pool = new Piscina({ filename: here('./tasks.js').href, minThreads: THREADS, maxThreads: THREADS });
    return { run: (payload) => pool.run(payload, { name }), close: () => pool.destroy() };
  },

  'piscina, 64 tasks a thread at a time': (name) => {
    const many = { concurrentTasksPerWorker: 64 };
    const pool = new Piscina({ filename: here('./tasks.js').href, minThreads: THREADS, maxThreads: THREADS, ...many });
    return { run: (payload) => pool.run(payload, { name }), close: () => pool.destroy() };
  },

  tinypool: (name) => {
    const pool = new Tinypool({ filename: here('./tasks.js').href, minThreads: THREADS, maxThreads: THREADS });
    return { run: (payload) => pool.run(payload, { name }), close: () => pool.destroy() };
  },

  workerpool: (name) => {
    const limits = { minWorkers: THREADS, maxWorkers: THREADS, workerType: 'thread' } as const;
    const pool = workerpool.pool(fileURLToPath(here('./workerpool.worker.js')), limits);
    return { run: (payload) => pool.exec(name, [payload]), close: () => pool.terminate(true) };
  },

  poolifier: (name) => {
    const pool = new FixedThreadPool<unknown, unknown>(THREADS, fileURLToPath(here('./poolifier.worker.js')));
    return { run: (payload) => pool.execute(payload, name), close: () => pool.destroy() };
  },

  threads: (name) => {
    type Exposed = Record<TaskName, (payload: unknown) => Promise<unknown>>;
    const pool = ThreadsPool(() => spawn<Exposed>(new Worker('./threads.worker.js')), THREADS);
    return { run: (payload) => pool.queue((thread) => thread[name](payload)), close: () => pool.terminate(true) };
  },

  'fastq, which has no threads': (name) => {
    const run: (payload: never) => unknown = { trivial, short, long, object }[name];
    const queue = fastq.promise(async (payload: unknown) => run(payload as never), THREADS);
    return { run: (payload) => queue.push(payload), close: () => queue.kill() };
  },
};

const THREADS = 2;
const here = (file: string): URL => new URL(file, import.meta.url);
