import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { PIPE_INBOX, PIPE_OUTBOX, PIPE_OWNER, QUEUE_GETTERS, QUEUE_PUTTERS } from '../lib/kernel/layout.ts';
import {
  ClosedError,
  CodecError,
  InvalidHandleError,
  NotOwnerError,
  RegionFullError,
  TimeoutError,
} from '../lib/memory/errors.ts';
import { attach, share } from '../lib/memory/handles.ts';
import { Region } from '../lib/memory/region.ts';
import { codec } from '../lib/queue/codec.ts';
import { type Connection, type PipeOptions, pipe } from '../lib/queue/pipe.ts';
import { Queue } from '../lib/queue/queue.ts';
import { Mutex } from '../lib/sync/mutex.ts';
import { crew } from './kit/crew.ts';
import type { Talk } from './kit/piping.ts';
import { refuses, refusesLater } from './kit/refuses.ts';
import { newRegion } from './kit/regions.ts';
import { starts } from './kit/rings.ts';
import { ENTERED, newGate, OPEN } from './kit/tasks.ts';
import { until } from './kit/until.ts';

const piping = new URL('./kit/piping.js', import.meta.url);
const region = new Region({ bytes: 2 ** 21, threads: 8 });

function newPipe<T = unknown>(options: PipeOptions<T> = {}): [Connection<T>, Connection<T>] {
  return pipe<T>({ region, name: 'phone', capacity: 4, ...options });
}

/** Another thread that does something with an end; resolves once it has begun. */
async function other(order: Omit<Talk, 'gate'>): Promise<{ ended: Promise<unknown> }> {
  const gate = newGate();
  const ended = crew<unknown>(1, piping, 'talk', { ...order, gate }).then(([result]) => result);
  await until(() => Atomics.load(gate, ENTERED) === 1);
  return { ended };
}

/** In how many of the wait sets of a pipe somebody is registered. */
function sleepers({ offset }: { offset: number }): number {
  const queues = [PIPE_INBOX, PIPE_OUTBOX].map((at) => region.i32[(offset + at) >> 2] ?? 0);
  const sets = queues.flatMap((queue) => [queue + QUEUE_GETTERS, queue + QUEUE_PUTTERS]);
  return sets.filter((set) => region.kernel.waiting(set)).length;
}

test('what one end sends the other receives, both ways, in order and as it was', () => {
  const [one, two] = newPipe();
  const items = [1, 'two', null, undefined, { three: [3n] }];
  for (const item of items.slice(0, 4)) one.send(item);
  two.send('back');
  assert.equal([two.recv(), two.recv(), two.recv(), two.recv()], items.slice(0, 4));
  assert.is(one.recv(), 'back');
  one.send(items[4]);
  assert.equal(two.recv(), items[4]);
});

test('positions that pass 2^31 and 2^32 change nothing', () => {
  for (const position of starts) {
    const [one, two] = newPipe<number>({ position, codec: codec.i32, region: newRegion() });
    for (let i = 0; i < 20; i++) {
      one.send(i);
      two.send(i + 100);
      assert.equal([two.recv(), one.recv()], [i, i + 100], String(position));
    }
  }
});

test('thousands of items go to another thread and come back, blocking and by promises', async () => {
  const [one, two] = newPipe<number>({ codec: codec.i32 });
  const echo = crew<number>(1, piping, 'echo', { end: two });
  const count = 3000;
  const sending = (async () => {
    for (let i = 0; i < count; i++) await one.sendAsync(i);
  })();
  for (let i = 0; i < count; i++) assert.is(await one.recvAsync(), i);
  await sending;
  for (let i = 0; i < count; i++) {
    one.send(i);
    assert.is(one.recv(), i);
  }
  one.close();
  assert.equal(await echo, [2 * count]);
});

test('send blocks while the way is full, and recv while it is empty', async () => {
  const [one, two] = newPipe({ capacity: 1 });
  const receiving = await other({ end: two, verb: 'recv' });
  await until(() => sleepers(two) > 0);
  one.send('a');
  assert.is(await receiving.ended, 'a');
  const [three, four] = newPipe({ capacity: 1 });
  three.send('b');
  refuses(() => three.send('c', { timeout: 1 }), TimeoutError, /connection "phone" timed out after 1 ms$/);
  const sending = await other({ end: four, verb: 'send', value: 'd' });
  assert.is(await sending.ended, 'done', 'the two ways do not fill each other');
  assert.is(three.recv(), 'd');
});

