import { channel } from 'node:diagnostics_channel';
import type { Worker } from 'node:worker_threads';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { CodecError, TaskError, ThreadDiedError } from '../lib/memory/errors.ts';
import { Region } from '../lib/memory/region.ts';
import { Pool } from '../lib/pool/pool.ts';
import type { TaskEnd } from '../lib/pool/timing.ts';
import { Event } from '../lib/sync/event.ts';
import { Mutex } from '../lib/sync/mutex.ts';
import { closePools, newPool, reasonOf } from './kit/pools.ts';
import { random } from './kit/random.ts';
import { ENTERED, newGate, OPEN } from './kit/tasks.ts';
import { until } from './kit/until.ts';

test.after.each(closePools);

/** Workers that were started while `run` ran, and live. */
async function withWorkers<T>(run: (workers: Set<Worker>) => Promise<T>): Promise<T> {
  const workers = new Set<Worker>();
  const hear = (worker: Worker): void => {
    workers.add(worker);
    worker.once('exit', () => workers.delete(worker));
  };
  process.on('worker', hear);
  try {
    return await run(workers);
  } finally {
    process.off('worker', hear);
  }
}

/** Makes nothing in the region, as `tasks` does when it loads. */
const ECHO = `data:text/javascript,
  export default (payload) => payload;
  export async function later(payload) {
    await new Promise((resolve) => setImmediate(resolve));
    return payload;
  }`;

const region = new Region();
const values: [string, unknown][] = [
  ['a number', 7],
  ['-0', -0],
  ['NaN', Number.NaN],
  ['undefined', undefined],
  ['null', null],
  ['a bigint', 2n ** 70n],
  ['a short text', 'Wien'],
  ['a text of 3,000 characters', 'ä'.repeat(3000)],
  ['a text of 300,000 characters', 'ä'.repeat(300_000)],
  ['a tree', { a: [1, { b: new Date(5) }], c: new Map([[1, new Set([2])]]) }],
  ['bytes', new Uint8Array(100_000).fill(9)],
  ['shared memory of no region', new Int32Array(new SharedArrayBuffer(8))],
];

for (const [what, value] of values) {
  test(`${what} arrives and comes back as it is`, async () => {
    assert.equal(await newPool().run(value), value);
  });
}

test('arrays and locks of the region arrive live, however long the array', async () => {
  const pool = newPool({ region });
  const gate = region.array(Int32Array, 1_000_000);
  gate[OPEN] = 1;
  await pool.run(gate, { name: 'hold' });
  assert.is(gate[ENTERED], 1);
  const back = (await pool.run({ mutex: new Mutex({ region }) })) as { mutex: Mutex };
  assert.ok(back.mutex.tryLock());
});

test('names that do not fit the table, and more names than it has, work all the same', async () => {
  const names = Array.from({ length: 80 }, (_, n) => `f${n}`.padEnd(n === 7 ? 200 : 3, '_'));
  const code = names.map((name, n) => `export const ${name} = (x) => x + ${n};`).join('');
  await using pool = new Pool(`data:text/javascript,${code}`, { threads: 1 });
  const sums = await Promise.all(names.map((name) => pool.run(1, { name })));
  assert.equal(
    sums,
    names.map((_, n) => n + 1),
  );
});

test('more tasks than the table holds, one after another and all at once', async () => {
  const pool = newPool({ threads: 2, region: new Region({ bytes: 2 ** 18 }) });
  const all = Array.from({ length: 5000 }, (_, n) => n);
  assert.equal(
    await Promise.all(all.map((n) => pool.run(n, { name: 'square' }))),
    all.map((n) => n * n),
  );
});

for (const name of ['untilAborted', 'spinUntilAborted'] as const) {
  test(`${name}: an abort rejects at once, and the function that runs hears of it and of its reason`, async () => {
    const pool = newPool();
    const gate = newGate();
    const aborter = new AbortController();
    const running = pool.run(gate, { name, signal: aborter.signal });
    await until(() => Atomics.load(gate, ENTERED) === 1);
    const id = pool.run(undefined, { name: 'thread' });
    const reason = new Error('enough');
    aborter.abort(reason);
    assert.is(await reasonOf(running), reason);
    await until(() => Atomics.load(gate, OPEN) === 2);
    assert.is(await pool.run(undefined, { name: 'thread' }), await id);
    assert.not(await pool.run(undefined, { name: 'isAborted' }));
  });
}

