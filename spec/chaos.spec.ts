import { mkdtempSync, rmSync } from 'node:fs';
import { createServer, connect as dial, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { connect, type SocketServer, serve } from '../lib/bridge/socket.ts';
import { ClosedError, OwnerDiedError, TimeoutError } from '../lib/memory/errors.ts';
import { Region } from '../lib/memory/region.ts';
import { Queue } from '../lib/queue/queue.ts';
import { Mutex } from '../lib/sync/mutex.ts';
import { killPeers, Peer } from './kit/peer.ts';
import { random } from './kit/random.ts';
import { refusesLater } from './kit/refuses.ts';
import { until } from './kit/until.ts';

const folder = mkdtempSync(join(tmpdir(), 'ringfence-'));
const region = new Region({ bytes: 2 ** 22, threads: 2 });
const numbers = (length: number, from = 0): number[] => Array.from({ length }, (_, i) => from + i);
const byNumber = (a: unknown, b: unknown): number => Number(a) - Number(b);
let count = 0;
const newPath = (): string => join(folder, `${count++}.sock`);

let server: SocketServer;
async function newShop(capacity: number): Promise<{ jobs: Queue<unknown>; till: Mutex; path: string }> {
  const jobs = new Queue<unknown>({ capacity, region, name: 'jobs' });
  const till = new Mutex({ region, name: 'till' });
  const path = newPath();
  server = await serve({ path, queues: { jobs }, mutexes: { till } });
  return { jobs, till, path };
}

test.after.each(async () => {
  await killPeers();
  await server.close();
});
test.after(() => rmSync(folder, { recursive: true }));

test('SIGKILL of a client that holds the lock and ten items: the lock is a dead owner’s, the ten come back, once', async () => {
  const { jobs, till, path } = await newShop(20);
  const client = await connect(path);
  const [queue, mutex] = [await client.queue('jobs'), await client.mutex('till')];
  for (let round = 0; round < 5; round++) {
    await jobs.putManyAsync(numbers(15, round * 100));
    const victim = new Peer();
    await victim.call('connect', path);
    await victim.call('lock');
    assert.is((await victim.call('take', 13)).length, 13);
    await victim.call('done', 3);
    const waiting = [refusesLater(mutex.lockAsync(), OwnerDiedError), refusesLater(till.lockAsync(), OwnerDiedError)];
    await victim.kill();
    await Promise.all(waiting);
    await mutex.recoverAsync(() => {});
    const got: unknown[] = [];
    while (got.length < 12) got.push(...(await queue.getManyAsync(12)));
    assert.equal(got.sort(byNumber), numbers(12, round * 100 + 3));
    await queue.taskDone(12);
    await jobs.joinAsync({ timeout: 5000 });
    assert.is(jobs.size, 0);
  }
  await client.close();
});

test('clients killed at random while they work: nothing acknowledged comes again, nothing else is lost', async () => {
  const { jobs, path } = await newShop(16);
  const pick = random(7);
  const acknowledged: unknown[] = [];
  let open = true;
  const worker = async (): Promise<void> => {
    const client = await connect(path);
    const queue = await client.queue('jobs');
    for await (const item of queue) {
      await queue.taskDone();
      acknowledged.push(item);
    }
    await client.close();
  };
  const feeding = (async () => {
    for (const n of numbers(400)) await jobs.putAsync(n);
    open = false;
  })();
  const victims: unknown[][] = [];
  for (let round = 0; round < 8; round++) {
    const victim = new Peer();
    await victim.call('connect', path);
    victims.push(await victim.call('take', 1 + pick(10))); // and never acknowledges them
    await victim.kill();
  }
  const workers = [worker(), worker()];
  await feeding;
  await jobs.joinAsync({ timeout: 10_000 });
  jobs.close();
  await Promise.all(workers);
  assert.is(open, false);
  assert.equal(acknowledged.sort(byNumber), numbers(400));
  console.log(`total: 8 clients killed with ${victims.flat().length} items in hand, 400 of 400 items exactly once`);
});

test('SIGKILL of the server in mid-stream: what waits is rejected, and clients go on with the next server', async () => {
  await newShop(1);
  const path = newPath();
  let owner = new Peer();
  await owner.call('serve', path, 4);
  const client = await connect(path, { reconnect: true });
  const queue = await client.queue<number>('jobs');
  for (let round = 0; round < 3; round++) {
    let done = 0;
    const ends = numbers(20).map((n) =>
      queue.putAsync(n).then(
        () => done++,
        (error) => error,
      ),
    );
    await until(() => done === 4);
    await owner.kill();
    const errors = (await Promise.all(ends)).filter((end) => end instanceof ClosedError);
    assert.is(errors.length, 16); // the four that were put are lost with the region of the server
    owner = new Peer();
    await owner.call('serve', path, 4);
    await queue.putAsync(7);
    assert.equal([await queue.getAsync(), await queue.size], [7, 0]);
    await queue.taskDone();
  }
  await client.close();
});

/** Passes on what a client says to `path`, up to so many bytes, and then cuts both ends. */
async function cutAfter(bytes: number, path: string): Promise<string> {
  const between = newPath();
  const proxy = createServer((socket: Socket) => {
    const onward = dial(path);
    let left = bytes;
    socket.on('data', (chunk) => {
      onward.write(chunk.subarray(0, left));
      left -= chunk.length;
      if (left > 0) return;
      socket.destroy();
      onward.end();
      proxy.close();
    });
    onward.on('data', (chunk) => socket.destroyed || socket.write(chunk));
    for (const one of [socket, onward]) one.on('error', () => {});
    onward.on('close', () => socket.destroy());
  });
  await new Promise<void>((resolve) => proxy.listen(between, resolve));
  return between;
}

test('a connection that is cut in the middle of a frame: each item whole or not at all, and what resolved is there', async () => {
  const { jobs, path } = await newShop(1000);
  const pick = random(11);
  let cut = 0;
  for (let round = 0; round < 60; round++) {
    const client = await connect(await cutAfter(60 + pick(4000), path)).catch(() => undefined);
    if (!client) continue;
    const resolved: number[] = [];
    const broken = await client
      .queue<unknown>('jobs')
      .then(async (queue) => {
        for (let n = 0; ; n++) {
          await queue.putAsync({ n, text: 'x'.repeat(pick(100)) });
          resolved.push(n);
        }
      })
      .catch((error: Error) => error);
    assert.instance(broken, ClosedError);
    cut++;
    await until(() => server.clients === 0);
    const there: number[] = [];
    while (jobs.size > 0) there.push((jobs.get() as { n: number }).n);
    assert.equal(there, numbers(there.length));
    assert.ok(there.length === resolved.length || there.length === resolved.length + 1, `${resolved.length} resolved`);
    await client.close();
  }
  assert.ok(cut > 50, `${cut} of 60 were cut`);
});

test('a client that is stopped holds its lock and its items as long as it lives: there is no lease between processes', async () => {
  const { jobs, till, path } = await newShop(4);
  const frozen = new Peer();
  await frozen.call('connect', path);
  await frozen.call('lock');
  await jobs.putManyAsync([1, 2]);
  await frozen.call('take', 1);
  frozen.process.kill('SIGSTOP');
  const client = await connect(path);
  assert.is(await (await client.queue('jobs')).getAsync(), 2); // others go on
  await refusesLater((await client.mutex('till')).lockAsync({ timeout: 100 }), TimeoutError);
  frozen.process.kill('SIGCONT');
  await frozen.call('unlock');
  await frozen.call('done', 1);
  await till.withAsync(() => {});
  await client.close();
});

test.run();
