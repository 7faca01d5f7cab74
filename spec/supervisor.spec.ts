import { Worker } from 'node:worker_threads';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { REGION_THREADS_AT, THREAD_BYTES } from '../lib/kernel/layout.ts';
import { BrokenBarrierError, OwnerDiedError, ThreadDiedError } from '../lib/memory/errors.ts';
import { type Death, Region, supervise } from '../lib/memory/region.ts';
import { formatSnapshot } from '../lib/memory/snapshot.ts';
import { codec } from '../lib/queue/codec.ts';
import { Queue } from '../lib/queue/queue.ts';
import { Barrier } from '../lib/sync/barrier.ts';
import { Mutex } from '../lib/sync/mutex.ts';
import { RwLock } from '../lib/sync/rwlock.ts';
import { Semaphore } from '../lib/sync/semaphore.ts';
import { reasonOf } from './kit/pools.ts';
import { random } from './kit/random.ts';
import { ENTERED, newGate } from './kit/tasks.ts';
import { until } from './kit/until.ts';
import { deaths, kill, victim } from './kit/victims.ts';

function newRegion(threads = 8): Region {
  return new Region({ bytes: 2 ** 20, threads });
}

test('what a dead thread held goes back or is known as that, and the channel says how much', async () => {
  const region = newRegion();
  const [semaphore, rwlock, mutex] = [
    new Semaphore({ region, permits: 4 }),
    new RwLock({ region }),
    new Mutex({ region }),
  ];
  const gate = newGate();
  const worker = await victim('holdAll', { semaphore, rwlock, mutex, gate });
  await until(() => Atomics.load(gate, ENTERED) === 1);
  assert.equal([semaphore.available, rwlock.write.tryLock(), mutex.locked], [1, false, true]);
  assert.equal(await kill(worker), { locks: 1, reads: 1, permits: 3 });
  assert.equal([semaphore.available, rwlock.write.tryLock()], [4, true]);
  assert.throws(
    () => mutex.lock(),
    (error: Error) => error instanceof OwnerDiedError,
  );
  assert.is(region.inspect().threads.length, 1, 'its slot is free');
});

test('a barrier that a dead thread waited at breaks for the others', async () => {
  const barrier = new Barrier({ region: newRegion(), parties: 3 });
  const gate = newGate();
  const worker = await victim('waitAt', { barrier, gate });
  await until(() => barrier.region.inspect().threads.some(({ waits }) => waits.length > 0));
  const mine = reasonOf(barrier.waitAsync());
  assert.equal(await kill(worker), { barriers: 1 });
  assert.instance(await mine, BrokenBarrierError);
  barrier.reset();
  assert.equal(await Promise.all([1, 2, 3].map(() => barrier.waitAsync())), [0, 1, 2]);
});

test('a block that a dead thread was writing goes back', async () => {
  const region = newRegion();
  const queue = new Queue<unknown>({ region, capacity: 2 });
  const gate = newGate();
  const worker = await victim('putForever', { queue, gate });
  await until(() => Atomics.load(gate, ENTERED) === 1);
  assert.equal(await kill(worker), { blocks: 1 });
});

test('a piece that a dead thread was building goes back', async () => {
  const region = newRegion();
  const before = region.used;
  const gate = newGate();
  const worker = await victim('buildForever', { region, gate });
  await until(() => Atomics.load(gate, ENTERED) === 1);
  assert.ok(region.used > before);
  assert.equal(await kill(worker), { pieces: 1 });
  assert.is(region.used, before);
});

test('a thread that ends in good order leaves nothing to repair, and supervising it twice changes nothing', async () => {
  const region = newRegion();
  const barrier = new Barrier({ region, parties: 1 });
  const gate = newGate();
  const worker = await victim('waitAt', { barrier, gate });
  supervise(worker);
  const id = worker.threadId;
  await new Promise((resolve) => worker.once('exit', resolve));
  const repaired = deaths.filter(({ thread, repairs }) => thread === id && Object.keys(repairs).length > 0);
  assert.equal([repaired.length, barrier.broken, barrier.waiting], [0, false, 0]);
  assert.is(region.inspect().threads.length, 1);
});

