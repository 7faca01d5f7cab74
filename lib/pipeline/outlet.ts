/**
 * Outlets: where a stage gives its records. They gather in a message, which is sent when it is worth it.
 *
 * How many records that is follows from what they cost: a message should be SLICE of work, for the consumers and for the
 * producer. So records that take long go one by one, and no thread has many of them while another one has none; and those
 * that take little go by the hundred, so that a message costs each of them next to nothing. The first message is one record.
 * Whoever is about to wait for input sends what it has.
 */
import { type Chunk, formOf, ownOf } from './form.ts';
import { add, costOf, type Gauge, OUT } from './gauge.ts';
import { type Line, Sender } from './line.ts';
import { countOf, mark, type Numbers, number, Packer } from './message.ts';
import { after, type Later, Tickets } from './tickets.ts';
import type { Turns } from './turns.ts';

/** Where a stage gives its records. */
export interface Outlet {
  /** Gives a record. Throws CodecError and MessageTooLargeError for that record, and STOPPED. */
  put(value: unknown): Later;
  /** The output for message `sequence` of the input begins, which came with that ticket. */
  begin(sequence: number, ticket: number): void;
  /** It has ended. With tickets all of it is sent. */
  end(): Later;
  /** Sends what can be sent without waiting for something else: before a wait. */
  flush(): Later;
  /** Sends the rest, and says that this producer has ended. */
  finish(): Later;
  /** A view to write a record into that is then put, where there can be one. */
  blank(): unknown;
  /** Ends that view. */
  over(): void;
  /** From now on it waits in promises and does not block the thread. */
  patient: boolean;
}

const SLICE = 4; // ms: a message costs two wakes, of 50 us each, and takes a core from whoever is at work there

/** What the outlets of one line have in common. */
abstract class LineOutlet {
  protected readonly line: Line;
  protected readonly packer: Packer;
  protected readonly sender: Sender;
  protected readonly gauge: Gauge;
  protected readonly tickets: Tickets;

  /** @param waited hears of the milliseconds without room */
  constructor(line: Line, gauge: Gauge, waited?: (milliseconds: number) => void) {
    this.line = line;
    this.packer = new Packer(formOf(line, line.queue.region), line.queue.region);
    this.sender = new Sender(line, waited);
    this.gauge = gauge;
    this.tickets = new Tickets(line.reports);
  }

  get patient(): boolean {
    return this.sender.patient;
  }

  set patient(patient: boolean) {
    this.sender.patient = patient;
  }

  blank(): unknown {
    return this.packer.blank();
  }

  over(): void {
    this.packer.over();
  }

  abstract flush(): Later;

  finish(): Later {
    const later = this.flush();
    if (later) return later.then(() => this.sender.end());
    this.sender.end();
    return undefined;
  }
}

