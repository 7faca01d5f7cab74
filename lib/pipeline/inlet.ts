import { type Chunk, type Form, formOf } from './form.ts';
import { type Line, Receiver } from './line.ts';
import { Message } from './message.ts';
import { type Later, Tickets } from './tickets.ts';

/** Where a stage takes its records. */
export class Inlet {
  readonly #receiver: Receiver;
  readonly #form: Form;
  readonly #views: boolean;
  readonly #tickets: Tickets;

  /** @param views whether records are lent as views, where they can be */
  constructor(line: Line, views: boolean) {
    this.#views = views;
    this.#receiver = new Receiver(line);
    this.#form = formOf(line, line.queue.region);
    this.#tickets = new Tickets(line.reports);
  }

  /** Whether it waits in promises and does not block the thread. */
  get patient(): boolean {
    return this.#receiver.patient;
  }

  set patient(patient: boolean) {
    this.#receiver.patient = patient;
  }

  /** A message that is there now. Throws STOPPED. */
  tryTake(): Message | undefined {
    return this.#read(this.#receiver.tryTake());
  }

  /** The next message, or nothing after the last one; blocks. Throws STOPPED. */
  takeNow(): Message | undefined {
    return this.#read(this.#receiver.takeNow());
  }

  /** The next message, or nothing after the last one; blocks, or waits in the promise. Throws STOPPED. */
  async take(): Promise<Message | undefined> {
    return this.#read(await this.#receiver.take());
  }

  /** Says that the sink has accepted a message. Throws STOPPED. */
  accept({ ticket }: Message): Later {
    return this.#tickets.release(ticket, this.patient);
  }

  #read(chunk: Chunk | undefined): Message | undefined {
    return chunk && new Message(chunk, this.#form, this.#views);
  }
}