test('a burial whose supervisor died in the middle is done again by the next', () => {
  const region = newRegion();
  const { kernel, i32 } = region;
  const recordOf = (slot: number) => (i32[REGION_THREADS_AT >> 2] ?? 0) + slot * THREAD_BYTES;
  const queue = new Queue<string>({ region, capacity: 2, codec: codec.string });
  kernel.threadJoin(recordOf(5), 1000);
  kernel.threadJoin(recordOf(6), 1001);
  assert.ok(kernel.blockClaim(queue.offset, queue.serial, 5 + 1, 0) >= 0);
  kernel.threadBury(recordOf(5), 1000, 6); // the thread in slot 6 buries the one in slot 5, and dies
  assert.is(region.threadExited(999), undefined, 'somebody does it already');
  assert.equal(region.threadExited(1000), {});
  assert.equal([kernel.threadClaim(recordOf(5)), kernel.threadClaim(recordOf(6))], [0, 0]);
  const letters = Array.from({ length: 18 }, () => kernel.blockClaim(queue.offset, queue.serial, 1, 0));
  assert.not.ok(letters.includes(-1), 'all blocks can be had again');
});

for (const [how, exits] of [
  ['is terminated', false],
  ['exits', true],
] as const) {
  test(`the workers of a worker that ${how} are repaired with it, and theirs, by who supervises that one`, async () => {
    const region = newRegion();
    const [semaphore, rwlock, mutex] = [
      new Semaphore({ region, permits: 4 }),
      new RwLock({ region }),
      new Mutex({ region }),
    ];
    const gate = newGate();
    const heard: Death[] = [];
    region.onDeath((death) => heard.push(death));
    const grandchild = { name: 'holdAll', args: { semaphore, rwlock, mutex, gate }, gate };
    const worker = await victim('startAnother', { name: 'startAnother', args: grandchild, gate, exits });
    await until(() => Atomics.load(gate, ENTERED) === 1);
    if (exits) await isAlone(region);
    else await worker.terminate();
    assert.equal(
      heard.map(({ repairs }) => repairs).filter((repairs) => Object.keys(repairs).length > 0),
      [{ locks: 1, reads: 1, permits: 3 }],
    );
    assert.equal([semaphore.available, rwlock.write.tryLock()], [4, true]);
    mutex.recover(() => {});
    assert.is(region.inspect().threads.length, 1, 'all slots are free');
  });
}

test('onDeath tells of each death until it is disposed, and the sums are in every snapshot', async () => {
  const region = newRegion();
  const mutex = new Mutex({ region });
  const heard: Death[] = [];
  const watch = region.onDeath((death) => heard.push(death));
  const gate = newGate();
  const worker = await victim('waitAt', { barrier: new Barrier({ region, parties: 2 }), gate });
  await until(() => region.inspect().threads.some(({ waits }) => waits.length > 0));
  const { threadId } = worker;
  await kill(worker);
  assert.equal(
    heard.map(({ thread, slot, repairs }) => ({ thread, slot, repairs })),
    [{ thread: threadId, slot: 1, repairs: { barriers: 1 } }],
  );
  await victim('exitInside', { mutex, gate });
  await until(() => heard.length === 2);
  assert.equal(heard[1]?.repairs, { locks: 1 }, 'one that ends in the middle buries itself, and is heard of');
  watch[Symbol.dispose]();
  await victim('exitInside', { mutex: new Mutex({ region }), gate });
  await until(() => region.inspect().deaths === 3);
  await isAlone(region);
  const { deaths, repairs } = region.inspect();
  assert.equal([deaths, repairs, heard.length], [3, { locks: 2, barriers: 1 }, 2]);
  assert.match(formatSnapshot(region.inspect()), /\n {2}3 of its threads died; repaired: 2 locks, 1 barriers\n/);
});

const isAlone = (region: Region) => until(() => region.inspect().threads.length === 1);

test('a thread that ends in good order is no death, and what is no function does not listen', async () => {
  const region = newRegion();
  const heard: Death[] = [];
  region.onDeath((death) => heard.push(death));
  await victim('waitAt', { barrier: new Barrier({ region, parties: 1 }), gate: newGate() });
  await isAlone(region);
  await new Promise((resolve) => setImmediate(resolve));
  assert.equal([heard.length, region.inspect().deaths], [0, 0]);
  assert.throws(() => region.onDeath('me' as never), /^listener must be a function: got "me"$/);
});