/** The outlet of a thread that need not keep to an order. */
export class FreeOutlet extends LineOutlet implements Outlet {
  readonly #consumers: Float64Array | undefined;
  readonly #number: (count: number) => Numbers;
  #ticket = 0;
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
    super(line, gauge, waited);
    this.#consumers = consumers;
    this.#number = number;
  }

  put(value: unknown): Later {
    const { packer } = this;
    packer.add(value);
    add(this.gauge, OUT, 1);
    if (packer.count >= this.#most || packer.isFull(this.line.bytes)) return this.flush();
    if (this.patient) this.#soon ??= setImmediate(() => this.#flushSoon());
    return this.#sending;
  }

  begin(_sequence: number, ticket: number): void {
    this.#ticket = ticket;
  }

  end(): Later {
    if (!this.tickets.used) return undefined;
    const ticket = this.#ticket;
    return after(this.flush(), () => this.tickets.release(ticket, this.patient));
  }

  flush(): Later {
    const { count } = this.packer;
    if (count === 0) return this.#sending;
    const message = this.packer.take();
    number(message, this.#number(count));
    mark(message, this.#ticket);
    this.#adapt(count);
    const later = after(this.tickets.hold(this.#ticket, this.patient), () => this.sender.send(message));
    if (later) this.#sending = later.finally(() => this.#sent());
    else this.#since = performance.now();
    return this.#sending;
  }

  override finish(): Later {
    clearImmediate(this.#soon);
    return super.finish();
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
    this.#most = mostRecords(this.line, own, this.#consumers);
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
  readonly ticket: number;
  readonly parts: Chunk[];
}

/** The outlet of one of several threads that keep the order of their input: see turns.ts. */
export class OrderedOutlet extends LineOutlet implements Outlet {
  readonly #turns: Turns;
  readonly #held: Held[] = [];
  #current: Held = { sequence: -1, ticket: 0, parts: [] };

  constructor(line: Line, gauge: Gauge, turns: Turns, waited?: (milliseconds: number) => void) {
    super(line, gauge, waited);
    this.#turns = turns;
  }

  put(value: unknown): Later {
    const { packer, line } = this;
    packer.add(value);
    add(this.gauge, OUT, 1);
    if (packer.count < line.records && !packer.isFull(line.bytes)) return undefined;
    this.#cut();
    return this.#inTurn(true);
  }

  begin(sequence: number, ticket: number): void {
    this.#current = { sequence, ticket, parts: [] };
  }

  end(): Later {
    if (this.packer.count > 0) this.#cut();
    this.#held.push(this.#current);
    return this.#release(this.#held.length > HELD);
  }

  flush(): Later {
    return this.#release(true);
  }

  #cut(): void {
    this.#current.parts.push(this.packer.take());
  }

  /** Sends the parts of the message at work, which is too long to be held. */
  #inTurn(mayWait: boolean): Later {
    const before = this.#release(mayWait);
    if (before) return before.then(() => this.#inTurn(mayWait));
    const current = this.#current;
    if (!this.patient) {
      this.#turns.wait(current.sequence);
      return this.#send(current);
    }
    return this.#turns.waitAsync(current.sequence).then(() => this.#send(current));
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
      const later = after(this.#send(next), () => this.#passed(next));
      if (later) return later.then(() => this.#release(mayWait));
    }
    return undefined;
  }

  #passed({ ticket }: Held): Later {
    this.#held.shift();
    this.#turns.pass();
    return this.tickets.release(ticket, this.patient);
  }

  #send(held: Held): Later {
    const { ticket, parts } = held;
    for (let part = parts.shift(); part; part = parts.shift()) {
      const message = part;
      number(message, this.#turns.number(countOf(message)));
      mark(message, ticket);
      const later = after(this.tickets.hold(ticket, this.patient), () => this.sender.send(message));
      if (later) return later.then(() => this.#send(held));
    }
    return undefined;
  }
}

/** Groups the records for an outlet into arrays. */
export class BatchOutlet implements Outlet {
  readonly #outlet: Outlet;
  readonly #size: number;
  readonly #tickets: Tickets;
  #ticket = 0;
  #group: unknown[] = [];
  /** The tickets of the group, which holds them. */
  #held: number[] = [];

  constructor(outlet: Outlet, size: number, tickets: Tickets) {
    this.#outlet = outlet;
    this.#size = size;
    this.#tickets = tickets;
  }

  get patient(): boolean {
    return this.#outlet.patient;
  }

  set patient(patient: boolean) {
    this.#outlet.patient = patient;
  }

  put(value: unknown): Later {
    this.#group.push(ownOf(value));
    return after(this.#hold(), () => (this.#group.length < this.#size ? undefined : this.#give()));
  }

  blank(): undefined {}

  over(): void {}

  begin(sequence: number, ticket: number): void {
    this.#ticket = ticket;
    this.#outlet.begin(sequence, ticket);
  }

  end(): Later {
    return this.#outlet.end();
  }

  flush(): Later {
    return this.#outlet.flush();
  }

  finish(): Later {
    const later = this.#group.length > 0 ? this.#giveLast() : undefined;
    return after(later, () => this.#outlet.finish());
  }

  #hold(): Later {
    if (!this.#tickets.used || this.#held.at(-1) === this.#ticket) return undefined;
    this.#held.push(this.#ticket);
    return this.#tickets.hold(this.#ticket, this.patient);
  }

  /** The ticket of the group is that of the message at work, which is held anyway. */
  #give(): Later {
    const group = this.#group;
    this.#group = [];
    const last = this.#held.pop() ?? 0;
    const lead = after(this.#follow(last), () => this.#tickets.release(last, this.patient));
    return after(lead, () => this.#outlet.put(group));
  }

  /** No message is at work any more: the group's own hold is given up when it was sent. */
  #giveLast(): Later {
    const group = this.#group;
    const last = this.#held.pop() ?? 0;
    this.#outlet.begin(0, last);
    const given = after(this.#follow(last), () => this.#outlet.put(group));
    return after(given, () => this.#outlet.end());
  }

  #follow(lead: number): Later {
    const ticket = this.#held.shift();
    if (ticket === undefined) return undefined;
    return after(this.#tickets.follow(ticket, lead, this.patient), () => this.#follow(lead));
  }
}
