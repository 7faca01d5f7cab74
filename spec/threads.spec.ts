import { ArrayTaskQueue, queueOptionsSymbol } from 'piscina';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { TaskError, ThreadDiedError } from '../lib/memory/errors.ts';
import { Region } from '../lib/memory/region.ts';
import { child, closePools, newPool, reasonOf } from './kit/pools.ts';
import { ENTERED, newGate, OPEN } from './kit/tasks.ts';
import { until } from './kit/until.ts';

test.after.each(closePools);

test('queued tasks begin in the order in which they were accepted, with a signal or without', async () => {
  const pool = newPool();
  const order: number[] = [];
  const { signal } = new AbortController();
  const run = (n: number): Promise<unknown> =>
    pool.run(n, { name: 'square', ...(n % 3 === 0 && { signal }) }).then(() => order.push(n));
  const all = Array.from({ length: 16 }, (_, n) => n);
  await Promise.all(all.map(run));
  assert.equal(order, all);
});

for (const [how, cause] of [
  ['exit', /worker exited with code: 3/],
  ['throw', /RangeError: thrown in a callback/],
  ['reject', /RangeError: nobody handles this/],
] as const) {
  test(`a thread that dies by ${how} rejects its task with ThreadDiedError, and queued ones go on`, async () => {
    const pool = newPool();
    const dying = reasonOf(pool.run(how, { name: 'die' }));
    const behind = pool.run(3, { name: 'square' });
    const error = await dying;
    assert.instance(error, ThreadDiedError);
    assert.match(error.message, /^the thread of die in pool tasks.js ended before its function did/);
    assert.match(String(error.cause), cause);
    assert.is(await behind, 9);
  });
}

test('all tasks of a thread that dies reject, and no others', async () => {
  const pool = newPool({ concurrentTasksPerWorker: 3 });
  const gate = newGate();
  const held = [pool.run(gate, { name: 'hold' }), pool.run(gate, { name: 'hold' })];
  await until(() => Atomics.load(gate, ENTERED) === 2);
  const dying = pool.run('exit', { name: 'die' });
  const behind = pool.run(3, { name: 'square' });
  const errors = await Promise.all([...held, dying].map(reasonOf));
  for (const error of errors) assert.instance(error, ThreadDiedError);
  assert.is(await behind, 9);
});

test('an error in a callback that a task left behind is a warning, and the pool goes on', async () => {
  const pool = newPool();
  const gate = newGate();
  await pool.run(gate, { name: 'leaveBomb' });
  const warnings: Error[] = [];
  process.once('warning', (warning) => warnings.push(warning));
  Atomics.store(gate, OPEN, 1);
  await until(() => warnings.length > 0);
  const warning = warnings[0] as Error;
  assert.instance(warning, ThreadDiedError);
  assert.match(warning.message, /^a thread of pool tasks.js died between tasks: RangeError: thrown in a callback/);
  assert.is(await pool.run(3, { name: 'square' }), 9);
});

for (const [what, code] of [
  ['throws', 'throw new Error("no start")'],
  ['exits', 'process.exit(5)'],
]) {
  test(`threads that cannot start, since a preload ${what}, reject every task instead of hanging`, async () => {
    const execArgv = [
      '--import',
      `data:text/javascript,${encodeURIComponent(`import { isMainThread } from "node:worker_threads"; if (!isMainThread) ${code}`)}`,
    ];
    const pool = newPool({ execArgv, threads: 2 });
    let started = 0;
    const count = (): unknown => started++;
    process.on('worker', count);
    const all = Array.from({ length: 100 }, () => reasonOf(pool.run(3, { name: 'square' })));
    for (const error of await Promise.all(all)) assert.instance(error, ThreadDiedError);
    process.off('worker', count);
    assert.ok(started < 20, `no thread for each task: ${started}`);
    const later = await reasonOf(pool.run(3, { name: 'square' }));
    assert.instance(later, ThreadDiedError);
    if (what === 'throws') assert.match(later.message, /no start/);
    await pool.close();
  });
}

test('a full queue rejects with TaskError and loses nothing', async () => {
  const pool = newPool({ maxQueue: 2 });
  const gate = newGate();
  const held = pool.run(gate, { name: 'hold' });
  await until(() => Atomics.load(gate, ENTERED) === 1);
  const queued = [pool.run(2, { name: 'square' }), pool.run(3, { name: 'square' })];
  const error = await reasonOf(pool.run(4, { name: 'square' }));
  assert.instance(error, TaskError);
  assert.match(error.message, /^square in pool tasks.js was not run: Task queue is at limit$/);
  Atomics.store(gate, OPEN, 1);
  await held;
  assert.equal(await Promise.all(queued), [4, 9]);
});

