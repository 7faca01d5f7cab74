export type { AsyncMutex, AsyncQueue, RemoteQueue, Task } from './bridge/faces.ts';
export {
  BrokenBarrierError,
  ClosedError,
  CodecError,
  DeadlockError,
  InvalidHandleError,
  MessageTooLargeError,
  NotOwnerError,
  OwnerDiedError,
  RegionFullError,
  RingfenceError,
  StageError,
  TaskError,
  ThreadDiedError,
  TimeoutError,
  TooManyThreadsError,
} from './memory/errors.ts';
export { attach, type Shared, SharedObject, type SharedObjectOptions, share } from './memory/handles.ts';
export { type Death, Region, type RegionOptions, supervise, type TypedArrayConstructor } from './memory/region.ts';
export {
  formatSnapshot,
  type LockSnapshot,
  type ObjectSnapshot,
  type PoolSnapshot,
  type QueueSnapshot,
  type RegionSnapshot,
  type ThreadSnapshot,
  type WaitSnapshot,
} from './memory/snapshot.ts';
export type { AsyncWaitOptions, WaitOptions } from './memory/wait.ts';
export type { LineOptions, PipelineOptions, SinkOptions, StageOptions, WorkerModule } from './pipeline/options.ts';
export {
  Pipeline,
  type PipelineSink,
  type PipelineSource,
  pipeline,
  type ThreadFunction,
} from './pipeline/pipeline.ts';
export { type ProgressOptions, showProgress } from './pipeline/progress.ts';
export type { ErrorPolicy } from './pipeline/stage.ts';
export type { PipelineStats, StageStats } from './pipeline/stats.ts';
export { Pool } from './pool/pool.ts';
export { taskSignal } from './pool/signal.ts';
export { Thread } from './pool/thread.ts';
export { Broadcast, type BroadcastOptions } from './queue/broadcast.ts';
export { type Codec, codec, type Definition } from './queue/codec.ts';
export type { QueueOptions } from './queue/create.ts';
export type { CommitOptions, Received, Reservation } from './queue/loans.ts';
export type { NumberArray } from './queue/payload.ts';
export { Connection, type PipeOptions, pipe } from './queue/pipe.ts';
export { Queue } from './queue/queue.ts';
export { type Selected, type Source, select, selectAsync } from './queue/select.ts';
export type { QueueWritableOptions } from './queue/streams.ts';
export type { Field, FieldValue, RecordOf, Struct, View } from './queue/struct.ts';
export { Subscription } from './queue/subscription.ts';
export { Barrier, type BarrierOptions } from './sync/barrier.ts';
export { Condition, type ConditionOptions } from './sync/condition.ts';
export { Event } from './sync/event.ts';
export { Latch, type LatchOptions } from './sync/latch.ts';
export type { LockFace } from './sync/locked.ts';
export { Mutex } from './sync/mutex.ts';
export { RLock } from './sync/rlock.ts';
export { RwLock } from './sync/rwlock.ts';
export { type Permit, Semaphore, type SemaphoreOptions } from './sync/semaphore.ts';
export { type Scalar, Value, type ValueOptions, type ValueType } from './sync/value.ts';
