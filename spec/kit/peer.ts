import { type ChildProcess, fork } from 'node:child_process';
import { fileURLToPath } from 'node:url';

export type Commands = typeof import('./peering.ts').commands;

export type FromPeer = { readonly id: number; readonly result?: unknown; readonly error?: string };

/** What another process says first, in place of the number of a command. */
export const READY = -1;

const DEADLINE = 60_000; // ms: a hang becomes a failure

const peers = new Set<Peer>();

/** Another process, which does what `peering.ts` can. */
export class Peer {
  readonly process: ChildProcess;
  readonly ended: Promise<void>;
  readonly #waiting = new Map<number, { resolve: (value: unknown) => void; reject: (error: Error) => void }>();
  #next = 0;

  constructor() {
    this.process = fork(fileURLToPath(new URL('./peering.js', import.meta.url)), { serialization: 'advanced' });
    peers.add(this);
    this.process.on('message', ({ id, result, error }: FromPeer) => {
      const waiting = this.#waiting.get(id);
      this.#waiting.delete(id);
      if (error === undefined) waiting?.resolve(result);
      else waiting?.reject(new Error(error));
    });
    this.ended = new Promise((resolve) => {
      this.process.on('exit', () => {
        peers.delete(this);
        for (const { reject } of this.#waiting.values()) reject(new Error('the process has ended'));
        resolve();
      });
    });
  }

  /** Runs a command there. */
  call<K extends keyof Commands>(name: K, ...args: Parameters<Commands[K]>): ReturnType<Commands[K]> {
    const id = this.#next++;
    const timer = setTimeout(() => this.#waiting.get(id)?.reject(new Error(`${name} hangs`)), DEADLINE);
    const result = new Promise((resolve, reject) => {
      this.#waiting.set(id, { resolve, reject });
      this.process.send({ id, name, args });
    }).finally(() => clearTimeout(timer));
    result.catch(() => {}); // whoever kills the process may not wait for it
    return result as ReturnType<Commands[K]>;
  }

  async kill(): Promise<void> {
    this.process.kill('SIGKILL');
    await this.ended;
  }
}

export async function killPeers(): Promise<void> {
  await Promise.all([...peers].map((peer) => peer.kill()));
}
