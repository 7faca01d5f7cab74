/**
 * Outlets: where a stage gives its records. They gather in a message, which is sent when it is worth it.
 *
 * How many records that is follows from what they cost: a message should be SLICE of work, for the consumers and for the
 * producer. So records that take long go one by one, and no thread has many of them while another one has none; and those
 * that take little go by the hundred, so that a message costs each of them next to nothing. The first message is one record.
 * Whoever is about to wait for input sends what it has.
 */
import { add, costOf, type Gauge, OUT } from './gauge.ts';
import { type Line, Sender } from './line.ts';
import { countOf, type Numbers, number, Packer } from './message.ts';
import type { Turns } from './turns.ts';

/** A promise where something has to wait in one. */
export type Later = Promise<void> | undefined;

/** Where a stage gives its records. */
export interface Outlet {
  /** Gives a record. Throws CodecError and MessageTooLargeError for that record, and STOPPED. */
  put(value: unknown): Later;
  /** The output for message `sequence` of the input begins. */
  begin(sequence: number): void;
  /** It has ended. */
  end(): Later;
  /** Sends what can be sent without waiting for something else: before a wait. */
  flush(): Later;
  /** Sends the rest, and says that this producer has ended. */
  finish(): Later;
  /** From now on it waits in promises and does not block the thread. */
  patient: boolean;
}

const SLICE = 2; // ms: a message costs two wakes, of 50 us each

/** The outlet of a thread that need not keep to an order. */
export class FreeOutlet implements Outlet {
  readonly #line: Line;
  readonly #packer: Packer;
  readonly #sender: Sender;
  readonly #gauge: Gauge;
  readonly #consumers: Float64Array | undefined;
  readonly #number: (count: number) => Numbers;
  #most = 1;
  #since: number = performance.now();
  #soon: NodeJS.Immediate | undefined;
  #sending: Later;

  /**
   * @param consumers the gauges of the threads behind, if they are threads
   * @param number numbers a message of so many records
   */
  constructor(
    line: Line,
    gauge: Gauge,
    consumers: Float64Array | undefined,
    number: (count: number) => Numbers,
    waited?: (milliseconds: number) => void,
  ) {
    this.#line = line;
    this.#packer = new Packer(line.codec, line.queue.region);
    this.#sender = new Sender(line, waited);
    this.#gauge = gauge;
    this.#consumers = consumers;
    this.#number = number;
  }

  get patient(): boolean {
    return this.#sender.patient;
  }

  set patient(patient: boolean) {
    this.#sender.patient = patient;
  }