test('a timeout or an abort ends send and recv of every form, and changes nothing', async () => {
  const [one, two] = newPipe<number>({ capacity: 1 });
  const late = /connection "phone" timed out after [02] ms$/;
  for (const timeout of [0, 2]) {
    refuses(() => two.recv({ timeout }), TimeoutError, late);
    await refusesLater(two.recvAsync({ timeout }), TimeoutError, late);
  }
  one.send(1);
  for (const timeout of [0, 2]) {
    refuses(() => one.send(2, { timeout }), TimeoutError, late);
    await refusesLater(one.sendAsync(2, { timeout }), TimeoutError, late);
  }
  const stop = new AbortController();
  const stopped = [one.sendAsync(3, { signal: stop.signal }), one.recvAsync({ signal: stop.signal })];
  stop.abort(new RangeError('stop'));
  for (const wait of stopped) await refusesLater(wait, RangeError, 'stop');
  assert.is(two.recv(), 1);
  assert.is(two.poll(), false);
  const waiting = two.recvAsync();
  one.send(4);
  assert.is(await waiting, 4);
  assert.is(sleepers(one), 0);
});

test('poll says whether recv would return at once, and takes nothing', async () => {
  const [one, two] = newPipe({ capacity: 2 });
  assert.is(two.poll(), false);
  assert.is(two.poll({ timeout: 1 }), false);
  one.send('a');
  assert.equal([two.poll(), two.poll({}), two.poll({ timeout: 1 }), two.recv()], [true, true, true, 'a']);
  assert.is(two.poll(), false);
  const polling = await other({ end: two, verb: 'poll' });
  assert.is(await polling.ended, 'ERR_NOT_OWNER', 'poll is a use, too');
});

test('poll waits for an item, or for the end of file', async () => {
  for (const last of [true, false]) {
    const [one, two] = newPipe();
    const polling = await other({ end: two, verb: 'poll' });
    await until(() => sleepers(two) > 0);
    if (last) one.close();
    else one.send('a');
    assert.is(await polling.ended, true);
  }
});

test('after the other end closed, recv drains and then throws ClosedError, send throws it at once', async () => {
  const [one, two] = newPipe();
  one.send('a');
  one.send('b');
  one.close();
  one.close();
  const closed = /^connection "phone" is closed$/;
  refuses(() => two.send('c'), ClosedError, closed);
  await refusesLater(two.sendAsync('c'), ClosedError, closed);
  assert.equal([two.poll(), two.recv(), await two.recvAsync(), two.poll()], [true, 'a', 'b', true]);
  assert.is(refuses(() => two.recv(), ClosedError, closed).code, 'ERR_CLOSED');
  await refusesLater(two.recvAsync(), ClosedError, closed);
  two.close();
});

test('an end that was closed is used no more, and what was sent to it is dropped', async () => {
  const [one, two] = newPipe();
  two.send('lost');
  one.close();
  for (const use of [() => one.send(1), () => one.recv(), () => one.poll(), () => [...one]]) {
    refuses(use, ClosedError, /^connection "phone" is closed$/);
  }
  await refusesLater(one.sendAsync(1), ClosedError);
  await refusesLater(one.recvAsync(), ClosedError);
});

test('using closes the end', () => {
  const [one, two] = newPipe();
  {
    using end = one;
    end.send(1);
  }
  assert.equal([...two], [1]);
});

test('a close wakes whoever waits at the other end, threads and promises', async () => {
  for (const verb of ['recv', 'recvAsync'] as const) {
    const [one, two] = newPipe({ capacity: 1 });
    const waiting = await other({ end: two, verb });
    await until(() => sleepers(two) > 0);
    one.close();
    assert.is(await waiting.ended, 'ERR_CLOSED', verb);
  }
  for (const verb of ['fill', 'fillAsync'] as const) {
    const [one, two] = newPipe({ capacity: 1 });
    const waiting = await other({ end: two, verb });
    await until(() => one.poll() && sleepers(two) > 0);
    one.close();
    assert.is(await waiting.ended, 'ERR_CLOSED', verb);
  }
});

test('a close by this thread ends the promises of its own end, too', async () => {
  const [one] = newPipe({ capacity: 1 });
  one.send(1);
  const waits = [one.recvAsync(), one.sendAsync(2)];
  one.close();
  for (const wait of waits) await refusesLater(wait, ClosedError);
});

test('both iterators end at the end of file', async () => {
  for (const verb of ['iterate', 'iterateAsync'] as const) {
    const [one, two] = newPipe<number>();
    const reading = await other({ end: two, verb });
    for (let i = 0; i < 9; i++) one.send(i);
    one.close();
    assert.equal(await reading.ended, [0, 1, 2, 3, 4, 5, 6, 7, 8]);
  }
  const [one, two] = newPipe<number>();
  for (const item of [1, 2, 3]) one.send(item);
  const before: number[] = [];
  for (const item of two) if (before.push(item) === 2) two.close();
  assert.equal(before, [1, 2], 'or when this end is closed');
  const [three, four] = newPipe<number>();
  for (const item of [1, 2, 3]) three.send(item);
  const later: number[] = [];
  for await (const item of four) if (later.push(item) === 2) four.close();
  assert.equal(later, [1, 2]);
});

