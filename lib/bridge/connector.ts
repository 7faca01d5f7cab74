/**
 * Connector: the connection of a client, and the next one when it has ended, if the client wants that.
 */
import { setTimeout as pause } from 'node:timers/promises';
import { ClosedError } from '../memory/errors.ts';
import type { AsyncWaitOptions } from '../memory/wait.ts';
import { Deadline } from '../pool/deadline.ts';
import { Link } from './link.ts';

const SHORTEST_PAUSE = 10; // ms before a second attempt to connect
const LONGEST_PAUSE = 1000;

export class Connector {
  readonly path: string;
  /** Whether what is asked after the connection has ended waits for the next one. */
  readonly connectsAgain: boolean;
  readonly #first: number;
  readonly #lost = new WeakSet<Error>();
  readonly #closing = new AbortController();
  #link: Link | undefined;
  #next: Promise<Link> | undefined;

  constructor(path: string, connectsAgain: boolean, first: number) {
    this.path = path;
    this.connectsAgain = connectsAgain;
    this.#first = first;
  }

  async connect(): Promise<void> {
    this.#use(await Link.open(this.path, this.#first));
  }

  get connected(): boolean {
    return this.#link !== undefined && this.#link.ended === undefined;
  }

  /** The link if there is one, or a promise of the next one. Throws ClosedError if there will be none. */
  get link(): Link | Promise<Link> {
    if (this.#link && !this.#link.ended) return this.#link;
    if (!this.connectsAgain || this.#closing.signal.aborted) {
      throw this.#link?.ended ?? new ClosedError(`the connection to ${this.path}`);
    }
    this.#next ??= this.#connectAgain().finally(() => {
      this.#next = undefined;
    });
    return this.#next;
  }

  async #connectAgain(): Promise<Link> {
    for (let ms = SHORTEST_PAUSE; ; ms = Math.min(ms * 2, LONGEST_PAUSE)) {
      try {
        return this.#use(await Link.open(this.path, this.#first));
      } catch {
        // Not all clients of a server at once.
        await pause(ms * (0.5 + Math.random()), undefined, { signal: this.#closing.signal }).catch(() => {
          throw new ClosedError(`the connection to ${this.path}`);
        });
      }
    }
  }

  #use(link: Link): Link {
    this.#link = link;
    link.onEnd(() => this.#lost.add(link.ended as ClosedError));
    if (this.#closing.signal.aborted) link.close();
    return link;
  }

  /** Whether the error says that a connection has ended, and not that a queue was closed. */
  isLost(error: Error): boolean {
    return this.#lost.has(error);
  }

  close(): void {
    this.#closing.abort();
    this.#link?.close();
  }

  /** Runs what may take long, with one signal for the timeout and the signal of its options. */
  async within<R>(
    what: string,
    options: AsyncWaitOptions | undefined,
    run: (signal?: AbortSignal) => Promise<R>,
  ): Promise<R> {
    if (options === undefined) return run();
    const { signal, clear } = new Deadline(what, options);
    try {
      return await run(signal);
    } finally {
      clear();
    }
  }
}

/** What an object is on each connection: opened once for each, when it is needed first. */
export class Session<S> {
  readonly #connector: Connector;
  readonly #open: (link: Link) => Promise<S>;
  #current: { readonly link: Link; readonly opened: S } | undefined;
  #opening: { readonly link: Link; readonly opened: Promise<S> } | undefined;
  #waiting = 0; // who came before there was a connection goes first

  constructor(connector: Connector, open: (link: Link) => Promise<S>) {
    this.#connector = connector;
    this.#open = open;
  }

  /** What the object is now, if that is known and nobody waits for it. */
  get ready(): S | undefined {
    return this.#current && !this.#current.link.ended && this.#waiting === 0 ? this.#current.opened : undefined;
  }

  /** Runs `use` with what the object is now: at once if that is known, and in the order of the calls. */
  run<R>(signal: AbortSignal | undefined, use: (opened: S) => Promise<R>): Promise<R> {
    const { ready } = this;
    return ready === undefined ? this.#runLater(signal, use) : use(ready);
  }

  async #runLater<R>(signal: AbortSignal | undefined, use: (opened: S) => Promise<R>): Promise<R> {
    this.#waiting++;
    let opened: S;
    try {
      opened = await (signal ? Promise.race([this.get(), aborted(signal)]) : this.get());
    } finally {
      this.#waiting--;
    }
    return use(opened);
  }

  async get(): Promise<S> {
    const link = await this.#connector.link;
    if (this.#current?.link === link) return this.#current.opened;
    if (this.#opening?.link !== link) {
      const opened = this.#open(link);
      this.#opening = { link, opened };
      opened.then(
        (opened) => {
          this.#current = { link, opened };
        },
        () => {},
      );
    }
    return this.#opening.opened;
  }
}

function aborted(signal: AbortSignal): Promise<never> {
  return new Promise((_, reject) => {
    signal.addEventListener('abort', () => reject(signal.reason), { once: true });
  });
}