test('what is no running worker is refused', async () => {
  const message = /^worker must be a Worker that runs: got /;
  for (const wrong of [undefined, 7, {}]) assert.throws(() => supervise(wrong as never), message);
  const worker = new Worker('', { eval: true });
  await new Promise((resolve) => worker.once('exit', resolve));
  assert.throws(() => supervise(worker), message);
});

test('threads that are terminated at random, two at once, wedge nothing and leak nothing', async () => {
  const region = newRegion(16);
  const queue = new Queue<Uint8Array>({ region, capacity: 5, codec: codec.bytes, blockBytes: 64 });
  const made = {
    mutex: new Mutex({ region }),
    rwlock: new RwLock({ region }),
    semaphore: new Semaphore({ region, permits: 5 }),
  };
  const pair = region.array(Int32Array, 2);
  const empty = region.used;
  const next = random(7);
  const gate = newGate();
  let kills = 0;
  for (let round = 0; round < 12; round++) {
    Atomics.store(gate, ENTERED, 0);
    const workers = await Promise.all([0, 1, 2].map((index) => victim('rage', { queue, ...made, pair, gate }, index)));
    await until(() => Atomics.load(gate, ENTERED) === 3);
    await new Promise((resolve) => setTimeout(resolve, next(20)));
    await Promise.all(workers.slice(0, 2).map((worker) => worker.terminate()));
    await workers[2]?.terminate();
    kills += workers.length;
    made.mutex.recover(() => pair.fill(round));
    made.rwlock.recover(() => {});
    assert.equal([made.semaphore.available, made.mutex.locked, region.inspect().threads.length], [5, false, 1]);
    for (let item = queue.tryGet(); item; item = queue.tryGet()) {
      assert.ok(
        item.every((byte) => byte === item?.[0]),
        'each message is whole',
      );
    }
    assert.equal([queue.size, region.used], [0, empty]);
    queue.putMany(Array.from({ length: 5 }, () => new Uint8Array(900)));
    assert.is(queue.getMany(5).length, 5, 'all blocks can be had again');
  }
  assert.is(kills, 36);
});

for (const [name, how] of [
  ['takeSome', 'is terminated'],
  ['takeAndFail', 'fails'],
] as const) {
  test(`join, awaited, blocking or called later, says that a consumer ${how} with items in hand; another join goes on`, async () => {
    const queue = new Queue<number>({ region: newRegion(), capacity: 4 });
    queue.putMany([1, 2, 3]);
    const gate = newGate();
    const waiting = reasonOf(queue.joinAsync());
    const asleep = await victim('joinUntilDeath', { queue });
    const heard = new Promise((resolve) => asleep.once('message', resolve));
    await until(() => queue.region.inspect().queues[0]?.waitersTo.join.length === 2);
    const worker = await victim(name, { queue, takes: 3, done: 1, gate });
    if (name === 'takeSome') {
      await until(() => Atomics.load(gate, ENTERED) === 1);
      await kill(worker);
    }
    const reason = await waiting;
    assert.instance(reason, ThreadDiedError);
    assert.match(reason.message, 'there are 2');
    assert.equal(await heard, { result: 'ERR_THREAD_DIED' });
    const again = queue.joinAsync();
    queue.taskDone(2); // whoever knows better
    await again;
  });
}

test('join waits on when a thread dies that has the queue, and nothing is in hand or it ends in good order', async () => {
  const queue = new Queue<number>({ region: newRegion(), capacity: 4 });
  queue.putMany([1, 2]);
  const gate = newGate();
  const idle = await victim('takeSome', { queue, takes: 0, done: 0, gate });
  await until(() => Atomics.load(gate, ENTERED) === 1);
  const joined = queue.joinAsync();
  await kill(idle);
  queue.get();
  await victim('holdAndEnd', { queue });
  await until(() => queue.region.inspect().threads.length === 1);
  queue.get();
  queue.taskDone(2);
  await joined;
});

test.run();
