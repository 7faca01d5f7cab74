import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { DONE, MUTEX_WAITERS, REGION_TICKETS, STAMP_SHIFT, THREAD_BYTES, THREAD_NAME } from '../lib/kernel/layout.ts';
import type { Kernel } from '../lib/memory/kernel.ts';
import { writeName } from '../lib/memory/kinds.ts';
import type { Region } from '../lib/memory/region.ts';
import { WaitGraph } from '../lib/memory/waitgraph.ts';
import { Mutex } from '../lib/sync/mutex.ts';
import { crew } from './kit/crew.ts';
import type { goInCircles, lockSome } from './kit/cycles.ts';
import { newRegion } from './kit/regions.ts';
import { ENTERED, newGate, OPEN } from './kit/tasks.ts';
import { until } from './kit/until.ts';

const cycles = new URL('./kit/cycles.js', import.meta.url);
const THREADS = 8;

function newMutexes(region: Region, count: number): Mutex[] {
  return Array.from({ length: count }, (_, at) => new Mutex({ region, name: `fork ${at}` }));
}

function newMeeting(): Int32Array {
  return new Int32Array(new SharedArrayBuffer(8));
}

/** Nobody holds them and nobody waits for them. */
function assertIdle(mutexes: readonly Mutex[]): void {
  for (const { locked, region, offset } of mutexes) {
    assert.is(locked, false);
    assert.is(region.kernel.waiting(offset + MUTEX_WAITERS), 0);
  }
  const { graph } = (mutexes[0] as Mutex).region.parker;
  for (let slot = 0; slot < THREADS; slot++) assert.is(graph.read(slot), undefined);
}

for (const [threads, rounds, tickets] of [
  [2, 200, 2n ** 31n - 100n],
  [3, 150, 2n ** 32n - 100n],
  [5, 30, 0n],
] as const) {
  test(`a cycle of ${threads} threads is reported in one of them each time, and the others go on`, async () => {
    const region = newRegion();
    region.i64[REGION_TICKETS >> 3] = tickets;
    const mutexes = newMutexes(region, threads);
    const order = { mutexes, meeting: newMeeting(), rounds };
    const seen = await crew<ReturnType<typeof goInCircles>>(threads, cycles, 'goInCircles', order);
    const messages = seen.flatMap(({ said }) => said);
    assert.is(messages.length, rounds);
    for (const message of messages) {
      assert.match(message, new RegExp(`^deadlock of ${threads} threads: `));
      for (const [at, { slot }] of seen.entries()) {
        const next = seen[(at + 1) % threads]?.slot;
        const step = `\\(slot ${slot}\\) waits for mutex "fork ${(at + 1) % threads}", held by worker \\d+ \\(slot ${next}\\)`;
        assert.match(message, new RegExp(step));
      }
    }
    assertIdle(mutexes);
  });
}

test('threads that lock in one order see no deadlock, in thousands of operations', async () => {
  const region = newRegion();
  const mutexes = newMutexes(region, 5);
  const counters = region.array(Int32Array, 5);
  const order = { mutexes, counters, times: 1000, sorted: true };
  const seen = await crew<ReturnType<typeof lockSome>>(4, cycles, 'lockSome', order);
  assert.equal(seen, Array(4).fill({ dead: 0, done: 1000 }));
  assert.is(
    counters.reduce((all, count) => all + count),
    4 * 1000 * 3,
  );
  assertIdle(mutexes);
});

test('threads that lock in random orders all end, and lose no count', async () => {
  const region = newRegion();
  const mutexes = newMutexes(region, 5);
  const counters = region.array(Int32Array, 5);
  const order = { mutexes, counters, times: 500, sorted: false };
  const seen = await crew<ReturnType<typeof lockSome>>(4, cycles, 'lockSome', order);
  assert.ok(seen.every(({ done }) => done === 500));
  assert.ok(
    counters.reduce((all, count) => all + count) >= 4 * 500 * 3,
    'those of a deadlock were not counted, all others were',
  );
  assertIdle(mutexes);
});

