import { type ChildProcess, fork } from 'node:child_process';
import { setTimeout as pause } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { Kvm } from '@nats-io/kv';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import type { AsyncMutex, AsyncQueue } from '../lib/bridge/faces.ts';
import { type NatsQueue, type NatsQueueOptions, natsMutex, natsQueue } from '../lib/bridge/nats.ts';
import {
  ClosedError,
  CodecError,
  MessageTooLargeError,
  NotOwnerError,
  OwnerDiedError,
  TimeoutError,
} from '../lib/memory/errors.ts';
import { codec } from '../lib/queue/codec.ts';
import { hasNats, NatsServer, NO_NATS } from './kit/nats-server.ts';
import { random } from './kit/random.ts';
import { refusesLater } from './kit/refuses.ts';
import { Severed } from './kit/severed.ts';
import { until } from './kit/until.ts';

const numbers = (length: number, from = 0): number[] => Array.from({ length }, (_, i) => from + i);
/** What `nats-peering.ts` says. */
interface Said {
  readonly items?: number[];
  readonly token?: number;
  readonly written?: number;
  readonly lost?: string;
  readonly ended?: string;
}

const byNumber = (a: number, b: number): number => a - b;

if (hasNats) specify(await NatsServer.start());
else test(NO_NATS, () => console.log(`total: ${NO_NATS}`));

