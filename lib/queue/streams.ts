/** Queues as streams: those of Node, and those of the Web. */
import { Readable, Writable } from 'node:stream';
import { ReadableStream, WritableStream } from 'node:stream/web';
import { ClosedError } from '../memory/errors.ts';
import type { AsyncWaitOptions } from '../memory/wait.ts';

/** What a stream needs of a queue. */
export interface Streamed<T> {
  readonly closed: boolean;
  getAsync(options?: AsyncWaitOptions): Promise<T>;
  putAsync(item: T, options?: AsyncWaitOptions): Promise<void>;
  close(): void;
}

/** Options of `queue.writable()` and `queue.writableStream()`. */
export interface QueueWritableOptions {
  /** Whether the queue is closed when the stream has ended, which is the default. */
  end?: boolean | undefined;
}

/** Takes an item when one is wanted and no sooner; nothing is kept in the stream but the item that is on its way. */
export function readableOf<T>(queue: Streamed<T>): Readable {
  const halt = new AbortController();
  return new Readable({
    objectMode: true,
    highWaterMark: 1,
    read() {
      queue.getAsync({ signal: halt.signal }).then(
        (item) => {
          if (item === null)
            this.destroy(new TypeError('null came out of the queue, and a stream of Node cannot carry it'));
          else this.push(item);
        },
        (error) => {
          if (halt.signal.aborted) return;
          if (isEnd(queue, error)) this.push(null);
          else this.destroy(error);
        },
      );
    },
    destroy(error, done) {
      halt.abort();
      done(error);
    },
  });
}

/** Puts each chunk, and says that it is written when it is in the queue. */
export function writableOf<T>(queue: Streamed<T>, { end = true }: QueueWritableOptions = {}): Writable {
  const halt = new AbortController();
  return new Writable({
    objectMode: true,
    highWaterMark: 1,
    write(item: T, _, done) {
      queue.putAsync(item, { signal: halt.signal }).then(() => done(), done);
    },
    final(done) {
      if (end) queue.close();
      done();
    },
    destroy(error, done) {
      halt.abort(error ?? undefined);
      done(error);
    },
  });
}

/** As `readableOf`, for the Web. */
export function readableStreamOf<T>(queue: Streamed<T>): ReadableStream<T> {
  const halt = new AbortController();
  return new ReadableStream<T>(
    {
      async pull(controller) {
        try {
          controller.enqueue(await queue.getAsync({ signal: halt.signal }));
        } catch (error) {
          if (halt.signal.aborted) return;
          if (!isEnd(queue, error)) throw error;
          controller.close();
        }
      },
      cancel: (reason) => halt.abort(reason),
    },
    { highWaterMark: 0 },
  );
}

/** As `writableOf`, for the Web. */
export function writableStreamOf<T>(queue: Streamed<T>, { end = true }: QueueWritableOptions = {}): WritableStream<T> {
  const halt = new AbortController();
  return new WritableStream<T>(
    {
      start: (controller) => {
        const { signal } = controller as unknown as { readonly signal: AbortSignal }; // Node's types lack it
        signal.addEventListener('abort', () => halt.abort(signal.reason), { once: true });
      },
      write: (item) => queue.putAsync(item, { signal: halt.signal }),
      close: () => (end ? queue.close() : undefined),
    },
    { highWaterMark: 1 },
  );
}

function isEnd(queue: { readonly closed: boolean }, error: unknown): boolean {
  return error instanceof ClosedError && queue.closed;
}