  put(value: unknown): Later {
    this.#packer.add(value);
    add(this.#gauge, OUT, 1);
    if (this.#packer.count >= this.#most || this.#packer.bytes >= this.#line.bytes) return this.flush();
    if (this.patient) this.#soon ??= setImmediate(() => this.#flushSoon());
    return this.#sending;
  }

  begin(): void {}

  end(): Later {
    return undefined;
  }

  flush(): Later {
    const { count } = this.#packer;
    if (count === 0) return this.#sending;
    const message = this.#packer.take();
    number(message, this.#number(count));
    this.#adapt(count);
    const later = this.#sender.send(message);
    if (later) this.#sending = later.finally(() => this.#sent());
    else this.#since = performance.now();
    return this.#sending;
  }

  finish(): Later {
    clearImmediate(this.#soon);
    const later = this.flush();
    if (later) return later.then(() => this.#sender.end());
    this.#sender.end();
    return undefined;
  }

  #sent(): void {
    this.#sending = undefined;
    this.#since = performance.now();
  }

  /** In the next turn of the event loop: what came in this one goes together. */
  #flushSoon(): void {
    this.#soon = undefined;
    try {
      this.flush()?.catch(() => {}); // whoever puts or finishes next gets the same promise, or fails in the same way
    } catch {
      // as said
    }
  }

  #adapt(count: number): void {
    const own = (performance.now() - this.#since) / count;
    this.#most = mostRecords(this.#line, own, this.#consumers);
  }
}

/** How many records a message shall have. */
function mostRecords({ records }: Line, own: number, consumers: Float64Array | undefined): number {
  const theirs = consumers ? costOf(consumers) : own;
  if (theirs === 0) return 1;
  return Math.max(1, Math.min(records, Math.floor(SLICE / Math.max(own, theirs, 1e-9))));
}

/** Messages that wait for their turn in one thread, besides the one at work. */
const HELD = 8;

/** What came out for one message of the input. */
interface Held {
  readonly sequence: number;
  readonly parts: Buffer[];
}

/** The outlet of one of several threads that keep the order of their input: see turns.ts. */
export class OrderedOutlet implements Outlet {
  readonly #line: Line;
  readonly #packer: Packer;
  readonly #sender: Sender;
  readonly #gauge: Gauge;
  readonly #turns: Turns;
  readonly #held: Held[] = [];
  #current: Held = { sequence: -1, parts: [] };

  constructor(line: Line, gauge: Gauge, turns: Turns, waited?: (milliseconds: number) => void) {
    this.#line = line;
    this.#packer = new Packer(line.codec, line.queue.region);
    this.#sender = new Sender(line, waited);
    this.#gauge = gauge;
    this.#turns = turns;
  }

  get patient(): boolean {
    return this.#sender.patient;
  }

  set patient(patient: boolean) {
    this.#sender.patient = patient;
  }

  put(value: unknown): Later {
    this.#packer.add(value);
    add(this.#gauge, OUT, 1);
    const isFull = this.#packer.count >= this.#line.records || this.#packer.bytes >= this.#line.bytes;
    if (!isFull) return undefined;
    this.#cut();
    return this.#inTurn(true);
  }

  begin(sequence: number): void {
    this.#current = { sequence, parts: [] };
  }

  end(): Later {
    if (this.#packer.count > 0) this.#cut();
    this.#held.push(this.#current);
    return this.#release(this.#held.length > HELD);
  }

  flush(): Later {
    return this.#release(true);
  }

  finish(): Later {
    const later = this.flush();
    if (later) return later.then(() => this.#sender.end());
    this.#sender.end();
    return undefined;
  }

  #cut(): void {
    this.#current.parts.push(Buffer.from(this.#packer.take()));
  }

  /** Sends the parts of the message at work, which is too long to be held. */
  #inTurn(mayWait: boolean): Later {
    const before = this.#release(mayWait);
    if (before) return before.then(() => this.#inTurn(mayWait));
    const { sequence, parts } = this.#current;
    if (!this.patient) {
      this.#turns.wait(sequence);
      return this.#send(parts);
    }
    return this.#turns.waitAsync(sequence).then(() => this.#send(parts));
  }

  /** Sends what is held as far as its turn has come; all of it if it may wait for that. */
  #release(mayWait: boolean): Later {
    for (let next = this.#held[0]; next; next = this.#held[0]) {
      const { sequence } = next;
      if (!this.#turns.is(sequence)) {
        if (!mayWait) return undefined;
        if (this.patient) return this.#turns.waitAsync(sequence).then(() => this.#release(mayWait));
        this.#turns.wait(sequence);
      }
      const later = this.#send(next.parts);
      if (later) return later.then(() => this.#passed()).then(() => this.#release(mayWait));
      this.#passed();
    }
    return undefined;
  }

  #passed(): void {
    this.#held.shift();
    this.#turns.pass();
  }

  #send(parts: Buffer[]): Later {
    for (let part = parts.shift(); part; part = parts.shift()) {
      number(part, this.#turns.number(countOf(part)));
      const later = this.#sender.send(part);
      if (later) return later.then(() => this.#send(parts));
    }
    return undefined;
  }
}

/** Groups the records for an outlet into arrays. */
export class BatchOutlet implements Outlet {
  readonly #outlet: Outlet;
  readonly #size: number;
  #group: unknown[] = [];

  constructor(outlet: Outlet, size: number) {
    this.#outlet = outlet;
    this.#size = size;
  }

  get patient(): boolean {
    return this.#outlet.patient;
  }

  set patient(patient: boolean) {
    this.#outlet.patient = patient;
  }

  put(value: unknown): Later {
    this.#group.push(value);
    return this.#group.length < this.#size ? undefined : this.#give();
  }

  begin(sequence: number): void {
    this.#outlet.begin(sequence);
  }

  end(): Later {
    return this.#outlet.end();
  }

  flush(): Later {
    return this.#outlet.flush();
  }

  finish(): Later {
    const later = this.#group.length > 0 ? this.#give() : undefined;
    return later ? later.then(() => this.#outlet.finish()) : this.#outlet.finish();
  }

  #give(): Later {
    const group = this.#group;
    this.#group = [];
    return this.#outlet.put(group);
  }
}