function specify(server: NatsServer): void {
  let count = 0;
  const children: ChildProcess[] = [];
  test.after.each(() => {
    for (const one of children.splice(0)) one.kill('SIGKILL');
  });
  test.after(() => server.stop());

  /** As many machines as asked for, each with the same queue by a connection of its own. */
  async function newQueues<T = unknown>(
    machines: number,
    options: Partial<NatsQueueOptions<T>> = {},
  ): Promise<NatsQueue<T>[]> {
    const name = `jobs-${count++}`;
    const open = async () => natsQueue<T>({ connection: await server.connect(), name, capacity: 8, ...options });
    const queues: NatsQueue<T>[] = [];
    while (queues.length < machines) queues.push(await open());
    return queues;
  }

  function start(...args: string[]): { said: Said[]; process: ChildProcess } {
    const file = fileURLToPath(new URL('./kit/nats-peering.js', import.meta.url));
    const child = fork(file, [String(server.port), ...args]);
    children.push(child);
    const said: Said[] = [];
    child.on('message', (message) => said.push(message as Said));
    return { said, process: child };
  }

  test('code for the faces of a local queue and mutex runs on those of machines', async () => {
    const [queue] = (await newQueues(1)) as [NatsQueue];
    const mutex = await natsMutex({ connection: await server.connect(), name: 'faces', ttl: 1000 });
    const pass = async (queue: AsyncQueue<unknown>, mutex: AsyncMutex): Promise<unknown[]> => {
      await mutex.withAsync(() => queue.putManyAsync([1, 2, 3]));
      const items = [await queue.getAsync()];
      while (items.length < 3) items.push(...(await queue.getManyAsync(5)));
      await queue.taskDone(3);
      await queue.joinAsync({ timeout: 5000 });
      return [...items, await queue.size, queue.capacity];
    };
    assert.equal((await pass(queue, mutex)).sort(), [0, 1, 2, 3, 8]);
  });

  test('values arrive exactly as they were put, on another machine', async () => {
    const values = [null, undefined, -0, 'ä\ud800', new Map([[1, new Date(7)]]), { a: [1n] }, new Uint8Array([1, 2])];
    const [here, there] = (await newQueues(2)) as [NatsQueue, NatsQueue];
    for (const value of values) {
      await here.putAsync(value);
      assert.equal(await there.getAsync(), value);
    }
    await there.taskDone(values.length);
    const [numbersOnly] = (await newQueues<number>(1, { codec: codec.i32 })) as [NatsQueue<number>];
    await refusesLater(numbersOnly.putAsync(0.5), CodecError);
    await refusesLater(here.putAsync('x'.repeat(2 ** 21)), MessageTooLargeError);
  });

  test('a full queue holds its producers back, on all machines, and each item is put once', async () => {
    const queues = await newQueues<number>(3, { capacity: 5 });
    const [first, second, third] = queues as [NatsQueue<number>, NatsQueue<number>, NatsQueue<number>];
    const puts = [first.putManyAsync(numbers(60)), second.putManyAsync(numbers(60, 60))];
    const got: number[] = [];
    while (got.length < 120) {
      const items = await third.getManyAsync(10, { timeout: 10_000 });
      assert.ok(items.length <= 5);
      got.push(...items);
      await third.taskDone(items.length);
    }
    await Promise.all(puts);
    assert.equal(got.sort(byNumber), numbers(120));
    await third.joinAsync({ timeout: 5000 });
    await first.putManyAsync(numbers(5));
    await refusesLater(second.putAsync(9, { timeout: 50 }), TimeoutError);
  });

  test('with a window of 1 the order of a producer is kept, also while it is held back', async () => {
    const [here, there] = (await newQueues<number>(2, { capacity: 3, window: 1 })) as [
      NatsQueue<number>,
      NatsQueue<number>,
    ];
    const put = here.putManyAsync(numbers(40));
    const got: number[] = [];
    while (got.length < 40) {
      got.push(await there.getAsync({ timeout: 10_000 }));
      await there.taskDone();
    }
    await put;
    assert.equal(got, numbers(40));
  });

  test('a getter that gives up takes nothing, and items go to machines that wait for them', async () => {
    const [here, there] = (await newQueues<number>(2)) as [NatsQueue<number>, NatsQueue<number>];
    await refusesLater(here.getAsync({ timeout: 20 }), TimeoutError, 'get from queue');
    await refusesLater(here.getAsync({ signal: AbortSignal.abort(new RangeError('no')) }), RangeError);
    const stop = new AbortController();
    const waiting = refusesLater(here.getAsync({ signal: stop.signal }), RangeError);
    stop.abort(new RangeError('enough'));
    await waiting;
    await here.putManyAsync([1, 2]);
    assert.equal([await there.getAsync(), await there.getAsync()].sort(), [1, 2]);
    await there.taskDone(2);
    await refusesLater(there.taskDone(), RangeError, 'n must be at most the items taken');
  });

  test('a task that takes longer than the lease keeps its item', async () => {
    const [here, there] = (await newQueues<number>(2, { lease: 1000 })) as [NatsQueue<number>, NatsQueue<number>];
    await here.putAsync(7);
    const task = await here.takeAsync();
    await refusesLater(there.getAsync({ timeout: 2500 }), TimeoutError); // more than two leases
    await task.giveBack();
    assert.is(await there.getAsync({ timeout: 5000 }), 7);
    await there.taskDone();
    await here.joinAsync({ timeout: 5000 });
  });

  test('close is heard on all machines: puts are refused, iterators end when all was taken', async () => {
    const [here, there] = (await newQueues<number>(2)) as [NatsQueue<number>, NatsQueue<number>];
    await here.putManyAsync([1, 2, 3]);
    const got: number[] = [];
    const working = (async () => {
      for await (const item of there) {
        got.push(item);
        await there.taskDone();
      }
    })();
    await until(() => got.length === 3);
    await here.close();
    await working;
    assert.equal(got.sort(), [1, 2, 3]);
    await refusesLater(here.putAsync(4), ClosedError);
    await refusesLater(there.putAsync(4), ClosedError);
    await refusesLater(there.getAsync(), ClosedError);
  });

  test('a closed queue has not ended while somebody has an item of it that may come back', async () => {
    const [here, there] = (await newQueues<number>(2)) as [NatsQueue<number>, NatsQueue<number>];
    await here.putManyAsync([1, 2, 3]);
    const mine = await here.takeManyAsync(2);
    const theirs = await there.takeAsync();
    assert.is(mine?.value.length, 2);
    await here.close();
    assert.is(await here.takeManyAsync(2), undefined); // who has something does not wait for others
    await mine?.done();
    const waiting = here.takeManyAsync(2);
    await theirs.giveBack();
    const back = await waiting;
    assert.equal(back?.value, [theirs.value]);
    await back?.done();
    await back?.giveBack(); // does nothing any more
    assert.is(await there.takeManyAsync(2), undefined);
    await here.joinAsync({ timeout: 5000 });
  });

  test('an item that nobody can read is dropped, and those that came with it come again', async () => {
    const [writer, reader] = (await newQueues<unknown>(2)) as [NatsQueue, NatsQueue];
    const connection = await server.connect();
    const numbersOnly = await natsQueue<number>({ connection, name: writer.name, capacity: 8, codec: codec.i32 });
    await writer.putManyAsync(['text', 'more']);
    await refusesLater(numbersOnly.getManyAsync(2), CodecError, 'cannot read an item');
    assert.is(await reader.getAsync({ timeout: 5000 }), 'more');
    await reader.taskDone();
    await reader.joinAsync({ timeout: 5000 });
  });

  test('of many items those before one that cannot be sent are put, and the error says how many', async () => {
    const [here] = (await newQueues<number>(1, { codec: codec.i32 })) as [NatsQueue<number>];
    const error = await here.putManyAsync([1, 2, 0.5, 4]).catch((error) => error);
    assert.instance(error, CodecError);
    assert.is(error.done, 2);
    assert.equal((await here.getManyAsync(8)).sort(), [1, 2]);
    await here.taskDone(2);
  });

  test('a queue or mutex that is there with other options is not taken for one with these', async () => {
    const [queue] = (await newQueues(1)) as [NatsQueue];
    const connection = await server.connect();
    await refusesLater(natsQueue({ connection, name: queue.name, capacity: 9 }), RangeError, 'it has capacity 8');
    await natsMutex({ connection, name: 'options', ttl: 1000 });
    await refusesLater(natsMutex({ connection, name: 'options', ttl: 2000 }), RangeError, 'with ttl 1000: got 2000');
    await refusesLater(natsQueue({ connection, name: 'a b', capacity: 9 }), TypeError, 'name must be 1 to 64 letters');
    await refusesLater(natsQueue({ connection: 7 as never, name: 'a', capacity: 9 }), TypeError, 'connection must be');
    await refusesLater(natsMutex({ connection, name: 'a', ttl: 5 }), RangeError, 'ttl must be');
  });

  test('one machine at a time holds a lock, and each holder has a greater token', async () => {
    const mutexes = await Promise.all(
      numbers(3).map(async () => natsMutex({ connection: await server.connect(), name: 'stock', ttl: 2000 })),
    );
    let inside = 0;
    const tokens: number[] = [];
    await Promise.all(
      [...mutexes, ...mutexes].map((mutex) =>
        mutex.withAsync(async ({ token }) => {
          assert.is(++inside, 1);
          tokens.push(token);
          await new Promise(setImmediate);
          inside--;
        }),
      ),
    );
    assert.equal(tokens, [...tokens].sort(byNumber));
    assert.is(new Set(tokens).size, 6);
    const [first, second] = mutexes as [(typeof mutexes)[0], (typeof mutexes)[0]];
    await first.lockAsync();
    await refusesLater(second.lockAsync({ timeout: 4500 }), TimeoutError); // it is renewed: more than two ttls
    await refusesLater(second.unlock(), NotOwnerError);
    await first.unlock();
    await second.withAsync(() => {});
  });

  test('chaos: what a killed process had taken comes back after its lease, and what is acknowledged does not', async () => {
    const connection = await server.connect();
    const queue = await natsQueue<number>({ connection, name: 'frozen', capacity: 100, lease: 1000 });
    await queue.putManyAsync(numbers(12));
    const { said, process: taker } = start('take');
    await until(() => said.length === 1);
    const taken = said[0]?.items ?? [];
    assert.is(taken.length, 10);
    taker.kill('SIGKILL');
    const got: number[] = [];
    while (got.length < 12) {
      got.push(await queue.getAsync({ timeout: 10_000 }));
      await queue.taskDone();
    }
    assert.equal(got.sort(byNumber), numbers(12));
    await queue.joinAsync({ timeout: 5000 });
  });

  test('chaos: a holder that is stopped past its ttl loses the lock, and its token exposes what it still writes', async () => {
    const { said, process: holder } = start();
    await until(() => said.length === 1);
    const old = said[0]?.token ?? 0;
    holder.kill('SIGSTOP');
    const mutex = await natsMutex({ connection: await server.connect(), name: 'frozen', ttl: 1000 });
    const { token } = await mutex.lockAsync({ timeout: 10_000 });
    assert.ok(token > old, `${token} after ${old}`);
    holder.send('write');
    holder.kill('SIGCONT');
    await until(() => said.some((message) => 'ended' in message));
    const [, write, lost, ended] = said;
    assert.is(write?.written, old); // a store that has seen `token` refuses it
    assert.is(lost?.lost, 'ERR_OWNER_DIED');
    assert.is(ended?.ended, 'ERR_NOT_OWNER');
    await mutex.unlock();
  });

  test('chaos: the server is killed and started again in mid-stream: nothing that was put is lost or put twice', async () => {
    const [here, there] = (await newQueues<number>(2, { capacity: 50, lease: 2000 })) as [
      NatsQueue<number>,
      NatsQueue<number>,
    ];
    const mutex = await natsMutex({ connection: await server.connect(), name: 'restart', ttl: 5000 });
    const lease = await mutex.lockAsync();
    const pick = random(7);
    const acknowledged: number[] = [];
    const twice: number[] = [];
    const working = (async () => {
      while (new Set(acknowledged).size < 300) {
        const item = await there.getAsync({ timeout: 20_000 });
        if (acknowledged.includes(item)) twice.push(item);
        acknowledged.push(item);
        await there.taskDone();
      }
    })();
    const putting = here.putManyAsync(numbers(300));
    for (const at of [30 + pick(40), 150 + pick(40)]) {
      await until(() => acknowledged.length >= at);
      await server.kill();
      await server.start();
    }
    await Promise.all([putting, working]);
    assert.equal([...new Set(acknowledged)].sort(byNumber), numbers(300));
    await here.joinAsync({ timeout: 10_000 });
    assert.is(lease.signal.aborted, false, String(lease.signal.reason?.cause));
    await mutex.unlock();
    console.log(`total: 2 restarts of nats-server, 300 items, ${twice.length} delivered twice`);
  });

  test('a put whose answer is lost with its connection is tried again under its identity, and is there once', async () => {
    const between = await Severed.before(server.port);
    const connection = await server.connect(between.port);
    const [there] = (await newQueues<number>(1, { capacity: 50 })) as [NatsQueue<number>];
    const queue = await natsQueue<number>({ connection, name: there.name, capacity: 50 });
    for (const items of [[0], numbers(8, 1), numbers(8, 9)]) {
      between.lose(/"stream":"ringfence_jobs-\d+",\s*"seq":/);
      await queue.putManyAsync(items);
    }
    assert.is(between.lost.length, 3);
    const again = between.heard.match(/"duplicate": ?true/g)?.length ?? 0;
    assert.ok(again >= 3, `${again} were tried again after the server had them: ${between.heard}`);
    const got: number[] = [];
    while (got.length < 17) got.push(...(await there.getManyAsync(50, { timeout: 5000 })));
    assert.equal(got.sort(byNumber), numbers(17));
    await there.taskDone(17);
    assert.is(await there.size, 0);
    await there.joinAsync({ timeout: 5000 });
    await connection.close();
    await between.close();
  });

  test('a renewal that was written late, by way of a new connection, costs no lock', async () => {
    const connection = await server.connect();
    const mutex = await natsMutex({ connection, name: 'late', ttl: 1500 });
    const bucket = await new Kvm(connection).open('ringfence_lock_late');
    const late = async () => bucket.put('holder', (await bucket.get('holder'))?.string() ?? '');
    const { signal } = await mutex.lockAsync();
    const written = await late();
    let renewed = written;
    const watching = (async () => {
      for await (const { revision } of await bucket.watch({ key: 'holder' })) renewed = revision;
    })();
    await until(() => signal.aborted || renewed > written);
    assert.is(signal.aborted, false, String(signal.reason?.cause));
    await late();
    await mutex.unlock();
    await mutex.withAsync(() => {});
    await connection.close();
    await watching;
  });

  test('a lock whose server does not come back is lost when its ttl is over', async () => {
    const ttl = 600;
    const mutex = await natsMutex({ connection: await server.connect(), name: 'gone', ttl });
    const { signal } = await mutex.lockAsync();
    await server.kill();
    await pause(2 * ttl); // in this event loop what is due before the end of it has happened then
    assert.is(signal.aborted, true);
    assert.instance(signal.reason, OwnerDiedError);
    await server.start();
    await refusesLater(mutex.unlock(), NotOwnerError, 'was lost meanwhile');
  });
}

test.run();