/** Both threads of a pair run their functions; what each of them said. */
async function pair(names: readonly [string, string], region = newRegion()): Promise<string[]> {
  const [one, two] = newMutexes(region, 2) as [Mutex, Mutex];
  const gate = newGate();
  const both = [
    crew<string>(1, cycles, names[0], { first: one, second: two, gate }),
    crew<string>(1, cycles, names[1], { first: two, second: one, gate }),
  ];
  await until(() => Atomics.load(gate, ENTERED) === 2);
  Atomics.store(gate, OPEN, 1);
  Atomics.notify(gate, OPEN);
  const said = (await Promise.all(both)).flat();
  assertIdle([one, two]);
  return said;
}

test('a task that holds a lock is part of a cycle when its thread blocks', async () => {
  assert.equal((await pair(['holdInTask', 'holdAndLock'])).sort(), ['ERR_DEADLOCK', 'done']);
  assert.equal((await pair(['holdInTask', 'holdInTask'])).sort(), ['ERR_DEADLOCK', 'done']);
});

test('a lock with a timeout is no part of a cycle: it times out, and the other thread goes on', async () => {
  assert.equal(await pair(['holdAndLock', 'holdAndLockFor']), ['done', 'ERR_TIMEOUT']);
  const both = await pair(['holdAndLockFor', 'holdAndLockFor']);
  assert.ok(both.includes('ERR_TIMEOUT') && !both.includes('ERR_DEADLOCK'), both.join());
});

test('a promise is no part of a cycle: another task of its thread may unlock', async () => {
  assert.equal(await pair(['holdAndLock', 'holdAndAwait']), ['done', 'done']);
});

/** A region whose slots from 1 on are held by threads that do what the spec says. */
class Scene {
  readonly region = newRegion({ threads: THREADS });
  readonly mutexes = newMutexes(this.region, THREADS);

  constructor() {
    for (let slot = 1; slot < THREADS; slot++) {
      this.region.kernel.threadJoin(this.record(slot), 1000 + slot);
      writeName(this.region.buffer, this.record(slot) + THREAD_NAME, `cook ${slot}`);
    }
  }

  record(slot: number): number {
    return this.region.record + (slot - this.region.slot) * THREAD_BYTES;
  }

  /** The thread locks the mutex. */
  holds(slot: number, at: number): void {
    const { offset, serial } = this.mutexes[at] as Mutex;
    const free = serial << STAMP_SHIFT;
    assert.is(this.region.kernel.lock(offset, free | (slot + 1)), DONE);
  }

  letsGo(slot: number, at: number): void {
    const { offset, serial } = this.mutexes[at] as Mutex;
    const free = serial << STAMP_SHIFT;
    assert.is(this.region.kernel.unlock(offset, free | (slot + 1)), DONE);
  }

  waits(slot: number, at: number, endless = true): void {
    const mutex = this.mutexes[at] as Mutex;
    this.graph(slot).begin(mutex, mutex.offset + MUTEX_WAITERS, endless);
  }

  graph(slot: number, kernel: Kernel = this.region.kernel): WaitGraph {
    const { region } = this;
    return new WaitGraph(kernel, region.memory.buffer, this.record(0), THREADS, slot);
  }

  /** What the thread sees, and whom it wakes. */
  look(slot: number, kernel?: Kernel): { said: string | undefined; woken: number[] } {
    const woken: number[] = [];
    return { said: this.graph(slot, kernel).deadlock((other) => woken.push(other)), woken };
  }
}

/** The kernel, where steps happen before the calls with these numbers, whatever is called; `steps` is used up. */
function interrupted(kernel: Kernel, steps: { before: number; happens: () => void }[]): Kernel {
  let calls = 0;
  const wrap = (operation: (...args: number[]) => number) =>
    function wrapped(...args: number[]): number {
      calls++;
      while (steps[0] && steps[0].before < calls) steps.shift()?.happens();
      return operation(...args);
    };
  const wrapped = Object.entries(kernel).map(([name, operation]) => [name, wrap(operation)]);
  return Object.fromEntries(wrapped) as Kernel;
}

