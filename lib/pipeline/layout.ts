/** What the threads of a pipeline share: the lines between its nodes, their gauges and their turns, made before any of them starts. */
import type { AsyncQueue } from '../bridge/faces.ts';
import type { SharedObject } from '../memory/handles.ts';
import type { Region } from '../memory/region.ts';
import type { Failure } from '../pool/failure.ts';
import { Queue } from '../queue/queue.ts';
import { Event } from '../sync/event.ts';
import { Mutex } from '../sync/mutex.ts';
import { Value } from '../sync/value.ts';
import type { Chunk } from './form.ts';
import { type Gauges, newGauges } from './gauge.ts';
import type { Line, Report } from './line.ts';
import { messages } from './message.ts';
import type { Output } from './output.ts';
import type { Node, Plan, SinkNode, SourceNode } from './plan.ts';
import type { Conduct } from './stage.ts';
import { type Terms, termsOf } from './supply.ts';
import { reports } from './tickets.ts';
import { newTurns, type TurnWords } from './turns.ts';

const MESSAGE_BYTES = 32 * 1024 - 16; // with its block's header 32 KiB
const MOST_RECORDS = 1024; // of a message
const MESSAGES = 8; // at least so many in a line, and two for each consumer, so that none waits for another's
const FAILURES = 64;
const REPORTS = 1024;

/** A node with what its threads share. */
export interface Laid {
  readonly node: Node;
  readonly gauges: Gauges;
  readonly conduct: Conduct;
  /** Where it takes, but for the source. */
  readonly input: Line | undefined;
  /** Where it gives, but for the sink. */
  readonly output: Output | undefined;
}

export class Layout {
  readonly stopped: Event;
  readonly failures: Queue<Failure>;
  readonly laid: Laid[] = [];
  readonly turns: TurnWords[] = [];
  readonly lines: Line[] = [];
  /** Of a source that is a queue: how much of it may be in hand, and where it is said what became of that. */
  readonly terms: Terms | undefined;
  readonly reports: Queue<Report> | undefined;
  readonly #region: Region;
  readonly #owned: SharedObject[] = [];

  /** Throws RegionFullError, and RangeError for batches that could never be full; leaves nothing behind. */
  constructor({ region, name, source, stages, inFlight }: Plan, sink: SinkNode) {
    this.#region = region;
    const queue = queueOf(source);
    this.terms =
      queue &&
      termsOf(
        queue,
        inFlight,
        [source, ...stages].map(({ batch }) => batch),
      );
    try {
      this.stopped = this.#own(new Event({ region, name: `${name} stopped` }));
      this.failures = this.#own(new Queue<Failure>({ region, capacity: FAILURES, name: `${name} failures` }));
      if (queue) {
        this.reports = this.#own(
          new Queue<Report>({ region, capacity: REPORTS, codec: reports, name: `${name} tickets` }),
        );
      }
      this.#lay([source, ...stages, sink]);
    } catch (error) {
      this.free();
      throw error;
    }
  }

  /** When all its threads are gone. */
  free(): void {
    for (const object of this.#owned.splice(0).reverse()) object.free();
  }

  #lay(nodes: readonly Node[]): void {
    const gauges = nodes.map(({ threads }) => newGauges(threads));
    let input: Line | undefined;
    let isOrdered = true;
    for (const [at, node] of nodes.entries()) {
      const next = nodes[at + 1];
      isOrdered &&= node.threads === 1 || node.ordered;
      const output = next && this.#outputOf(node, next, isThread(next) ? gauges[at + 1]?.words : undefined, isOrdered);
      const { name, errors, retries, views, timeout } = node;
      const conduct = {
        name,
        errors,
        retries,
        views,
        timed: timeout < Number.POSITIVE_INFINITY,
        failures: this.failures,
      };
      this.laid.push({ node, gauges: gauges[at] as Gauges, conduct, input, output });
      input = output?.line;
    }
  }

  #outputOf(node: Node, next: Node, consumers: Float64Array | undefined, isOrdered: boolean): Output {
    const line = this.#lineBetween(node, next);
    const several = node.threads > 1;
    const region = this.#region;
    const turns = several && isOrdered ? this.#newTurns(node) : undefined;
    const given = several && !isOrdered ? this.#own(new Value({ region, type: 'f64' })) : undefined;
    return { line, consumers, turns, given, batch: node.batch };
  }

  #lineBetween({ name, capacity, codec: records, groups, threads }: Node, next: Node): Line {
    const region = this.#region;
    const most = Math.max(1, Math.min(MOST_RECORDS, Math.floor(capacity / Math.max(MESSAGES, 2 * next.threads))));

    const queue = new Queue<Chunk>({
      region,
      name: `behind ${name}`,
      capacity: Math.max(1, Math.floor(capacity / most) - threads), // each thread that waits for room has one in its hand
      codec: messages,
      blockBytes: MESSAGE_BYTES,
    });
    this.#own(queue);
    const producers = this.#own(new Value({ region, type: 'i32', initial: threads }));
    const line: Line = {
      queue,
      producers,
      stopped: this.stopped,
      codec: records,
      groups,
      consumers: next.threads,
      records: most,
      bytes: MESSAGE_BYTES,
      reports: this.reports,
    };
    this.lines.push(line);
    return line;
  }

  #newTurns({ name }: Node): TurnWords {
    const turns = newTurns(this.#own(new Mutex({ region: this.#region, name: `turns of ${name}` })));
    this.#own(turns.changed);
    this.turns.push(turns);
    return turns;
  }

  #own<O extends SharedObject>(object: O): O {
    this.#owned.push(object);
    return object;
  }
}

function queueOf({ from }: SourceNode): AsyncQueue | undefined {
  if ('remote' in from) return from.remote;
  return 'thread' in from && from.thread instanceof Queue ? from.thread : undefined;
}

function isThread(node: Node): boolean {
  return 'kind' in node || ('into' in node && 'thread' in (node as SinkNode).into);
}
