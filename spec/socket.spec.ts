import cluster from 'node:cluster';
import { once } from 'node:events';
import { mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { createServer, connect as dial, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import type { AsyncMutex, AsyncQueue } from '../lib/bridge/faces.ts';
import { connect, type ServeOptions, type SocketClient, type SocketServer, serve } from '../lib/bridge/socket.ts';
import {
  ClosedError,
  CodecError,
  MessageTooLargeError,
  NotOwnerError,
  OwnerDiedError,
  TimeoutError,
} from '../lib/memory/errors.ts';
import { Region } from '../lib/memory/region.ts';
import { codec } from '../lib/queue/codec.ts';
import type { QueueOptions } from '../lib/queue/create.ts';
import { Queue } from '../lib/queue/queue.ts';
import { Mutex } from '../lib/sync/mutex.ts';
import { child } from './kit/child.ts';
import { type Commands, type FromPeer, killPeers, Peer } from './kit/peer.ts';
import { refusesLater } from './kit/refuses.ts';
import { ENTERED, newGate } from './kit/tasks.ts';
import { until } from './kit/until.ts';
import { kill, victim } from './kit/victims.ts';

const folder = mkdtempSync(join(tmpdir(), 'ringfence-'));
const region = new Region({ bytes: 2 ** 23, threads: 2 });
let count = 0;
const newPath = (): string => join(folder, `${count++}.sock`);
const numbers = (length: number, from = 0): number[] => Array.from({ length }, (_, i) => from + i);

const open: { close(): Promise<void> }[] = [];

/** What the test opened is closed after it. */
function closing<T extends { close(): Promise<void> }>(object: T): T {
  open.push(object);
  return object;
}

test.after.each(async () => {
  for (const object of open.splice(0).reverse()) await object.close();
  await killPeers();
});
test.after(() => rmSync(folder, { recursive: true }));

interface Shop {
  readonly jobs: Queue<unknown>;
  readonly till: Mutex;
  readonly server: SocketServer;
  readonly path: string;
  newClient(options?: Parameters<typeof connect>[1]): Promise<SocketClient>;
}

async function newShop(options: Partial<QueueOptions<unknown>> & Partial<ServeOptions> = {}): Promise<Shop> {
  const { capacity = 4, codec: chosen, blockBytes, redeliver, ...rest } = options;
  const jobs = new Queue<unknown>({ capacity, codec: chosen, blockBytes, redeliver, region, name: 'jobs' });
  const till = new Mutex({ region, name: 'till' });
  const path = newPath();
  const server = closing(await serve({ path, queues: { jobs }, mutexes: { till }, ...rest }));
  return { jobs, till, server, path, newClient: async (given) => closing(await connect(path, given)) };
}

test('a queue and a mutex of this process satisfy the same interfaces as those of another one', async () => {
  const { jobs, till, newClient } = await newShop();
  const client = await newClient();
  const pass = async (queue: AsyncQueue<unknown>, mutex: AsyncMutex): Promise<unknown[]> => {
    await mutex.withAsync(() => queue.putManyAsync([1, 2, 3]));
    const items = [await queue.getAsync(), ...(await queue.getManyAsync(5))];
    await queue.taskDone(3);
    await queue.joinAsync({ timeout: 5000 });
    return [...items, await queue.size, queue.capacity];
  };
  assert.equal(await pass(jobs, till), [1, 2, 3, 0, 4]);
  assert.equal(await pass(await client.queue('jobs'), await client.mutex('till')), [1, 2, 3, 0, 4]);
});

test('every codec carries its values exactly, in both directions', async () => {
  const values: Record<string, unknown[]> = {
    i32: [0, -(2 ** 31), 2 ** 31 - 1],
    u32: [0, 2 ** 32 - 1],
    f64: [-0, Number.NaN, 1e308, Number.NEGATIVE_INFINITY],
    i64: [-(2n ** 63n), 2n ** 63n - 1n],
    bytes: [new Uint8Array(0), new Uint8Array(1000).fill(7)],
    string: ['', 'ä\u{1f600}', '\ud800', 'x'.repeat(5000)],
    json: [null, { a: [1, 'b'] }],
    any: [
      undefined,
      null,
      -0,
      'x',
      { a: new Map([[1, new Set([2n])]]), d: new Date(5) },
      [1, [2]],
      new Uint8Array([1]),
    ],
  };
  for (const [name, items] of Object.entries(values)) {
    const shop = await newShop({ capacity: 8, codec: codec[name as keyof typeof codec] as never });
    const queue = await (await shop.newClient()).queue('jobs');
    await queue.putManyAsync(items);
    for (const item of items) assert.equal(await shop.jobs.getAsync(), item, `${name} to the server`);
    await shop.jobs.putManyAsync(items);
    for (const item of items) assert.equal(await queue.getAsync(), item, `${name} from the server`);
  }
});

test('many operations are under way on one connection, and items keep the order of the calls', async () => {
  const { jobs, newClient } = await newShop();
  const queue = await (await newClient({ request: 2 ** 32 - 20 } as never)).queue('jobs');
  const puts = [queue.putManyAsync(numbers(2000)), queue.putAsync(2000), queue.putManyAsync(numbers(99, 2001))];
  const got: unknown[] = [];
  while (got.length < 2100) got.push(await jobs.getAsync());
  assert.equal(got, numbers(2100));
  await Promise.all(puts);
  const gets = numbers(50).map(() => queue.getAsync());
  await jobs.putManyAsync(numbers(50));
  assert.equal(await Promise.all(gets), numbers(50));
});

test('tags and numbers of requests wrap', async () => {
  const { jobs, newClient } = await newShop({ tag: 2 ** 32 - 3 });
  const queue = await (await newClient({ request: 2 ** 32 - 3 } as never)).queue('jobs');
  for (const n of numbers(10)) {
    await queue.putAsync(n);
    assert.is(await queue.getAsync(), n);
    if (n % 2 === 1) await queue.taskDone(2);
  }
  await jobs.joinAsync({ timeout: 5000 });
});

test('a full queue holds back a client, and what is on its way is bounded by its credit', async () => {
  const { jobs, newClient } = await newShop({ capacity: 2 });
  const queue = await (await newClient()).queue('jobs');
  const other = await (await newClient()).queue('jobs');
  let put = 0;
  const puts = numbers(3000).map((n) => queue.putAsync(n).then(() => put++));
  await until(() => put === 2);
  assert.is(await other.size, 2); // other requests go on
  const got: unknown[] = [];
  while (got.length < 3000) got.push(...(await jobs.getManyAsync(100)));
  assert.equal(got, numbers(3000));
  await Promise.all(puts);
});

test('a timeout and an abort are settled with the server: what was not put is nowhere, what was not taken stays', async () => {
  const { jobs, newClient } = await newShop({ capacity: 1 });
  const queue = await (await newClient()).queue('jobs');
  await refusesLater(queue.getAsync({ timeout: 5 }), TimeoutError, 'get from queue "jobs" timed out after 5 ms');
  await queue.putAsync('a');
  await refusesLater(queue.putAsync('b', { timeout: 5 }), TimeoutError, 'put to queue "jobs"');
  const many = await refusesLater(queue.putManyAsync(['c', 'd'], { timeout: 5 }), TimeoutError);
  assert.is((many as { done?: number }).done, 0);
  const stop = new AbortController();
  const waiting = queue.putManyAsync(['e', 'f', 'g'], { signal: stop.signal });
  assert.is(jobs.get(), 'a');
  await until(() => jobs.size === 1);
  stop.abort(new RangeError('enough'));
  await refusesLater(waiting, RangeError, 'enough');
  assert.is(jobs.get(), 'e');
  assert.is(jobs.tryGet(), undefined);
  jobs.taskDone(2);
  await refusesLater(queue.joinAsync({ signal: AbortSignal.abort(new RangeError('now')) }), RangeError, 'now');
  await queue.joinAsync();
});

test('bad arguments and values are refused at once, and nothing is sent', async () => {
  const { jobs, newClient } = await newShop({ codec: codec.i32 as never });
  const client = await newClient();
  const queue = await client.queue('jobs');
  await refusesLater(queue.putAsync('x'), CodecError, 'i32');
  const some = await refusesLater(queue.putManyAsync([1, 'x', 3]), CodecError);
  assert.is((some as { done?: number }).done, 1);
  assert.is(jobs.size, 1);
  await refusesLater(queue.putManyAsync(7 as never), TypeError, 'values must be array-like: got 7');
  await refusesLater(queue.getManyAsync(0), RangeError, 'max must be');
  await refusesLater(queue.taskDone(), RangeError, 'n must be at most the items taken');
  await refusesLater(queue.putAsync(1, { timeout: -1 }), RangeError, 'timeout');
  await refusesLater(client.queue('lost'), TypeError, 'one of "jobs": got "lost"');
  await refusesLater(client.mutex(''), TypeError, 'name must be a string');
  await refusesLater(client.queue('jobs', { codec: codec.any }), CodecError, 'i32');
});

test('an item that is too long is refused, on either side, and the others go on', async () => {
  const { jobs, newClient } = await newShop({ frameBytes: 4096 });
  const queue = await (await newClient()).queue('jobs');
  await refusesLater(queue.putAsync('x'.repeat(5000)), MessageTooLargeError, 'the connection allows');
  await queue.putAsync('x'.repeat(4000));
  assert.is((await queue.getAsync()) as string, 'x'.repeat(4000));
  await queue.taskDone();
  jobs.putMany(['x'.repeat(9000), 'y']);
  await refusesLater(queue.getAsync(), MessageTooLargeError);
  assert.is(await queue.getAsync(), 'y');
  assert.is(jobs.get(), 'x'.repeat(9000)); // it went back, for a thread
});

test('a shared object cannot leave its process', async () => {
  const { jobs, till, newClient } = await newShop();
  const queue = await (await newClient()).queue('jobs');
  jobs.putMany([till, region.array(Int32Array, 4), 'plain']);
  await refusesLater(queue.getAsync(), CodecError, 'cannot carry a Mutex outside a queue');
  await refusesLater(queue.getAsync(), CodecError, 'cannot carry shared memory');
  assert.is(await queue.getAsync(), 'plain');
  await refusesLater(queue.putAsync(till), CodecError);
});

test('what a client took and did not acknowledge goes to others when it is gone, and join waits for it', async () => {
  const { jobs, newClient } = await newShop();
  const [first, second] = [await newClient(), await newClient()];
  const queue = await first.queue('jobs');
  await jobs.putManyAsync([1, 2, 3, 4]);
  assert.equal(await queue.getManyAsync(4), [1, 2, 3, 4]);
  await queue.taskDone(1);
  const other = await second.queue('jobs');
  const joined = jobs.joinAsync();
  await first.close();
  await refusesLater(queue.taskDone(), ClosedError, 'from which an item');
  assert.equal([await jobs.getAsync(), await other.getAsync(), await other.getAsync()], [2, 3, 4]);
  jobs.taskDone();
  await other.taskDone(2);
  await joined;
});

test('a queue that redelivers gives what a client had not acknowledged to the next, before newer items', async () => {
  for (const kind of ['any', 'bytes', 'i32'] as const) {
    const items = numbers(6).map((n) => (kind === 'bytes' ? new Uint8Array([n]) : n));
    const { jobs, newClient } = await newShop({ capacity: 6, redeliver: true, codec: codec[kind] as never });
    const [first, second] = [await newClient(), await newClient()];
    const [queue, other] = [await first.queue('jobs'), await second.queue('jobs')];
    await queue.putManyAsync(items);
    assert.equal(await queue.getManyAsync(3), items.slice(0, 3));
    const task = await queue.takeAsync();
    await queue.taskDone(1);
    const joined = jobs.joinAsync();
    assert.throws(() => jobs.taskDone(), /there are 0$/); // the thread that serves holds nothing itself
    await task.giveBack();
    assert.equal(await other.getAsync(), items[3]);
    await first.close();
    await until(() => jobs.size === 4);
    assert.equal([...(await other.getManyAsync(3)), await jobs.getAsync()], [items[1], items[2], items[4], items[5]]);
    await other.taskDone(4);
    await refusesLater(jobs.joinAsync({ timeout: 1 }), TimeoutError);
    jobs.taskDone();
    await joined;
    await jobs.putAsync(items[0]);
    assert.equal(await other.getAsync(), items[0]);
    jobs.close();
    await refusesLater(other.getAsync(), ClosedError); // who holds one himself does not wait for others
    const late = (await (await newClient()).queue('jobs')).getAsync();
    await second.close();
    assert.equal(await late, items[0]);
  }
});

test('what clients hold of a queue that redelivers comes back when the thread that serves it ends', async () => {
  const jobs = new Queue<number>({ capacity: 4, region: new Region({ bytes: 2 ** 20, threads: 4 }), redeliver: true });
  const [path, gate] = [newPath(), newGate()];
  await jobs.putManyAsync([1, 2, 3, 4]);
  const worker = await victim('serveQueue', { queue: jobs, path, gate });
  await until(() => Atomics.load(gate, ENTERED) === 1);
  const queue = await closing(await connect(path)).queue<number>('jobs');
  assert.equal(await queue.getManyAsync(3), [1, 2, 3]);
  await queue.taskDone();
  assert.equal(await kill(worker), { returned: 2 });
  await refusesLater(queue.getAsync(), ClosedError);
  assert.equal(await jobs.getManyAsync(4), [2, 3, 4]);
  jobs.taskDone(3);
  await jobs.joinAsync({ timeout: 5000 });
});

test('an item can be acknowledged or given back by itself', async () => {
  const { jobs, newClient } = await newShop();
  const queue = await (await newClient()).queue('jobs');
  await jobs.putManyAsync(['a', 'b', 'c']);
  const [a, b, c] = [await queue.takeAsync(), await queue.takeAsync(), await queue.takeAsync()];
  assert.equal([a.value, b.value, c.value], ['a', 'b', 'c']);
  await refusesLater(queue.taskDone(), RangeError);
  await c.done();
  await b.giveBack();
  await b.done();
  assert.is(await queue.getAsync(), 'b');
  await Promise.all([a.done(), queue.taskDone()]);
  await jobs.joinAsync({ timeout: 5000 });
});

test('items that come back after the queue was closed wait for the next client', async () => {
  const { jobs, newClient } = await newShop();
  const [first, second] = [await newClient(), await newClient()];
  await jobs.putManyAsync([1, 2]);
  await (await first.queue('jobs')).getManyAsync(2);
  jobs.close();
  await first.close();
  await until(() => jobs.closed);
  const other = await second.queue('jobs');
  const got: unknown[] = [];
  while (got.length < 2) {
    for await (const item of other) {
      got.push(item);
      await other.taskDone();
    }
  }
  assert.equal(got, [1, 2]);
  await jobs.joinAsync({ timeout: 5000 });
});

test('a closed queue that redelivers has not ended for a client while another one has items of it in hand', async () => {
  for (const ends of ['acknowledged', 'given back', 'gone'] as const) {
    const { jobs, newClient } = await newShop({ redeliver: true });
    const [first, second] = [await newClient(), await newClient()];
    const [queue, other] = [await first.queue('jobs'), await second.queue('jobs')];
    await queue.putManyAsync([1, 2]);
    const task = await queue.takeAsync();
    assert.is(await queue.getAsync(), 2);
    await other.close();
    let isOver = false;
    const end = () => {
      isOver = true;
    };
    const waiting = other.takeManyAsync(4);
    waiting.then(end, end);
    await queue.taskDone(1);
    assert.is(await other.size, 0); // the server has seen both
    assert.is(isOver, false);
    if (ends === 'acknowledged') await task.done();
    else if (ends === 'given back') await task.giveBack();
    else await first.close();
    const last = await waiting;
    assert.equal(last?.value, ends === 'acknowledged' ? undefined : [1]);
    await last?.done();
    await refusesLater(other.getAsync(), ClosedError);
    await jobs.joinAsync({ timeout: 5000 });
  }
});

test('what clients hold when the server is closed is there again, for the threads of its process and for the next server', async () => {
  for (const [redeliver, closes] of [
    [false, false],
    [true, false],
    [true, true],
    [false, true],
  ] as const) {
    const { jobs, till, server, path, newClient } = await newShop({ redeliver });
    const queue = await (await newClient()).queue('jobs');
    await queue.putManyAsync([1, 2, 3]);
    assert.equal(await queue.getManyAsync(3), [1, 2, 3]);
    await queue.taskDone();
    if (closes) jobs.close();
    await server.close();
    await refusesLater(queue.taskDone(), ClosedError);
    if (closes && !redeliver) {
      assert.throws(() => jobs.tryGet(), /is closed$/); // it cannot be put again, and waits for a client
      closing(await serve({ path, queues: { jobs }, mutexes: { till } }));
      const next = await (await newClient()).queue('jobs');
      assert.equal(await next.getManyAsync(4), [2, 3]);
      await next.taskDone(2);
    } else {
      assert.equal([await jobs.getAsync(), await jobs.getAsync()], [2, 3]);
      jobs.taskDone(2);
    }
    await jobs.joinAsync({ timeout: 5000 });
  }
});

test('a client that never acknowledges is told so, and the memory of the server is bounded', async () => {
  const { jobs, newClient } = await newShop({ unacknowledged: 3 });
  const queue = await (await newClient()).queue('jobs');
  await jobs.putManyAsync(numbers(4));
  assert.equal(await queue.getManyAsync(10), [0, 1, 2]);
  await refusesLater(queue.getAsync(), RangeError, '3 items were taken and not acknowledged: see taskDone');
  await queue.taskDone();
  assert.is(await queue.getAsync(), 3);
});

test('items that come back to a full queue wait for room, or for the next server', async () => {
  const { jobs, till, server, path, newClient } = await newShop({ capacity: 2 });
  const client = await newClient();
  const queue = await client.queue('jobs');
  await jobs.putManyAsync([1, 2]);
  await queue.getManyAsync(2);
  await jobs.putManyAsync([3, 4]);
  await client.close();
  await until(() => server.clients === 0);
  await server.close();
  assert.equal(await jobs.getManyAsync(2), [3, 4]);
  closing(await serve({ path, queues: { jobs }, mutexes: { till } }));
  assert.equal([await jobs.getAsync(), await jobs.getAsync()], [1, 2]);
  jobs.taskDone(4);
  await jobs.joinAsync({ timeout: 5000 });
});

test('close ends puts, and the iterators of all processes when all was taken', async () => {
  const { jobs, newClient } = await newShop();
  const queue = await (await newClient()).queue('jobs');
  await queue.putManyAsync([1, 2]);
  await queue.close();
  assert.is(jobs.closed, true);
  await refusesLater(queue.putAsync(3), ClosedError, 'queue "jobs" is closed');
  const got: unknown[] = [];
  for await (const item of queue) got.push(item);
  assert.equal(got, [1, 2]);
  await refusesLater(queue.getAsync(), ClosedError);
});

test('a lock is held by one client at a time, and by nobody here meanwhile', async () => {
  const { till, newClient } = await newShop();
  const [a, b] = await Promise.all(numbers(2).map(async () => (await newClient()).mutex('till')));
  await a?.lockAsync();
  assert.is(till.tryLock(), false);
  await refusesLater(b?.unlock() as Promise<void>, NotOwnerError, 'does not hold it');
  await refusesLater(b?.lockAsync({ timeout: 5 }) as Promise<unknown>, TimeoutError);
  const waiting = b?.lockAsync();
  await a?.unlock();
  await waiting;
  await b?.unlock();
  assert.is(await till.withAsync(() => 7), 7);
  assert.is(till.locked, false);
});

test('the lock of a client that is gone counts as a dead owner’s, here and there, until somebody repairs', async () => {
  const { till, newClient } = await newShop();
  const [first, second] = [await newClient(), await newClient()];
  await (await first.mutex('till')).lockAsync();
  const other = await second.mutex('till');
  const waiting = [refusesLater(other.lockAsync(), OwnerDiedError), refusesLater(till.lockAsync(), OwnerDiedError)];
  assert.is(await other.lockAsync({ timeout: 1 }).catch((error) => error.code), 'ERR_TIMEOUT');
  await first.close();
  await Promise.all(waiting);
  await refusesLater(
    other.recoverAsync(() => Promise.reject(new RangeError('broken'))),
    RangeError,
  );
  await refusesLater(till.lockAsync(), OwnerDiedError);
  assert.is(await other.recoverAsync(() => 'repaired'), 'repaired');
  assert.is(await other.withAsync(() => 1), 1);
  assert.is(till.locked, false);
});

test('when a server ends, everything pending is rejected with ClosedError, and later requests, too', async () => {
  const { jobs, server, newClient } = await newShop();
  const client = await newClient();
  const [queue, mutex] = [await client.queue('jobs'), await client.mutex('till')];
  await mutex.lockAsync();
  const pending = [queue.getAsync(), queue.joinAsync().then(() => queue.getAsync()), mutex.lockAsync()];
  await until(() => client.connected);
  const refused = pending.map((wait) => refusesLater(wait, ClosedError, 'the server was closed'));
  await server.close();
  await Promise.all(refused);
  await refusesLater(queue.putAsync(1), ClosedError);
  await refusesLater(client.queue('jobs'), ClosedError);
  assert.is(client.connected, false);
  assert.is(jobs.size, 0);
});

test('a client that wants to connects again, and goes on with the next server', async () => {
  const { jobs, till, server, path, newClient } = await newShop();
  const client = await newClient({ reconnect: true });
  const queue = await client.queue('jobs');
  await jobs.putAsync('first');
  assert.is(await queue.getAsync(), 'first');
  const broken = refusesLater(queue.getAsync(), ClosedError);
  const seen: unknown[] = [];
  const iterating = (async () => {
    for await (const item of queue) seen.push(item);
  })();
  await until(() => server.clients === 1);
  await server.close();
  await broken;
  await refusesLater(queue.putAsync(1, { timeout: 20 }), TimeoutError);
  const puts = numbers(5).map((n) => queue.putAsync(n));
  closing(await serve({ path, queues: { jobs }, mutexes: { till } }));
  await Promise.all(puts);
  await refusesLater(queue.taskDone(), ClosedError);
  await until(() => seen.length === 6);
  assert.equal([...seen].sort(), [0, 1, 2, 3, 4, 'first']); // what it had taken came back to it
  jobs.close();
  await iterating;
});

test('the socket is private from its first moment, goes with its server, and a live one is an error', async () => {
  const { path, server } = await newShop();
  assert.is(statSync(path).mode & 0o777, 0o600);
  const error = await refusesLater(serve({ path }), Error, `a server listens at ${path} already`);
  assert.is(error.code, 'EADDRINUSE');
  await server.close();
  await server.close();
  assert.throws(() => statSync(path), /ENOENT/);
  await refusesLater(connect(path), Error, 'ENOENT');
});

test('a socket that a dead server left is replaced, by one of many that start at once', async () => {
  const path = newPath();
  const dead = new Peer();
  await dead.call('serve', path, 1);
  await dead.kill();
  assert.ok(statSync(path).isSocket());
  const servers = await Promise.allSettled(numbers(8).map(() => serve({ path })));
  const [winner, ...others] = servers.filter(({ status }) => status === 'fulfilled');
  assert.equal(others, []);
  const client = closing(await connect(path));
  await client.close();
  await (winner as PromiseFulfilledResult<SocketServer>).value.close();
});

test('a file that is no socket is left alone, and an impossible name is refused', async () => {
  const path = newPath();
  writeFileSync(path, 'mine');
  await refusesLater(serve({ path }), TypeError, 'path must be free or a socket');
  assert.is(statSync(path).size, 4);
  await refusesLater(serve({ path: '' }), TypeError, 'path must be the name of a file: got ""');
  await refusesLater(serve({ path: `/tmp/${'x'.repeat(120)}` }), RangeError, 'path must have at most 103 bytes');
  await refusesLater(serve({ path, queues: { jobs: 7 as never } }), TypeError, 'queues.jobs must be a Queue: got 7');
  await refusesLater(serve({ path, frameBytes: 1 }), RangeError, 'frameBytes must be');
  await refusesLater(connect(7 as never), TypeError, 'path must be the name of a file: got 7');
});

test('a server that says another thing than this protocol is refused by the client', async () => {
  for (const said of [
    Buffer.from('HTTP/1.1 400 Bad Request\r\n\r\n'),
    Buffer.from([8, 0, 0, 0, 99, 0, 0, 0, 0, 0, 0, 0]),
  ]) {
    const path = newPath();
    const sockets: Socket[] = [];
    const server = createServer((socket) => {
      sockets.push(socket);
      socket.write(said);
    });
    await new Promise<void>((resolve) => server.listen(path, resolve));
    await refusesLater(connect(path), ClosedError);
    for (const socket of sockets) socket.destroy();
    await new Promise((resolve) => server.close(resolve));
  }
});

test('a client needs no codec for a struct, and one of another layout is refused, with the field that differs', async () => {
  const fields = { id: 'u32', price: 'f64', at: codec.struct({ x: 'i16', y: 'i16' }), tag: codec.string(8) } as const;
  const { jobs, newClient } = await newShop({ codec: codec.struct(fields) as never });
  const client = await newClient();
  const queue = await client.queue('jobs');
  const trade = { id: 7, price: 9.5, at: { x: 1, y: -2 }, tag: 'tea' };
  await queue.putAsync(trade);
  assert.equal(await jobs.getAsync(), trade);
  await client.queue('jobs', { codec: codec.struct({ ...fields }) as never });
  const { price, ...noPrice } = fields;
  const others: [Record<string, unknown>, string][] = [
    [{ ...fields, price: 'f32' }, 'has the field price as f32, and that of the queue as f64'],
    [{ ...fields, tag: codec.string(9) }, 'has the field tag as string[9], and that of the queue as string[8]'],
    [
      { ...fields, at: codec.struct({ x: 'i16', y: 'u16' }) },
      'has the field at.y as u16, and that of the queue as i16',
    ],
    [{ ...noPrice, price }, 'has the field at.x where that of the queue has price'],
    [{ ...fields, note: 'u8' }, 'has the field note, which that of the queue has not'],
    [{ id: 'u32', price: 'f64' }, 'lacks the field at.x, which that of the queue has'],
  ];
  for (const [other, why] of others) {
    const refused = client.queue('jobs', { codec: codec.struct(other as never) as never });
    await refusesLater(refused, CodecError, why);
  }
  await refusesLater(client.queue('jobs', { codec: codec.any }), CodecError, 'which is struct');
  await queue.putAsync(trade); // the connection goes on
});

test('an item that a client cannot read is dropped and fails that call alone: what came with it goes back, all else goes on', async () => {
  const text = codec.define<string>({
    name: 'text of the spec',
    size: (value) => value.length,
    encode: (value, target) => target.write(value, 'latin1'),
    decode: (source) => source.toString('latin1'),
  });
  const decode: typeof text.decode = (from, at, end) => {
    const value = text.decode(from, at, end);
    if (value.startsWith('bad')) throw new CodecError(text.name, `has no ${value}`);
    return value;
  };
  for (const redeliver of [false, true]) {
    const { jobs, till, newClient } = await newShop({ codec: text as never, redeliver });
    const client = await newClient();
    const queue = await client.queue<string>('jobs', { codec: { ...text, decode } });
    await till.lockAsync();
    const locked = (await client.mutex('till')).lockAsync();
    await jobs.putManyAsync(['first', 'bad one', 'last', 'bad two']);
    const error = await queue.getManyAsync(3).catch((error: Error) => error);
    assert.instance(error, CodecError);
    assert.match((error as Error).message, /cannot read an item of queue "jobs"$/);
    assert.match(String((error as Error).cause), /has no bad one$/);
    const read: string[] = [];
    let refused = 1;
    const refuse = (error: unknown) => {
      assert.instance(error, CodecError);
      refused++;
      return [];
    };
    while (read.length < 2 || refused < 2) read.push(...(await queue.getManyAsync(4).catch(refuse)));
    assert.equal([read.sort(), refused], [['first', 'last'], 2]);
    await queue.taskDone(2);
    await refusesLater(queue.taskDone(), RangeError);
    await jobs.joinAsync({ timeout: 5000 });
    till.unlock();
    await locked;
  }
});

test('as many items as a queue says may be in hand may be, and no more', async () => {
  const capacities: [Parameters<typeof newShop>[0], number][] = [
    [{ unacknowledged: 3, capacity: 8 }, 3],
    [{ unacknowledged: 3, capacity: 8, redeliver: true }, 3],
    [{ unacknowledged: 8, capacity: 3, redeliver: true }, 3],
  ];
  for (const [options, most] of capacities) {
    const { jobs, newClient } = await newShop(options);
    const queue = await (await newClient()).queue('jobs');
    assert.is(queue.mostInHand, most);
    await queue.putManyAsync(numbers(most));
    assert.equal(await queue.getManyAsync(100), numbers(most));
    if (options?.unacknowledged === most) await refusesLater(queue.getAsync(), RangeError, 'not acknowledged');
    await queue.taskDone(most);
    await jobs.joinAsync({ timeout: 5000 });
  }
});

test('a client that has greeted may be silent for as long as it likes, and one that has not is sent away', async () => {
  const { server, path, newClient } = await newShop({ greetingTime: 50 });
  const client = await newClient();
  const mute = dial(path);
  let said = '';
  mute.on('data', (chunk) => {
    said += chunk.toString('latin1');
  });
  await new Promise((resolve) => mute.on('close', resolve));
  assert.match(said, /no greeting came$/);
  await until(() => server.clients === 1);
  assert.is(await (await client.queue('jobs')).size, 0);
});

test('calls of one turn go together: each is through when its item is, and one that fails concerns no other', async () => {
  const { jobs, newClient } = await newShop({ capacity: 2, codec: codec.string as never });
  const client = await newClient();
  const [queue, again] = [await client.queue<unknown>('jobs'), await client.queue<unknown>('jobs')];
  const through: number[] = [];
  const put = (to: typeof queue, n: number, value: unknown = `${n}`) => to.putAsync(value).then(() => through.push(n));
  const puts = [put(queue, 0), put(queue, 1), put(queue, 2), put(queue, 3)];
  await until(() => through.length === 2);
  assert.equal(await jobs.getManyAsync(2), ['0', '1']);
  await until(() => through.length === 4);
  assert.equal(await jobs.getManyAsync(2), ['2', '3']);
  const wrong = [put(queue, 4), refusesLater(put(queue, 5, 5), CodecError), put(queue, 6)];
  await Promise.all([...puts, ...wrong]);
  assert.equal(await jobs.getManyAsync(2), ['4', '6']);
  const mixed = [put(queue, 7), put(again, 8), queue.putManyAsync(['9', '10']), put(again, 11)];
  const got: unknown[] = [];
  while (got.length < 5) got.push(...(await jobs.getManyAsync(5)));
  assert.equal(got, ['7', '8', '9', '10', '11']);
  await Promise.all([...mixed, put(queue, 12), queue.close()]);
  await refusesLater(queue.putAsync('13'), ClosedError);
  assert.equal(await jobs.getManyAsync(2), ['12']);
});

test('a value whose codec puts another one meanwhile is put whole, and so is the other one', async () => {
  const { jobs, newClient } = await newShop({ capacity: 8 });
  const queue = await (await newClient()).queue('jobs');
  const inner: Promise<unknown>[] = [];
  const value = {
    a: 'x'.repeat(50),
    get b() {
      if (inner.length < 1) inner.push(queue.putAsync('inner'), queue.size);
      return 'y';
    },
  };
  await Promise.all([queue.putAsync('first'), queue.putAsync(value), queue.putAsync('last')]);
  await Promise.all(inner);
  const got = await jobs.getManyAsync(8);
  assert.equal(
    new Set(got.map((item) => JSON.stringify(item))),
    new Set(['first', { a: value.a, b: 'y' }, 'inner', 'last'].map((item) => JSON.stringify(item))),
  );
});

test('a client keeps its process alive exactly while it waits', async () => {
  const { jobs, path } = await newShop();
  const entry = JSON.stringify(new URL('../lib/bridge/socket.js', import.meta.url));
  const program = `import { connect } from ${entry};
    const client = await connect(${JSON.stringify(path)});
    const queue = await client.queue('jobs');
    console.log(await queue.getAsync());`;
  const ending = child(program);
  const waits = () => jobs.region.inspect().queues.some(({ waitersTo }) => waitersTo.get.length > 0);
  await until(waits, 'the client to wait for an item');
  jobs.put('late');
  const { code, stdout, stderr } = await ending;
  assert.equal([code, stdout, stderr], [0, 'late\n', '']);
  assert.is(await jobs.getAsync(), 'late'); // it was not acknowledged
});

test('a worker of node:cluster is a client as any other process', async () => {
  const { jobs, server, path } = await newShop();
  const exec = fileURLToPath(new URL('./kit/peering.js', import.meta.url));
  cluster.setupPrimary({ exec, serialization: 'advanced' });
  const worker = cluster.fork();
  await once(worker, 'message');
  const call = async (name: keyof Commands, ...args: unknown[]): Promise<unknown> => {
    const answer = once(worker, 'message') as Promise<[FromPeer]>;
    worker.send({ id: 0, name, args });
    const [{ result, error }] = await answer;
    if (error !== undefined) throw new Error(error);
    return result;
  };
  await call('connect', path);
  await call('put', [1, 2]);
  assert.equal(await call('take', 1), [1]);
  const ended = once(worker, 'exit');
  worker.process.kill('SIGKILL');
  await ended;
  await until(() => server.clients === 0);
  assert.is(await jobs.getAsync(), 2);
  assert.is(await jobs.getAsync({ timeout: 5000 }), 1);
});

test('several processes sell tickets under a lock, exactly as many as there are', async () => {
  const { jobs, path } = await newShop({ capacity: 1 });
  await jobs.putAsync(40);
  const sellers = numbers(3).map(() => new Peer());
  await Promise.all(sellers.map((seller) => seller.call('connect', path)));
  const sold = await Promise.all(sellers.map((seller) => seller.call('sell')));
  assert.is(
    sold.reduce((sum, n) => sum + n, 0),
    40,
    String(sold),
  );
});

test('memory stays flat on both sides while a queue is full', async () => {
  const { jobs, path } = await newShop({ capacity: 4 });
  const peer = new Peer();
  await peer.call('connect', path);
  const through = async (count: number): Promise<void> => {
    const put = peer.call('fill', count, 10_000);
    for (let got = 0; got < count; ) got += (await jobs.getManyAsync(4, { timeout: 30_000 })).length;
    await put;
  };
  const memory = async () => [process.memoryUsage().rss / 2 ** 20, await peer.call('memory')] as const;
  await through(8000); // what V8 takes for new objects before it collects any; since Node 26 more than 60 MB
  const [here, there] = await memory();
  await through(16_000); // 160 MB in all
  const [hereNow, thereNow] = await memory();
  const grown = [hereNow - here, thereNow - there];
  assert.ok(Math.max(...grown) < 60, `grew by ${grown.map(Math.round).join(' and ')} MB`);
});

test.run();
