// What another process does when a `Peer` says so.
import { connect, type SocketClient, type SocketMutex, type SocketQueue, serve } from '../../lib/bridge/socket.ts';
import { Region } from '../../lib/memory/region.ts';
import { Queue } from '../../lib/queue/queue.ts';
import { type FromPeer, READY } from './peer.ts';

let client: SocketClient;
let jobs: SocketQueue<unknown>;
let till: SocketMutex;
let owned: Queue<unknown>;

export const commands = {
  /** Connects, and opens the queue "jobs" and the mutex "till". */
  async connect(path: string): Promise<void> {
    client = await connect(path);
    jobs = await client.queue('jobs');
    till = await client.mutex('till');
  },

  /** Serves a queue "jobs" of its own. */
  async serve(path: string, capacity: number): Promise<void> {
    const region = new Region({ bytes: 2 ** 20, threads: 2 });
    owned = new Queue({ capacity, region, name: 'jobs' });
    await serve({ path, queues: { jobs: owned } });
  },

  /** Takes so many items, and keeps them. */
  async take(count: number): Promise<unknown[]> {
    const items: unknown[] = [];
    while (items.length < count) items.push(...(await jobs.getManyAsync(count - items.length)));
    return items;
  },

  async done(count: number): Promise<void> {
    await jobs.taskDone(count);
  },

  async put(items: unknown[]): Promise<void> {
    await jobs.putManyAsync(items);
  },

  /** Puts so many texts of so many characters. */
  async fill(count: number, length: number): Promise<void> {
    await jobs.putManyAsync(new Array(count).fill('x'.repeat(length)));
  },

  /** Takes and acknowledges items one by one until the queue is closed and drained; returns those that were acknowledged. */
  async work(): Promise<unknown[]> {
    const items: unknown[] = [];
    for await (const item of jobs) {
      await jobs.taskDone();
      items.push(item);
    }
    return items;
  },

  async lock(): Promise<void> {
    await till.lockAsync();
  },

  async unlock(): Promise<void> {
    await till.unlock();
  },

  /** Sells tickets under the lock until none is left: the queue holds one number, how many there are. */
  async sell(): Promise<number> {
    for (let sold = 0; ; sold++) {
      const left = await till.withAsync(async () => {
        const there = (await jobs.getAsync()) as number;
        await jobs.taskDone();
        await jobs.putAsync(Math.max(0, there - 1));
        return there;
      });
      if (left === 0) return sold;
    }
  },

  /** Memory of this process, in MB. */
  async memory(): Promise<number> {
    return process.memoryUsage().rss / 2 ** 20;
  },

  async close(): Promise<void> {
    await client.close();
    process.disconnect();
  },
};

process.on('message', async ({ id, name, args }: { id: number; name: keyof typeof commands; args: never[] }) => {
  let answer: FromPeer;
  try {
    answer = { id, result: await (commands[name] as (...args: never[]) => unknown)(...args) };
  } catch (error) {
    answer = { id, error: String(error) };
  }
  process.send?.(answer);
});

process.send?.({ id: READY } satisfies FromPeer); // a worker of node:cluster loses what comes before