test('close waits for a function that goes on though its task was aborted', async () => {
  const pool = newPool();
  const gate = newGate();
  const aborter = new AbortController();
  const running = reasonOf(pool.run(gate, { name: 'hold', signal: aborter.signal }));
  await until(() => Atomics.load(gate, ENTERED) === 1);
  aborter.abort();
  await running;
  let closed = false;
  const closing = pool.close().then(() => {
    closed = true;
  });
  for (let turn = 0; turn < 20; turn++) await new Promise((resolve) => setImmediate(resolve));
  assert.not(closed);
  Atomics.store(gate, OPEN, 1);
  await closing;
});

test('a task that an abort or a timeout may terminate runs alone in its thread', async () => {
  const pool = newPool({ concurrentTasksPerWorker: 3 });
  const [first, alone, third] = [newGate(), newGate(), newGate()];
  const held = pool.run(first, { name: 'hold' });
  await until(() => Atomics.load(first, ENTERED) === 1);
  const aborter = new AbortController();
  const dying = reasonOf(pool.run(alone, { name: 'hold', signal: aborter.signal, terminate: true }));
  const behind = pool.run(third, { name: 'hold' });
  Atomics.store(first, OPEN, 1);
  const id = await held;
  await until(() => Atomics.load(alone, ENTERED) === 1);
  assert.is(Atomics.load(third, ENTERED), 0);
  aborter.abort();
  assert.is(await dying, aborter.signal.reason);
  Atomics.store(third, OPEN, 1);
  assert.is.not(await behind, id);
});

test('so many tasks run at once in a thread as concurrentTasksPerWorker says, and no more', async () => {
  const pool = newPool({ concurrentTasksPerWorker: 3 });
  const gate = newGate();
  const all = [1, 2, 3, 4].map(() => pool.run(gate, { name: 'hold' }));
  await until(() => Atomics.load(gate, ENTERED) === 3);
  assert.is(pool.stats().queued, 1);
  Atomics.store(gate, OPEN, 1);
  assert.is(new Set(await Promise.all(all)).size, 1);
});

test('a task that was waiting in a thread that dies runs on another, and what was begun is not run again', async () => {
  await withWorkers(async (workers) => {
    const pool = newPool({ concurrentTasksPerWorker: 2 });
    const [gate, later] = [newGate(), newGate()];
    const begun = reasonOf(pool.run(gate, { name: 'hold' }));
    await until(() => Atomics.load(gate, ENTERED) === 1);
    // Taken by the only thread, which does not begin it while another task runs.
    const waiting = pool.run(later, { name: 'hold', terminate: true });
    await pool.run(1, { name: 'square', timeout: 50 }).catch(() => {});
    for (const worker of workers) await worker.terminate();
    assert.instance(await begun, ThreadDiedError);
    Atomics.store(later, OPEN, 1);
    await waiting;
    assert.equal([gate[ENTERED], later[ENTERED]], [1, 1]);
  });
});

test('threads above minThreads end when nothing is to be done', async () => {
  const pool = newPool({ threads: undefined, minThreads: 1, maxThreads: 3, idleTimeout: 1 });
  const gate = newGate();
  const three = [1, 2, 3].map(() => pool.run(gate, { name: 'hold' }));
  await until(() => Atomics.load(gate, ENTERED) === 3);
  Atomics.store(gate, OPEN, 1);
  await Promise.all(three);
  await until(() => pool.stats().threads === 1);
  assert.is(await pool.run(3, { name: 'square' }), 9);
});

test('a payload or result that nothing carries is refused, and the region has nothing of it', async () => {
  const own = new Region();
  const pool = newPool({ region: own });
  await pool.run(1, { name: 'square' });
  const { used } = own;
  const refused = await reasonOf(pool.run({ deep: { run: () => {} } }));
  assert.instance(refused, TaskError);
  assert.not(refused instanceof CodecError);
  assert.instance(await reasonOf(pool.run('function', { name: 'unclonable' })), TaskError);
  await pool.run('ä'.repeat(20_000));
  await reasonOf(pool.run('own', { name: 'fail' }));
  assert.is(own.used, used);
});

test('timers and promises of an idle thread go on', async () => {
  const pool = newPool();
  const gate = newGate();
  await pool.run(gate, { name: 'leaveCounter' });
  await until(() => Atomics.load(gate, ENTERED) > 3);
});

