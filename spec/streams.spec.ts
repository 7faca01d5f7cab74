import { once } from 'node:events';
import { PassThrough, Readable, Writable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { setImmediate as turn } from 'node:timers/promises';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { Region } from '../lib/memory/region.ts';
import { Queue } from '../lib/queue/queue.ts';
import { reasonOf } from './kit/pools.ts';
import { until } from './kit/until.ts';

const upTo = (n: number): number[] => Array.from({ length: n }, (_, i) => i);
const newQueue = (capacity = 2): Queue<number> => new Queue<number>({ capacity, name: 'items' });

/** Whether a promise of this thread still waits at a queue. */
const waits = (): boolean => Region.current.inspect().threads.some(({ waits }) => waits.length > 0);

/** Reads a queue to its end with whatever reads it. */
async function drainedBy(read: (queue: Queue<number>) => AsyncIterable<number>): Promise<number[]> {
  const queue = newQueue();
  const filled = queue.putManyAsync(upTo(50)).then(() => queue.close());
  const items: number[] = [];
  for await (const item of read(queue)) items.push(item);
  await filled;
  queue.free();
  return items;
}

test('a queue is read to its end as a stream of Node, of the Web, and by Readable.from', async () => {
  assert.equal(await drainedBy((queue) => queue.readable()), upTo(50));
  assert.equal(await drainedBy((queue) => queue.readableStream()), upTo(50));
  assert.equal(await drainedBy((queue) => Readable.from(queue)), upTo(50));
});

test('a readable takes one item ahead at the most, so that the producer waits', async () => {
  const queue = newQueue(1);
  const stream = queue.readable();
  stream.once('data', () => stream.pause());
  let put = 0;
  const filled = (async () => {
    for (; put < 10; put++) await queue.putAsync(put);
    queue.close();
  })();
  await once(stream, 'pause');
  for (let turns = 0; turns < 20; turns++) await turn();
  assert.ok(put <= 4, `${put} were put while nobody read`); // one read, one in the stream, one that was asked for, one in the queue
  stream.resume();
  await filled;
  await once(stream, 'end');
  queue.free();
});

test('a web stream takes nothing before it is read', async () => {
  const queue = newQueue(1);
  queue.put(7);
  const reader = queue.readableStream().getReader();
  await turn();
  assert.is(queue.size, 1);
  assert.equal(await reader.read(), { done: false, value: 7 });
  await reader.cancel();
  queue.free();
});

test('a readable that is destroyed, or cancelled, stops waiting and takes nothing more', async () => {
  const queue = newQueue();
  const stream = queue.readable();
  stream.resume();
  await until(waits);
  stream.destroy();
  await once(stream, 'close');
  const reader = queue.readableStream().getReader();
  const read = reader.read();
  await until(waits);
  await reader.cancel();
  assert.equal(await read, { done: true, value: undefined });
  assert.is(waits(), false);
  queue.put(1);
  await turn();
  assert.is(queue.size, 1);
  queue.free();
});

test('null cannot be carried by a stream of Node, and is by one of the Web; undefined by both', async () => {
  const queue = new Queue<null | undefined>({ capacity: 4 });
  queue.putMany([undefined, null, null]);
  const stream = queue.readable();
  const reason = await reasonOf(stream.toArray());
  assert.is(reason.message, 'null came out of the queue, and a stream of Node cannot carry it');
  assert.equal(await queue.readableStream().getReader().read(), { done: false, value: null });
  queue.free();
});

test('a queue is filled through a stream of Node and of the Web, and closed at the end', async () => {
  for (const fill of [
    (queue: Queue<number>) => pipeline(Readable.from(upTo(50)), queue.writable()),
    (queue: Queue<number>) =>
      (Readable.toWeb(Readable.from(upTo(50))) as ReadableStream<number>).pipeTo(
        queue.writableStream() as WritableStream<number>,
      ),
  ]) {
    const queue = newQueue();
    const filled = fill(queue);
    const items: number[] = [];
    for await (const item of queue) items.push(item);
    await filled;
    assert.equal(items, upTo(50));
    queue.free();
  }
});

test('end: false leaves the queue open for others', async () => {
  const queue = newQueue(4);
  await pipeline(Readable.from([1]), queue.writable({ end: false }));
  const writer = queue.writableStream({ end: false }).getWriter();
  await writer.write(2);
  await writer.close();
  assert.is(queue.closed, false);
  assert.equal([queue.get(), queue.get()], [1, 2]);
  queue.free();
});

test('write says when to wait: no more is accepted than the queue has room for', async () => {
  const queue = newQueue(1);
  const stream = queue.writable();
  assert.is(stream.write(1), false);
  await once(stream, 'drain');
  assert.is(stream.write(2), false);
  let drained = false;
  stream.once('drain', () => {
    drained = true;
  });
  for (let turns = 0; turns < 20; turns++) await turn();
  assert.is(drained, false, 'the queue is full');
  assert.is(queue.get(), 1);
  await until(() => drained);
  stream.end();
  await once(stream, 'finish');
  assert.equal([...queue], [2]);
  queue.free();
});

test('a writable that is destroyed or aborted while it waits has put nothing, and leaves the queue open', async () => {
  const queue = newQueue(1);
  queue.put(0);
  const stream = queue.writable();
  stream.on('error', () => {});
  stream.write(1);
  await until(waits);
  stream.destroy(new Error('enough'));
  await until(() => stream.closed);
  const writer = queue.writableStream().getWriter();
  const written = reasonOf(writer.write(2));
  await until(waits);
  const aborted = writer.abort(new Error('over'));
  assert.is((await written).message, 'over');
  await aborted;
  writer.closed.catch(() => {});
  assert.equal([queue.closed, queue.size, queue.get(), queue.size], [false, 1, 0, 0]);
  queue.free();
});

test('what the queue refuses is the error of the stream', async () => {
  const queue = newQueue();
  queue.close();
  assert.is((await reasonOf(pipeline(Readable.from([1]), queue.writable()))).code, 'ERR_CLOSED');
  assert.is((await reasonOf(queue.writableStream().getWriter().write(1))).code, 'ERR_CLOSED');
  const open = new Queue<unknown>({ capacity: 1 });
  assert.is((await reasonOf(pipeline(Readable.from([() => {}]), open.writable()))).code, 'ERR_CODEC');
  assert.equal([open.size, open.closed], [0, false]);
  open.free();
  queue.free();
});

test('streams of others lie between two queues', async () => {
  const [from, to] = [newQueue(), newQueue()];
  const filled = from.putManyAsync(upTo(20)).then(() => from.close());
  const piped = pipeline(from.readable(), new PassThrough({ objectMode: true }), to.writable());
  const items: number[] = [];
  await pipeline(
    to.readable(),
    new Writable({ objectMode: true, write: (item, _, done) => done(void items.push(item) as never) }),
  );
  await Promise.all([filled, piped]);
  assert.equal(items, upTo(20));
  from.free();
  to.free();
});

test.run();