test('a second thread on the same end throws NotOwnerError, whatever it calls, and changes nothing', async () => {
  const [one, two] = newPipe({ capacity: 2 });
  one.send('mine');
  two.send('there');
  for (const verb of ['send', 'sendAsync', 'recv', 'recvAsync', 'poll', 'iterate', 'iterateAsync', 'close'] as const) {
    const stranger = await other({ end: one, verb, value: 'theirs' });
    assert.is(await stranger.ended, 'ERR_NOT_OWNER', verb);
  }
  assert.equal([two.recv(), two.poll(), one.recv()], ['mine', false, 'there']);
});

test('of threads that use an end for the first time together one gets it', async () => {
  for (let round = 0; round < 5; round++) {
    const [one, two] = newPipe<number>();
    const results = await crew<string>(3, piping, 'grab', { end: one, gate: newGate() });
    assert.equal([...results].sort(), ['ERR_NOT_OWNER', 'ERR_NOT_OWNER', 'sent']);
    assert.is(two.recv(), results.indexOf('sent'));
  }
});

test('NotOwnerError names the end, what was tried, and both threads', () => {
  const [one] = newPipe();
  region.i32[(one.offset + PIPE_OWNER) >> 2] = 6;
  const message = /^the thread in slot 0 cannot recv on connection "phone": the thread in slot 5 uses it$/;
  assert.is(refuses(() => one.recv(), NotOwnerError, message).code, 'ERR_NOT_OWNER');
});

test('when the thread of the other end ends, what it sent is there, and then the end of file', async () => {
  for (const exit of [false, true]) {
    const [one, two] = newPipe();
    const gate = newGate();
    const ended = crew(1, piping, exit ? 'leaveByExit' : 'leave', { end: two, gate, value: 'last' }).catch(() => {});
    await until(() => Atomics.load(gate, ENTERED) === 1);
    const received = one.recvAsync();
    Atomics.store(gate, OPEN, 1);
    assert.is(await received, 'last');
    await refusesLater(one.recvAsync(), ClosedError, /^connection "phone" is closed$/);
    refuses(() => one.send(1), ClosedError);
    refuses(() => two.recv(), ClosedError, /closed/);
    await ended;
  }
});

test('the death of a thread closes its own ends only', async () => {
  const [one, two] = newPipe();
  const [near, far] = newPipe();
  one.send(1);
  near.send(1);
  const gate = newGate();
  Atomics.store(gate, OPEN, 1);
  await crew(1, piping, 'leave', { end: far, gate, value: 'last' });
  await until(() => near.poll());
  assert.is(near.recv(), 'last');
  refuses(() => near.recv(), ClosedError);
  assert.is(two.recv(), 1);
  two.send(2);
  assert.is(one.recv(), 2);
});

test('ends come to life in the thread that shared them, and inside items', () => {
  const [one, two] = newPipe();
  const again = attach<Connection>(share(two));
  one.send('a');
  assert.is(again.recv(), 'a');
  const queue = new Queue<Connection>({ region, capacity: 1 });
  queue.put(two);
  one.send('b');
  assert.is(queue.get().recv(), 'b');
  assert.is(two.name, 'phone');
});

test('a value that the codec refuses is not sent', () => {
  const [one, two] = newPipe<number>({ codec: codec.i32 });
  refuses(() => one.send(0.5), CodecError);
  assert.is(two.poll(), false);
  const [three, four] = newPipe<unknown>({ blockBytes: 16 });
  three.send('long'.repeat(1000));
  assert.is(four.recv(), 'long'.repeat(1000));
  const mutex = new Mutex({ region });
  three.send({ mutex });
  assert.instance((four.recv() as { mutex: Mutex }).mutex, Mutex);
});

test('free gives back all of it, from either end, and any later use throws InvalidHandleError', async () => {
  for (const which of [0, 1]) {
    const before = region.used;
    const ends = newPipe<unknown>();
    ends[0].send('x'.repeat(5000));
    const waiting = ends[0].recvAsync();
    ends[which]?.free();
    assert.is(region.used, before);
    await refusesLater(waiting, InvalidHandleError);
    for (const end of ends) {
      const uses = [() => end.send(1), () => end.recv(), () => end.poll(), () => end.close(), () => end.free()];
      for (const use of uses) refuses(use, InvalidHandleError, /was freed$/);
      for (const wait of [end.sendAsync(1), end.recvAsync()]) await refusesLater(wait, InvalidHandleError);
      refuses(() => [...end], InvalidHandleError);
      refuses(() => share(end), InvalidHandleError);
    }
  }
});

test('freeing a pipe ends the wait of the thread at the other end', async () => {
  const [one, two] = newPipe();
  const waiting = await other({ end: two, verb: 'recv' });
  await until(() => sleepers(two) > 0);
  one.free();
  assert.is(await waiting.ended, 'ERR_INVALID_HANDLE');
});

test('a region without room for all of the pipe keeps nothing of it', () => {
  const small = newRegion();
  const before = small.used;
  refuses(() => pipe({ region: small, capacity: 600 }), RegionFullError);
  assert.is(small.used, before);
});

test.run();