test('the channel ringfence:task tells of each task', async () => {
  const heard: TaskEnd[] = [];
  const hear = (message: unknown): unknown => heard.push(message as TaskEnd);
  channel('ringfence:task').subscribe(hear);
  const pool = newPool({ name: 'bakery' });
  await pool.run(2, { name: 'square' });
  await reasonOf(pool.run('type', { name: 'fail' }));
  channel('ringfence:task').unsubscribe(hear);
  assert.equal(
    heard.map(({ pool, name, fulfilled }) => [pool, name, fulfilled]),
    [
      ['bakery', 'square', true],
      ['bakery', 'fail', false],
    ],
  );
  assert.ok(Number(heard[0]?.runTime) >= 0 && Number(heard[0]?.waitTime) >= 0);
});

test('threads that are killed at random instants: each task ends once, rightly or with ThreadDiedError', async () => {
  const own = new Region();
  await withWorkers(async (workers) => {
    const pool = new Pool(ECHO, { region: own, threads: 2 });
    await pool.run(1);
    const { used } = own;
    const next = random(11);
    let [done, died, kills, rights] = [0, 0, 0, 0];
    const lane = async (width: number): Promise<void> => {
      while (kills < 30) {
        const value = width === 0 ? done : 'x'.repeat(width * (done % 20));
        try {
          const run = width === 1 ? pool.run(value, { name: 'later' }) : pool.run(value);
          if ((await run) === value) rights++;
          done++;
        } catch (error) {
          assert.instance(error, ThreadDiedError);
          died++;
        }
      }
    };
    const lanes = [0, 1, 30, 0, 1, 30, 0, 1].map(lane);
    while (kills < 30) {
      const enough = done + 20 + next(300);
      await until(() => done >= enough);
      for (const worker of [...workers].slice(0, 1 + Number(next(4) === 0))) {
        void worker.terminate();
        kills++;
      }
    }
    await Promise.all(lanes);
    assert.is(rights, done);
    assert.ok(died <= kills * 2, `${died} of ${done + died} tasks died with ${kills} threads`);
    assert.is(own.used, used);
    await pool.close();
  });
  assert.is(own.used, 0);
});

/** Its functions enter a gate, and end their thread. */
const DEADLY = `data:text/javascript,
  import { setImmediate as turn } from 'node:timers/promises';
  export default (payload) => payload;
  export function enter(gate) { return Atomics.add(gate, 0, 1); }
  export function exit(gate) { enter(gate); process.exit(3); }
  export function fill(gate) { enter(gate); for (const all = []; ; ) all.push(new Array(100000).fill(all.length)); }
  export function loop(gate) { enter(gate); for (;;); }
  export async function exitWhenOpen(gate) {
    enter(gate);
    while (Atomics.load(gate, 1) === 0) await turn();
    process.exit(3);
  }`;

for (const [name, how] of [
  ['exit', 'exits'],
  ['fill', 'takes all memory'],
  ['loop', 'is terminated'],
] as const) {
  test(`a task whose thread ${how} rejects and is not run again; the thread is replaced, and what waited goes on`, async () => {
    await withWorkers(async (workers) => {
      await using pool = new Pool(DEADLY, { threads: 1, resourceLimits: { maxOldGenerationSizeMb: 20 } });
      const gate = newGate();
      const dying = reasonOf(pool.run(gate, { name }));
      const behind = [1, 2, 3].map((n) => pool.run(n));
      await until(() => Atomics.load(gate, ENTERED) === 1);
      if (name === 'loop') for (const worker of workers) void worker.terminate();
      assert.instance(await dying, ThreadDiedError);
      assert.equal(await Promise.all(behind), [1, 2, 3]);
      assert.is(Atomics.load(gate, ENTERED), 1);
    });
  });
}