test("piscina's options pass through: a task queue with options of the tasks, and a growing pool", async () => {
  const seen: unknown[] = [];
  class Listening extends ArrayTaskQueue {
    override push(task: Parameters<ArrayTaskQueue['push']>[0]): void {
      seen.push(task[queueOptionsSymbol]);
      super.push(task);
    }
  }
  const pool = newPool({ taskQueue: new Listening() });
  const gate = newGate();
  const held = pool.run(gate, { name: 'hold' });
  const urgent = pool.run({ [queueOptionsSymbol]: { priority: 9 } });
  Atomics.store(gate, OPEN, 1);
  await Promise.all([held, urgent]);
  assert.equal(seen[0], { priority: 9 });
  const growing = newPool({ threads: undefined, minThreads: 1, maxThreads: 3, idleTimeout: 10_000 });
  assert.is(growing.stats().threads, 1);
  const together = newGate();
  const three = [1, 2, 3].map(() => growing.run(together, { name: 'hold' }));
  await until(() => Atomics.load(together, ENTERED) === 3);
  Atomics.store(together, OPEN, 1);
  assert.is(new Set(await Promise.all(three)).size, 3);
});

test('the region hears of the exit of every thread once, whatever its end', async () => {
  const region = new Region();
  const exited: number[] = [];
  const { threadExited } = region;
  region.threadExited = (id) => {
    exited.push(id);
    threadExited.call(region, id);
  };
  const pool = newPool({ region, threads: 2 });
  const gate = region.array(Int32Array, 2); // other shared memory is fetched by the thread, in a later turn
  const aborter = new AbortController();
  const spinning = reasonOf(pool.run(gate, { name: 'spin', signal: aborter.signal, terminate: true }));
  // This turn of the event loop lasts until the task has begun: it hears of no thread by an event.
  while (Atomics.load(gate, ENTERED) === 0);
  aborter.abort();
  await spinning;
  await reasonOf(pool.run('exit', { name: 'die' }));
  const ids = [await pool.run(undefined, { name: 'thread' }), await pool.spawn('thread').join()];
  await pool.close();
  assert.ok(exited.length >= 4, 'the two that died, the one that took their place, and the one that was spawned');
  assert.is(new Set(exited).size, exited.length);
  for (const id of ids) assert.ok(exited.includes(id));
});

test('an abort right before close leaves no thread behind', async () => {
  for (let round = 0; round < 5; round++) {
    const pool = newPool({ threads: 2 });
    const gate = newGate();
    const aborter = new AbortController();
    const aborted = reasonOf(pool.run(gate, { name: 'spin', signal: aborter.signal, terminate: true }));
    if (round > 0) await until(() => Atomics.load(gate, ENTERED) === 1);
    aborter.abort();
    await pool.close();
    assert.is(await aborted, aborter.signal.reason);
    assert.is(pool.stats().threads, 0);
  }
});

/** Its functions enter a gate and stay; the second is in a call that a termination waits for. */
const STUBBORN = `data:text/javascript,
  import { pbkdf2Sync } from 'node:crypto';
  export function spin(gate) { Atomics.add(gate, 0, 1); for (;;); }
  export function derive(gate) { Atomics.add(gate, 0, 1); pbkdf2Sync('a', 'b', 2000000, 64, 'sha512'); }`;

test('close settles when one thread ends long after the other, and piscina would have started new ones meanwhile', async () => {
  const { code, stdout, stderr } = await child(`
    const pool = new Pool(${JSON.stringify(STUBBORN)}, { threads: 2 });
    const gate = new Int32Array(new SharedArrayBuffer(4));
    const running = Promise.allSettled(['spin', 'derive'].map((name) => pool.run(gate, { name })));
    while (Atomics.load(gate, 0) < 2) await new Promise((resolve) => setTimeout(resolve, 1));
    await pool.close({ timeout: 0 });
    console.log((await running).map(({ reason }) => reason.code).join(), pool.stats().threads);`);
  assert.equal([code, stdout, stderr], [0, 'ERR_THREAD_DIED,ERR_THREAD_DIED 0\n', '']);
});

test.run();
