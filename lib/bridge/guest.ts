/**
 * Guest: one client of a server, from its greeting to its end. Whatever it sends that is no frame of this protocol ends its
 * connection, with the reason, and touches nothing.
 */
import type { Socket } from 'node:net';
import { RingfenceError, show } from '../memory/errors.ts';
import type { Mutex } from '../sync/mutex.ts';
import {
  ANSWER,
  CANCEL,
  CANCELLED,
  CLOSE,
  DONE_WITH,
  FAILED,
  FORSAKE,
  type Frame,
  FrameReader,
  FrameWriter,
  GET,
  GIVE_BACK,
  GREETING,
  HELLO,
  JOIN,
  LOCK,
  OPEN_MUTEX,
  OPEN_QUEUE,
  ProtocolError,
  PUT,
  RECOVER,
  REFUSED,
  SIZE,
  type Terms,
  UNLOCK,
  VERSION,
  WELCOME,
} from './frame.ts';
import { packError } from './parcel.ts';
import { type Answers, GuestMutex, GuestQueue, type ServedQueue } from './served.ts';

const GREETING_TIME = 10_000; // ms for the first frame
const FAREWELL_TIME = 1000; // ms for a client that is refused to read why
const MOST_REQUESTS = 65_536; // of one client at a time

/** What a server has to offer. */
export interface Host {
  readonly queues: ReadonlyMap<string, ServedQueue>;
  readonly mutexes: ReadonlyMap<string, Mutex>;
  readonly terms: Terms;
  /** Items that a client may hold of one queue without an acknowledgement. */
  readonly unacknowledged: number;
  /** The first tag, for the specs of the wrap. */
  readonly tag: number;
}

/** The end of a wait whose client does not wait any more. */
class Cancelled extends RingfenceError {
  constructor() {
    super(CANCELLED, 'the client does not wait for it any more');
  }
}

export class Guest implements Answers {
  readonly writer: FrameWriter;
  readonly terms: Terms;
  /** Resolves when it is gone. */
  readonly left: Promise<void>;
  gone = false;
  readonly #socket: Socket;
  readonly #host: Host;
  readonly #objects: (GuestQueue | GuestMutex)[] = [];
  readonly #waiting = new Map<number, AbortController>();
  #isGreeted = false;