test('a task that two threads had taken and not begun when they died is not given to a third', async () => {
  const own = new Region();
  await using pool = new Pool(DEADLY, { region: own, threads: 1, concurrentTasksPerWorker: 2, name: 'deadly' });
  const [first, second, gate] = [newGate(), newGate(), newGate()];
  const isTaken = (): boolean => own.inspect().queues.find(({ name }) => name === 'tasks of deadly')?.size === 0;
  const killers = [reasonOf(pool.run(first, { name: 'exitWhenOpen' }))];
  await until(() => Atomics.load(first, ENTERED) === 1);
  const held = reasonOf(pool.run(gate, { name: 'enter', terminate: true })); // waits until its thread runs nothing else
  await until(isTaken);
  killers.push(reasonOf(pool.run(second, { name: 'exitWhenOpen' })));
  Atomics.store(first, OPEN, 1);
  await until(() => Atomics.load(second, ENTERED) === 1 && isTaken());
  Atomics.store(second, OPEN, 1);
  for (const reason of await Promise.all([...killers, held])) assert.instance(reason, ThreadDiedError);
  assert.match((await held).message, /^enter in pool deadly was not run: 2 threads/);
  assert.is(await pool.run(7), 7);
  assert.is(Atomics.load(gate, ENTERED), 0);
});

/** Its function is tiny, until it waits for another call of it: by an atomic of the language, or by an event of this library. */
const MOODY = `data:text/javascript,
  export default function (payload) {
    if (typeof payload === 'number') return payload;
    const { gate, event, done, does } = payload;
    if (does === 'open') {
      event.set();
      Atomics.store(gate, 1, 1);
      Atomics.notify(gate, 1);
      done.set();
    } else if (does === 'atomic') Atomics.wait(gate, 1, 0);
    else event.wait();
  }`;

const COUNTING = 'data:text/javascript,export default (count) => Atomics.add(count, 0, 1)';

/** As often as it takes to find a thread awake and the other one asleep, which cannot be seen from here. */
const OFTEN = 30;

for (const [does, blocks, what] of [
  ['atomic', 'promise', 'waits'],
  ['atomic', 'event', 'waits, and the pool blocks'],
  ['event', 'atomic', 'blocks, and the pool waits elsewhere'],
] as const) {
  test(`a task behind another that was tiny before and now ${what} is run by another thread`, async () => {
    const own = new Region();
    await using pool = new Pool(MOODY, { region: own, threads: 2 });
    for (let round = 0; round < OFTEN; round++) {
      const gate = own.array(Int32Array, 2);
      const [event, done] = [new Event({ region: own }), new Event({ region: own })];
      for (let n = 0; n < 60; n++) await pool.run(n);
      const both = ['open', does].reverse().map((what) => pool.run({ gate, event, done, does: what }));
      if (blocks === 'event') done.wait({ timeout: 10_000 });
      else if (blocks === 'atomic') assert.is.not(Atomics.wait(gate, OPEN, 0, 10_000), 'timed-out');
      await Promise.all(both);
    }
  });
}

test('code that awaits a task goes on before all results that are there have been settled', async () => {
  const own = new Region();
  await using pool = new Pool(COUNTING, { region: own, threads: 2 });
  const count = own.array(Int32Array, 1);
  await pool.run(count);
  const first = pool.run(count);
  const others = Promise.all(Array.from({ length: 200 }, () => pool.run(count)));
  for (let ran = 1; ran < 202; ran = Atomics.load(count, 0)) Atomics.wait(count, 0, ran, 10);
  await first;
  assert.ok(pool.stats().completed < 202 / 2, `${pool.stats().completed} are settled`);
  await others;
});

test('threads without a task sleep, and so does a pool that waits', async () => {
  const own = new Region();
  const pool = newPool({ region: own, threads: 2, name: 'calm' });
  const asleep = (name: string): number | undefined =>
    own.inspect().queues.find((queue) => queue.name === `${name} of calm`)?.waitersTo.get.length;
  await Promise.all(Array.from({ length: 100 }, (_, n) => pool.run(n)));
  await until(() => asleep('tasks') === 2);
  const gate = newGate();
  const held = pool.run(gate, { name: 'hold' });
  await until(() => Atomics.load(gate, ENTERED) === 1 && asleep('results') === 1);
  Atomics.store(gate, OPEN, 1);
  await held;
});

test('pools that are opened and closed many times leave no thread, no byte and no listener', async () => {
  const own = new Region();
  await withWorkers(async (workers) => {
    for (let round = 0; round < 20; round++) {
      const pool = new Pool(ECHO, { region: own, threads: 1 + (round % 2) });
      const all = [pool.run(round, { name: 'later' }), pool.run('x'.repeat(500)), pool.run({ round })];
      if (round % 3 === 0) await pool.close({ timeout: 0 });
      await Promise.allSettled(all);
      await pool.close();
      assert.equal([own.used, workers.size], [0, 0]);
    }
  });
});

test.run();
