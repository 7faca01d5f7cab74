/**
 * Guest: one client of a server, from its greeting to its end. Whatever it sends that is no frame of this protocol ends its
 * connection, with the reason, and touches nothing.
 */
import type { Socket } from 'node:net';
import { show } from '../memory/errors.ts';
import type { Mutex } from '../sync/mutex.ts';
import { describe } from './accord.ts';
import { Answers } from './answers.ts';
import {
  CANCEL,
  CLOSE,
  DONE_WITH,
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
  PUT_EACH,
  RECOVER,
  REFUSED,
  SIZE,
  type Terms,
  UNLOCK,
  VERSION,
  WELCOME,
} from './frame.ts';
import { GuestMutex } from './guest-mutex.ts';
import { GuestQueue } from './guest-queue.ts';
import { Inbox } from './inbox.ts';
import type { ServedQueue } from './served.ts';

const FAREWELL_TIME = 1000; // ms for a client that is refused to read why
const MOST_OBJECTS = 2 ** 16;
/** So much comes at once only if more is there; its sender can go on while that is looked at. */
const WHOLE_CHUNK = 64 * 1024; // bytes: what libuv reads at a time

/** What a server has to offer. */
export interface Host {
  readonly queues: ReadonlyMap<string, ServedQueue>;
  readonly mutexes: ReadonlyMap<string, Mutex>;
  readonly terms: Terms;
  /** Items that a client may hold of one queue without an acknowledgement. */
  readonly unacknowledged: number;
  /** The first tag, for the specs of the wrap. */
  readonly tag: number;
  /** How long a client may take for its first frame, in ms. */
  readonly greetingTime: number;
}

export class Guest {
  /** Resolves when it is gone. */
  readonly left: Promise<void>;
  readonly #socket: Socket;
  readonly #host: Host;
  readonly #writer: FrameWriter;
  readonly #answers: Answers;
  readonly #objects: (GuestQueue | GuestMutex)[] = [];
  readonly #inboxes = new Map<ServedQueue, Inbox<unknown>>(); // one a queue, so that all calls of the client keep their order
  #isGreeted = false;

  constructor(socket: Socket, host: Host) {
    this.#socket = socket;
    this.#host = host;
    this.#writer = new FrameWriter(socket);
    this.#answers = new Answers(this.#writer, host.terms);
    const timer = setTimeout(() => this.refuse('no greeting came'), host.greetingTime).unref();
    const reader = new FrameReader((frame) => {
      this.#handle(frame);
      if (!this.#isGreeted) return;
      clearTimeout(timer);
      reader.limit = host.terms.frameBytes;
    });
    socket.on('data', (chunk) => {
      if (this.#answers.gone) return;
      try {
        reader.push(chunk);
      } catch (error) {
        if (!(error instanceof ProtocolError)) throw error;
        this.refuse(error.message);
      }
      if (chunk.length >= WHOLE_CHUNK) this.#writer.flush();
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
    if (this.#answers.gone) return;
    this.#leave();
    this.#writer.frame(REFUSED, 0, { body: Buffer.from(reason) });
    this.#writer.flush();
    this.#socket.end();
    this.#socket.resume(); // what still comes is thrown away
    setTimeout(() => this.#socket.destroy(), FAREWELL_TIME).unref();
  }

  #leave(): void {
    if (this.#answers.gone) return;
    this.#answers.leave();
    for (const object of this.#objects) object.leave();
  }

  #handle(frame: Frame): void {
    if (this.#answers.gone) return;
    try {
      if (this.#isGreeted) this.#dispatch(frame);
      else this.#greet(frame);
    } catch (error) {
      if (error instanceof ProtocolError) throw error;
      this.#answers.fail(frame.request, error);
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
    const { frameBytes, windowItems, windowBytes } = this.#host.terms;
    const body = Buffer.alloc(12);
    for (const [i, term] of [frameBytes, windowItems, windowBytes].entries()) body.writeUInt32LE(term, i * 4);
    this.#writer.frame(WELCOME, 0, { word: VERSION, body });
  }

  #dispatch(frame: Frame): void {
    const { kind, request, rest } = frame;
    if (kind === OPEN_QUEUE) this.#openQueue(request, rest.toString());
    else if (kind === OPEN_MUTEX) this.#openMutex(request, rest.toString());
    else if (kind === CANCEL) this.#answers.cancel(request);
    else {
      const object = this.#objects[frame.object];
      if (!object) throw new ProtocolError(`object ${frame.object} was not opened`);
      if (object instanceof GuestQueue) this.#askQueue(object, frame);
      else askMutex(object, kind, request);
    }
  }

  #askQueue(object: GuestQueue, { kind, request, rest }: Frame): void {
    const { queue } = object.served;
    if (kind === PUT || kind === PUT_EACH) object.put(request, rest, kind === PUT_EACH);
    else if (kind === GET) object.get(request, wordOf(rest));
    else if (kind === DONE_WITH) object.doneWith(request, tagsOf(rest));
    else if (kind === GIVE_BACK) object.takeBack(request, tagsOf(rest));
    else if (kind === SIZE) this.#answers.answer(request, { word: queue.size });
    else if (kind === JOIN) {
      const join = (signal: AbortSignal) => queue.joinAsync({ signal });
      this.#answers.wait(request, join, () => this.#answers.answer(request));
    } else if (kind === CLOSE) {
      queue.close();
      this.#answers.answer(request);
    } else throw new ProtocolError(`a frame of kind ${kind} is not for a queue`);
  }

  #openQueue(request: number, name: string): void {
    const served = this.#host.queues.get(name);
    if (!served) throw unknown('queue', name, this.#host.queues);
    const inbox = this.#inboxes.get(served) ?? new Inbox(served, this.#answers);
    this.#inboxes.set(served, inbox);
    const object = new GuestQueue(served, inbox, this.#answers, this.#host.unacknowledged, this.#host.tag);
    const { capacity, redelivers } = served.queue;
    const mostInHand = redelivers ? Math.min(object.limit, capacity) : object.limit;
    const description = Buffer.from(describe(served.codec));
    const body = Buffer.alloc(8 + description.length);
    description.copy(body, body.writeUInt32LE(mostInHand, body.writeUInt32LE(capacity)));
    this.#answers.answer(request, { word: this.#opened(object), body });
  }

  #openMutex(request: number, name: string): void {
    const mutex = this.#host.mutexes.get(name);
    if (!mutex) throw unknown('mutex', name, this.#host.mutexes);
    this.#answers.answer(request, { word: this.#opened(new GuestMutex(mutex, this.#answers)) });
  }

  #opened(object: GuestQueue | GuestMutex): number {
    if (this.#objects.length === MOST_OBJECTS) throw new ProtocolError('more than 65,536 objects were opened');
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
  if (rest.length !== 4) throw new ProtocolError('a number is missing');
  return rest.readUInt32LE(0);
}

function tagsOf(rest: Buffer): Buffer {
  if (rest.length % 4 !== 0) throw new ProtocolError('a tag is cut off');
  return rest;
}
