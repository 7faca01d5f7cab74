import { Worker } from 'node:worker_threads';
import { attach, type Shared, share } from '../../lib/memory/handles.ts';

const DEADLINE = 60_000; // milliseconds: a hang becomes a failure, also on a busy machine

/** What crosses to a worker of a crew. */
export interface Order {
  readonly module: string;
  readonly name: string;
  readonly index: number;
  readonly args: Shared<unknown>;
}

export type FromWorker = { ready: true } | { result: Shared<unknown> };

/** A worker function: what all of them share, and which of them this is. */
export type CrewFunction<A, R> = (args: A, index: number) => R | Promise<R>;

/**
 * Starts `count` threads, lets all of them begin `name(args, index)` of a compiled module together, and gives their results
 * in order once every thread has ended. The first that fails ends the others, and rejects with its own error.
 */
export async function crew<R, A = unknown>(count: number, module: URL, name: string, args?: A): Promise<R[]> {
  const members = Array.from({ length: count }, (_, index) => new Member<R>({ module, name, index, args }));
  const late = new Promise<never>((_, reject) => {
    const timer = setTimeout(() => reject(new Error(`${name}: ${stuck(members)} of ${count} threads hang`)), DEADLINE);
    Promise.allSettled(members.map((member) => member.ended)).then(() => clearTimeout(timer));
  });
  try {
    await Promise.race([Promise.all(members.map((member) => member.ready)), late]);
    for (const member of members) member.go();
    return await Promise.race([Promise.all(members.map((member) => member.result)), late]);
  } finally {
    await Promise.all(members.map((member) => member.end()));
  }
}

function stuck(members: Member<unknown>[]): number {
  return members.filter((member) => member.alive).length;
}

class Member<R> {
  readonly ready: Promise<void>;
  readonly result: Promise<R>;
  readonly ended: Promise<void>;
  readonly #worker: Worker;
  alive = true;

  constructor({ module, name, index, args }: { module: URL; name: string; index: number; args: unknown }) {
    const order: Order = { module: module.href, name, index, args: share(args) };
    const worker = new Worker(new URL('./crew-worker.js', import.meta.url), { workerData: order });
    this.#worker = worker;
    this.ready = new Promise((resolve, reject) => {
      worker.once('message', () => resolve());
      worker.once('error', reject);
    });
    this.result = new Promise((resolve, reject) => {
      let result: { value: R } | undefined;
      worker.on('message', (message: FromWorker) => {
        if ('result' in message) result = { value: attach(message.result) as R };
      });
      worker.once('error', reject);
      worker.once('exit', (code) => {
        if (result) resolve(result.value);
        else reject(new Error(`${name} in thread ${index} ended with code ${code} and no result`));
      });
    });
    this.ended = new Promise((resolve) => {
      worker.once('exit', () => {
        this.alive = false;
        resolve();
      });
    });
    this.result.catch(() => {}); // another member's failure may come first
    this.ready.catch(() => {});
  }

  go(): void {
    this.#worker.postMessage('go');
  }

  async end(): Promise<void> {
    if (this.alive) await this.#worker.terminate();
  }
}