test('of two threads that close a cycle at once the younger wait reports it, and the other one wakes it', () => {
  const scene = new Scene();
  scene.holds(1, 1);
  scene.holds(2, 2);
  scene.waits(1, 2);
  scene.waits(2, 1);
  assert.equal(scene.look(1), { said: undefined, woken: [2] });
  const { said, woken } = scene.look(2);
  assert.equal(woken, []);
  assert.is(
    said,
    'deadlock of 2 threads: cook 2 (slot 2) waits for mutex "fork 1", held by cook 1 (slot 1); ' +
      'cook 1 (slot 1) waits for mutex "fork 2", held by cook 2 (slot 2)',
  );
});

test('whoever looks wakes the next younger wait on its way, up to the youngest', () => {
  const scene = new Scene();
  const order = [3, 1, 5, 2, 7, 4]; // the cycle goes through the slots as they stand here
  for (const slot of order) scene.holds(slot, slot);
  for (const slot of [1, 2, 3, 4, 5, 7]) scene.waits(slot, order[(order.indexOf(slot) + 1) % order.length] ?? 0);
  assert.equal(scene.look(1).woken, [5]);
  assert.equal(scene.look(5).woken, [7]);
  assert.match(scene.look(7).said ?? '', /^deadlock of 6 threads/);
});

test('a chain that ends is no cycle, and neither is one that leads into a cycle of others', () => {
  const scene = new Scene();
  for (const slot of [1, 2, 3]) scene.holds(slot, slot);
  scene.waits(2, 3);
  scene.waits(1, 2);
  assert.equal(scene.look(1), { said: undefined, woken: [] });
  scene.waits(3, 2);
  assert.match(scene.look(3).said ?? '', /^deadlock of 2 threads/);
  scene.waits(4, 1);
  assert.equal(scene.look(4), { said: undefined, woken: [] });
});

test('a wait with a timeout, an object without an owner and one that was freed lead nowhere', () => {
  const scene = new Scene();
  for (const slot of [1, 2]) scene.holds(slot, slot);
  scene.waits(1, 2, false);
  scene.waits(2, 1);
  assert.is(scene.look(2).said, undefined, 'thread 1 gives up by itself');
  scene.waits(1, 3);
  scene.waits(2, 1);
  assert.is(scene.look(2).said, undefined, 'nobody holds it');
  scene.waits(1, 2);
  scene.waits(2, 1);
  scene.mutexes[2]?.free();
  assert.is(scene.look(2).said, undefined, 'thread 1 is about to hear that it was freed');
});

test('a picture that changes while it is looked at is no deadlock', () => {
  const scene = new Scene();
  const { kernel } = scene.region;
  scene.holds(1, 1);
  scene.holds(2, 2);
  scene.waits(2, 1);
  // at no instant does thread 1 hold what thread 2 waits for while it waits for thread 2
  const goes = () => {
    scene.letsGo(1, 1);
    scene.waits(1, 2);
  };
  const comes = () => {
    scene.graph(1).end();
    scene.holds(1, 1);
  };
  let least = 0;
  for (let first = 0; first < 40; first++) {
    for (let second = first; second < 40; second++) {
      const steps = [
        { before: first, happens: goes },
        { before: second, happens: comes },
      ];
      assert.is(scene.look(2, interrupted(kernel, steps)).said, undefined, `before the calls ${first} and ${second}`);
      least = Math.max(least, 2 - steps.length);
      for (const { happens } of steps) happens();
    }
  }
  assert.is(least, 2, 'both happened within one look');
});

test('a lock that is freed while it is looked at is no part of a deadlock', () => {
  for (let before = 0; before < 12; before++) {
    const scene = new Scene();
    scene.holds(1, 1);
    scene.holds(2, 2);
    scene.waits(1, 2);
    scene.waits(2, 1);
    const steps = [{ before, happens: () => scene.mutexes[1]?.free() }];
    assert.is(scene.look(2, interrupted(scene.region.kernel, steps)).said, undefined, `before call ${before}`);
  }
});

test.run();
