import type { Readable, Writable } from 'node:stream';
import type { AsyncQueue } from '../bridge/faces.ts';
import type { Region } from '../memory/region.ts';
import type { Known } from '../queue/known.ts';
import type { Queue } from '../queue/queue.ts';
import type { ErrorPolicy, Stage } from './stage.ts';
import type { StepKind } from './steps.ts';
import type { Exported } from './thread.ts';

// What a pipeline shall do, before anything of it runs.

/** A node of the pipeline: the source, a stage or the sink. */
export interface Node {
  readonly name: string;
  readonly threads: number;
  readonly ordered: boolean;
  readonly errors: ErrorPolicy;
  readonly retries: number;
  /** Whether its function gets views. */
  readonly views: boolean;
  /** Milliseconds for a record, or Infinity. */
  readonly timeout: number;
  /** Records that may wait behind it. */
  readonly capacity: number;
  /** How they are encoded. */
  readonly codec: Known;
  /** What it gives is grouped by so many; 0 for not. */
  readonly batch: number;
  /** How deep the records that it gives lie in arrays that `batch` made. */
  readonly groups: number;
}

export interface StageNode extends Node {
  readonly kind: StepKind;
  readonly call: Exported | undefined;
}

/** Records come from a thread, or from something in this one. */
export interface SourceNode extends Node {
  readonly from:
    | { readonly thread: (Exported & { readonly args: readonly unknown[] }) | Queue }
    | { readonly remote: AsyncQueue }
    | { readonly here: Iterable<unknown> | AsyncIterable<unknown> };
}

/** Records go into a thread, or into something in this one. */
export interface SinkNode extends Node {
  readonly into:
    | {
        readonly thread: ({ readonly kind: 'forEach' | 'reduce' | 'to'; readonly initial: unknown } & Exported) | Queue;
      }
    | { readonly remote: AsyncQueue }
    | { readonly fold: { readonly step: Parameters<Stage['run']>[0]; result(): unknown } }
    | { readonly stream: Writable | WritableStream; readonly end: boolean }
    | { readonly loop: true };
}

export interface Plan {
  readonly region: Region;
  readonly name: string;
  readonly source: SourceNode;
  readonly stages: readonly StageNode[];
  /** Items of a queue that is the source which may be taken and not acknowledged. */
  readonly inFlight: number;
  readonly signal: AbortSignal | undefined;
  /** Milliseconds that a stopped thread has before it is terminated. */
  readonly grace: number;
}

export type StreamSource = Readable | ReadableStream;