  constructor(socket: Socket, host: Host) {
    this.#socket = socket;
    this.#host = host;
    this.terms = host.terms;
    this.writer = new FrameWriter(socket);
    const reader = new FrameReader((frame) => {
      this.#handle(frame);
      if (this.#isGreeted) reader.limit = this.terms.frameBytes;
    });
    const timer = setTimeout(() => this.#isGreeted || this.refuse('no greeting came'), GREETING_TIME).unref();
    socket.on('data', (chunk) => {
      if (this.gone) return;
      try {
        reader.push(chunk);
      } catch (error) {
        if (!(error instanceof ProtocolError)) throw error;
        this.refuse(error.message);
      }
      // A client that does not read its answers gets no further ones.
      if (socket.writableNeedDrain) socket.pause();
    });
    socket.on('drain', () => socket.resume());
    socket.on('error', () => {}); // it closes then
    this.left = new Promise((resolve) => {
      socket.on('close', () => {
        clearTimeout(timer);
        this.#leave();
        resolve();
      });
    });
  }

  /** Ends the connection, and says why. */
  refuse(reason: string): void {
    if (this.gone) return;
    this.#leave();
    this.writer.frame(REFUSED, 0, { body: Buffer.from(reason) });
    this.writer.flush();
    this.#socket.end();
    this.#socket.resume(); // what still comes is thrown away
    setTimeout(() => this.#socket.destroy(), FAREWELL_TIME).unref();
  }

  signalFor(request: number): AbortSignal {
    if (this.#waiting.has(request)) throw new ProtocolError(`request ${request} is under way already`);
    if (this.#waiting.size >= MOST_REQUESTS) throw new ProtocolError(`more than ${MOST_REQUESTS} requests at a time`);
    const controller = new AbortController();
    this.#waiting.set(request, controller);
    return controller.signal;
  }

  settle<R>(request: number, promise: Promise<R>, answer: (result: R) => void): void {
    promise.then(
      (result) => {
        if (this.#waiting.delete(request) && !this.gone) answer(result);
      },
      (error) => {
        if (this.#waiting.delete(request) && !this.gone) this.#fail(request, error);
      },
    );
  }

  #fail(request: number, error: unknown): void {
    this.writer.frame(FAILED, request, { body: packError(error) });
  }

  #leave(): void {
    if (this.gone) return;
    this.gone = true;
    for (const controller of this.#waiting.values()) controller.abort(new Cancelled());
    for (const object of this.#objects) object.leave();
  }

  #handle(frame: Frame): void {
    if (this.gone) return;
    try {
      if (this.#isGreeted) this.#dispatch(frame);
      else this.#greet(frame);
    } catch (error) {
      if (error instanceof ProtocolError) throw error;
      this.#fail(frame.request, error);
    }
  }

  #greet({ kind, rest }: Frame): void {
    const bytes = GREETING.length + 2;
    if (kind !== HELLO || rest.length < bytes || rest.toString('latin1', 0, GREETING.length) !== GREETING) {
      throw new ProtocolError('this is no client of ringfence');
    }
    const version = rest.readUInt16LE(GREETING.length);
    if (version !== VERSION) throw new ProtocolError(`version ${version} of the protocol is not ${VERSION}`);
    this.#isGreeted = true;
    const { frameBytes, windowItems, windowBytes } = this.terms;
    const body = Buffer.alloc(12);
    for (const [i, term] of [frameBytes, windowItems, windowBytes].entries()) body.writeUInt32LE(term, i * 4);
    this.writer.frame(WELCOME, 0, { number: VERSION, body });
  }

  #dispatch({ kind, request, rest }: Frame): void {
    if (kind === OPEN_QUEUE) this.#openQueue(request, rest.toString());
    else if (kind === OPEN_MUTEX) this.#openMutex(request, rest.toString());
    else if (kind === CANCEL) this.#waiting.get(request)?.abort(new Cancelled());
    else this.#askObject({ kind, request, rest });
  }

  #askObject({ kind, request, rest }: Frame): void {
    if (rest.length < 2) throw new ProtocolError(`a frame of kind ${kind} names no object`);
    const object = this.#objects[rest.readUInt16LE(0)];
    if (!object) throw new ProtocolError(`object ${rest.readUInt16LE(0)} was not opened`);
    if (object instanceof GuestQueue) this.#askQueue(object, kind, request, rest);
    else askMutex(object, kind, request);
  }

  #askQueue(object: GuestQueue, kind: number, request: number, rest: Buffer): void {
    const { queue } = object.served;
    if (kind === PUT) object.put(request, rest);
    else if (kind === GET) object.get(request, wordOf(rest));
    else if (kind === DONE_WITH) object.doneWith(request, tagsOf(rest));
    else if (kind === GIVE_BACK) object.takeBack(request, tagsOf(rest));
    else if (kind === SIZE) this.writer.frame(ANSWER, request, { word: queue.size });
    else if (kind === JOIN) {
      const joined = queue.joinAsync({ signal: this.signalFor(request) });
      this.settle(request, joined, () => this.writer.frame(ANSWER, request));
    } else if (kind === CLOSE) {
      queue.close();
      this.writer.frame(ANSWER, request);
    } else throw new ProtocolError(`a frame of kind ${kind} is not for a queue`);
  }

  #openQueue(request: number, name: string): void {
    const served = this.#host.queues.get(name);
    if (!served) throw unknown('queue', name, this.#host.queues);
    const object = new GuestQueue(served, this, this.#host.unacknowledged, this.#host.tag);
    const body = Buffer.from(served.codec.name);
    this.writer.frame(ANSWER, request, { number: this.#opened(object), word: served.queue.capacity, body });
  }

  #openMutex(request: number, name: string): void {
    const mutex = this.#host.mutexes.get(name);
    if (!mutex) throw unknown('mutex', name, this.#host.mutexes);
    this.writer.frame(ANSWER, request, { number: this.#opened(new GuestMutex(mutex, this)) });
  }

  #opened(object: GuestQueue | GuestMutex): number {
    if (this.#objects.length === 2 ** 16) throw new ProtocolError('more than 65,536 objects were opened');
    return this.#objects.push(object) - 1;
  }
}

function askMutex(object: GuestMutex, kind: number, request: number): void {
  if (kind === LOCK) object.lock(request);
  else if (kind === UNLOCK) object.unlock(request);
  else if (kind === RECOVER) object.recover(request);
  else if (kind === FORSAKE) object.forsake(request);
  else throw new ProtocolError(`a frame of kind ${kind} is not for a mutex`);
}

function unknown(what: string, name: string, known: ReadonlyMap<string, unknown>): TypeError {
  return new TypeError(
    `name must be that of a served ${what}, one of ${[...known.keys()].map(show)}: got ${show(name)}`,
  );
}

function wordOf(rest: Buffer): number {
  if (rest.length !== 6) throw new ProtocolError('a number is missing');
  return rest.readUInt32LE(2);
}

function tagsOf(rest: Buffer): Buffer {
  if (rest.length % 4 !== 2) throw new ProtocolError('a tag is cut off');
  return rest;
}
