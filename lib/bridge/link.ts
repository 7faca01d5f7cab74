/**
 * Link: one connection of a client, and the requests on it that wait for their answers.
 */
import { connect, type Socket } from 'node:net';
import { ClosedError, CodecError, RingfenceError } from '../memory/errors.ts';
import {
  ANSWER,
  CANCEL,
  CANCELLED,
  FAILED,
  type Frame,
  FrameReader,
  FrameWriter,
  GREETING,
  HELLO,
  MORE,
  ProtocolError,
  REFUSED,
  type Rest,
  type Terms,
  VERSION,
  WELCOME,
} from './frame.ts';
import { unpackError } from './parcel.ts';

const MOST_REQUESTS = 65_536; // at a time

export interface Request {
  /** Reads an answer, or a part of it that comes before. */
  readonly read: (rest: Buffer, isLast: boolean) => void;
  readonly fail: (reason: unknown) => void;
}

export class Link {
  readonly writer: FrameWriter;
  /** What the server said of itself; it has, once `open` has resolved. */
  terms: Terms = { frameBytes: 0, windowItems: 0, windowBytes: 0 };
  /** Why it ended, once it has. */
  ended: ClosedError | undefined;
  readonly #socket: Socket;
  readonly #what: string;
  readonly #requests = new Map<number, Request>();
  readonly #onEnd: (() => void)[] = [];
  #next: number;
  #held: (() => void) | undefined;
  #welcome: { resolve: (link: Link) => void; reject: (reason: unknown) => void } | undefined;

  /** `first` is the number of the first request. */
  private constructor(path: string, first: number) {
    this.#what = `the connection to ${path}`;
    this.#next = first;
    this.#socket = connect(path);
    this.writer = new FrameWriter(this.#socket);
    const reader = new FrameReader((frame) => {
      this.#handle(frame);
      reader.limit = Number.POSITIVE_INFINITY; // from now on what the server likes
    });
    this.#socket.on('data', (chunk) => {
      try {
        reader.push(chunk);
      } catch (error) {
        this.end(error instanceof Error ? error.message : String(error));
      }
    });
    this.#socket.on('error', (error) => {
      this.#welcome?.reject(error);
      this.end(error.message);
    });
    this.#socket.on('close', () => this.end('the server has ended'));
  }

  /** Resolves when the server has welcomed this client. */
  static open(path: string, first = 0): Promise<Link> {
    return new Promise((resolve, reject) => {
      const link = new Link(path, first);
      link.#welcome = { resolve, reject };
      const body = Buffer.alloc(GREETING.length + 2);
      body.writeUInt16LE(VERSION, body.write(GREETING, 'latin1'));
      link.writer.frame(HELLO, 0, { body });
    });
  }

  /** Calls it when the link has ended. */
  onEnd(listener: () => void): void {
    this.#onEnd.push(listener);
  }

  /** Asks, and gives what `read` makes of the answer. Rejects with the server's error, or with ClosedError. */
  ask<R>(kind: number, rest: Rest, read: (rest: Buffer) => R): Promise<R> {
    return new Promise((resolve, reject) => {
      this.send(kind, rest, { read: (answer) => resolve(read(answer)), fail: reject });
    });
  }

  /**
   * As `ask`, for what may take long: `start` sends it and returns what cancels it, which the signal may do. The server has the
   * last word, so that it is certain what was done: if its answer comes first, that is the result.
   */
  wait<R>(
    start: (request: Request) => () => void,
    read: (rest: Buffer, isLast: boolean) => R,
    signal?: AbortSignal,
  ): Promise<R> {
    return new Promise((resolve, reject) => {
      const cancel = start({
        read: (rest, isLast) => {
          const result = read(rest, isLast);
          if (isLast) resolve(result);
        },
        fail: (error) => reject(isCancelled(error) && signal ? reasonOf(signal, error.done) : error),
      });
      signal?.addEventListener('abort', cancel, { once: true });
    });
  }

  /** Starts a request for `wait`. */
  start(kind: number, rest: Rest): (request: Request) => () => void {
    return (request) => {
      const number = this.send(kind, rest, request);
      return () => this.cancel(number);
    };
  }

  /** Calls `send` before anything else is sent, at the end of this turn at the latest: for what gathers meanwhile. */
  hold(send: () => void): void {
    this.release();
    this.#held = send;
    this.writer.beforeFlush(() => this.release());
  }

  /** Sends what is held. */
  release(): void {
    const send = this.#held;
    this.#held = undefined;
    send?.();
  }

  cancel(number: number): void {
    if (this.#requests.has(number)) this.writer.frame(CANCEL, number);
  }

  /** Sends a request; its number. Throws ClosedError. */
  send(kind: number, rest: Rest, request: Request): number {
    this.release();
    if (this.ended) throw this.ended;
    if (this.#requests.size >= MOST_REQUESTS) {
      throw new RangeError(`a connection carries at most ${MOST_REQUESTS} requests at a time`);
    }
    const number = this.#next;
    this.#next = (number + 1) >>> 0;
    this.writer.frame(kind, number, rest);
    if (this.#requests.size === 0) this.#socket.ref();
    this.#requests.set(number, request);
    return number;
  }

  /** Ends it when all that was sent is on its way. */
  close(): void {
    this.writer.finish();
    this.end('it was closed here');
  }

  /** Ends it: everything that waits is rejected. */
  end(reason: string): void {
    if (this.ended) return;
    this.ended = new ClosedError(`${this.#what} (${reason})`);
    this.#socket.destroySoon();
    this.#welcome?.reject(this.ended);
    for (const listener of this.#onEnd) listener();
    for (const request of this.#requests.values()) request.fail(this.ended);
    this.#requests.clear();
    this.#socket.unref();
  }

  #handle({ kind, request: number, rest }: Frame): void {
    if (kind === REFUSED) this.end(rest.toString());
    else if (this.#welcome) this.#greet(kind, rest);
    else this.#answer(kind, number, rest);
  }

  #answer(kind: number, number: number, rest: Buffer): void {
    const request = this.#requests.get(number);
    if (!request) throw new ProtocolError(`an answer to request ${number}, which nobody made`);
    if (kind === MORE) {
      request.read(rest, false);
      return;
    }
    this.#requests.delete(number);
    if (this.#requests.size === 0) this.#socket.unref();
    try {
      if (kind === ANSWER) request.read(rest, true);
      else if (kind === FAILED) request.fail(unpackError(rest));
      else throw new ProtocolError(`a frame of kind ${kind} is unknown`);
    } catch (error) {
      request.fail(error);
      if (!(error instanceof CodecError)) throw error; // a value that cannot be read concerns who asked for it, and nobody else
    }
  }

  #greet(kind: number, rest: Buffer): void {
    if (kind !== WELCOME || rest.length !== 16) throw new ProtocolError('this is no server of ringfence');
    const [frameBytes, windowItems, windowBytes] = [4, 8, 12].map((at) => rest.readUInt32LE(at)) as [
      number,
      number,
      number,
    ];
    this.terms = { frameBytes, windowItems, windowBytes };
    this.#welcome?.resolve(this);
    this.#welcome = undefined;
    this.#socket.unref();
  }
}

export function isCancelled(error: unknown): error is { readonly done?: number } {
  return (error as { code?: unknown } | undefined)?.code === CANCELLED;
}

/** Why a wait was cancelled, and how much was done by then, if that is known. */
function reasonOf(signal: AbortSignal, done: number | undefined): unknown {
  const { reason } = signal;
  return done !== undefined && reason instanceof RingfenceError ? Object.assign(reason, { done }) : reason;
}
