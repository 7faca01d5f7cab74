/**
 * What is explored of the pipe: what one end sends, the other receives, all of it and in order, and then learns of the end.
 *
 * Items are ten times the sender's slot + 1, and a count.
 */
import './one-core.ts';
import {
  KIND_PIPE,
  KIND_QUEUE,
  PIPE_BYTES,
  PIPE_INBOX,
  PIPE_INBOX_SERIAL,
  PIPE_OUTBOX,
  PIPE_OUTBOX_SERIAL,
  PIPE_OVER,
  PIPE_OWNER,
  PIPE_UNUSED,
  QUEUE_CODEC,
  THREAD_MAIL,
} from '../../../lib/kernel/layout.ts';
import { ClosedError, NotOwnerError, TimeoutError } from '../../../lib/memory/errors.ts';
import { codec } from '../../../lib/queue/codec.ts';
import { knownAs } from '../../../lib/queue/known.ts';
import { type Cast, Failure, type Machine, type Scenario } from './machine.ts';
import type { Protocol } from './programs.ts';
import { Ring, SERIAL } from './rings.ts';
import { Scene, type Stage } from './stage.ts';
import { ASLEEP, type VirtualThread } from './thread.ts';

/** What a thread does with its end; `or late` has a deadline that may end at any step. */
export type PipeAct = 'send' | 'send, or late' | 'recv' | 'recv, or late' | 'close';

interface PipeScenario {
  /** What each thread does, one after another. The first uses one end, all others the other one. */
  readonly acts: readonly (readonly PipeAct[])[];
  readonly capacity?: number;
  readonly position?: number;
  readonly kills?: number;
  readonly timeouts?: number;
  readonly protocol?: Protocol;
}

interface Pipe {
  readonly ends: readonly [number, number];
  /** Into the first end, and into the second. */
  readonly ways: readonly [Ring, Ring];
}

export function pipeScenario(name: string, options: PipeScenario): Scenario {
  const { kills = 0, timeouts = 0 } = options;
  return { name, kills, timeouts, setup: (machine) => castOf(machine, options) };
}

function castOf(machine: Machine, options: PipeScenario): Cast {
  const { acts, protocol } = options;
  const taking = { ringGet: (stage: Stage) => stage.keep(machine.ground.record(stage.slot) + THREAD_MAIL) };
  const scene = new Scene(machine, { threads: acts.length, taking, protocol });
  const pipe = layOut(scene, machine, options);
  return {
    programs: acts.map((mine, slot) => {
      const end = pipe.ends[Math.min(slot, 1)] as number;
      const parts = mine.map((act, count) => (stage: Stage) => does(stage, end, act, 10 * (slot + 1) + count));
      return () => scene.play(slot, ...parts);
    }),
    repair: scene.burial,
    invariant: () => {
      for (const way of pipe.ways) way.invariant();
    },
    maySleep: (thread) => isVainFor(machine, pipe, thread),
    final: () => checkEnd(machine, pipe),
  };
}

function layOut(scene: Scene, machine: Machine, { capacity = 1, position = 0 }: PipeScenario): Pipe {
  const { ground } = machine;
  const newWay = (): Ring => {
    const ring = new Ring(machine, { capacity, position });
    ground.set(ring.at + QUEUE_CODEC, knownAs(codec.i32).number);
    scene.knows(ring.at, KIND_QUEUE);
    return ring;
  };
  const ways = [newWay(), newWay()] as const;
  const newEnd = (inbox: Ring, outbox: Ring): number => {
    const end = scene.object(KIND_PIPE, PIPE_BYTES);
    ground.set(end + PIPE_INBOX, inbox.at);
    ground.set(end + PIPE_INBOX_SERIAL, SERIAL);
    ground.set(end + PIPE_OUTBOX, outbox.at);
    ground.set(end + PIPE_OUTBOX_SERIAL, SERIAL);
    ground.constant(end + PIPE_INBOX, PIPE_BYTES - PIPE_INBOX);
    ground.name({ name: 'owner of an end', at: end + PIPE_OWNER, bytes: 4 });
    return end;
  };
  return { ends: [newEnd(ways[0], ways[1]), newEnd(ways[1], ways[0])], ways };
}

function does(stage: Stage, at: number, act: PipeAct, item: number): void {
  const end = new stage.classes.Connection<number>(stage.at(at));
  if (act === 'close') {
    if (!stage.tries(() => end.close(), NotOwnerError)) stage.note('closed', 0);
    return;
  }
  const options = act.endsWith('late') ? { timeout: 1 } : undefined;
  let got = 0;
  const run = () =>
    stage.tries<Error>(
      () => {
        if (act.startsWith('send')) end.send(item, options);
        else got = end.recv(options);
      },
      ClosedError,
      NotOwnerError,
      TimeoutError,
    );
  const failed = options ? stage.timed(run) : run();
  if (failed instanceof NotOwnerError) stage.note('refused', 0);
  else if (failed instanceof ClosedError) stage.note(act.startsWith('send') ? 'not sent' : 'ended', 0);
  else if (!failed) stage.note(act.startsWith('send') ? 'sent' : 'got', got || item);
}

const has = ({ said }: VirtualThread, what: string): boolean => said.some((note) => note.what === what);

/** Nobody has closed the other end, and its thread lives or has not used it. */
function isVainFor({ ground, dead, solo }: Machine, { ends, ways }: Pipe, { slot }: VirtualThread): boolean {
  const mine = Math.min(slot, 1);
  const other = ground.get((ends[1 - mine] as number) + PIPE_OWNER);
  if (other === PIPE_OVER || (dead && other === dead.slot + 1)) return false;
  const [inbox, outbox] = [ways[mine], ways[1 - mine]] as [Ring, Ring];
  const waits = (set: number): boolean => solo('isRegistered', set, slot) !== 0;
  if (waits(inbox.getters))
    return solo('ringReadable', inbox.at) === 0 && (dead !== undefined || other === PIPE_UNUSED);
  return waits(outbox.putters) && solo('ringWritable', outbox.at) === 0 && dead !== undefined;
}

function checkEnd(machine: Machine, { ends, ways }: Pipe): void {
  const { threads, ground, dead } = machine;
  for (const way of ways) {
    const sets = threads.every(({ state }) => state !== ASLEEP) ? way.sets : [];
    if (sets.some((set) => ground.get(set) !== 0)) throw new Failure('somebody is left in a wait set');
  }
  for (const mine of [0, 1] as const) {
    const users = threads.filter(({ slot, said }) => Math.min(slot, 1) === mine && said.length > 0);
    const owners = users.filter((thread) => has(thread, 'sent') || has(thread, 'got'));
    if (owners.length > 1) throw new Failure(`threads ${owners.map(({ slot }) => slot)} have used the same end`);
    const isOver = ground.get(ends[mine] + PIPE_OWNER) === PIPE_OVER;
    if (owners.some((owner) => has(owner, 'closed')) && !isOver)
      throw new Failure('an end that was closed is not over');
    if (dead && ground.get(ends[mine] + PIPE_OWNER) === dead.slot + 1) throw new Failure('the end of the dead is his');
    checkItems(machine, ways[mine], mine);
  }
}

/** Into that end: what was sent came out, but for what its thread did not receive, and all of it before the end. */
function checkItems({ threads, dead }: Machine, way: Ring, mine: 0 | 1): void {
  const isMine = ({ slot }: VirtualThread): boolean => Math.min(slot, 1) === mine;
  const numbers = (some: readonly VirtualThread[], what: string): number[] =>
    some.flatMap(({ said }) => said.filter((note) => note.what === what).map(({ value }) => value));
  const senders = threads.filter((thread) => !isMine(thread));
  const receivers = threads.filter(isMine);
  const sent = numbers(senders, 'sent');
  const got = numbers(receivers, 'got');
  const rest = way.drain();
  const out = [...got, ...rest];
  const inHand = dead && isMine(dead) ? 1 : 0; // taken by the dead, who could not say so
  const perhaps = dead && !isMine(dead) ? 1 : 0; // sent by it
  const show = `sent ${sent}; got ${got}; left ${rest}`;
  const lost = sent.filter((item) => !out.includes(item)).length;
  if (lost > inHand) throw new Failure(`an item is lost: ${show}`);
  if (out.filter((item) => !sent.includes(item)).length > perhaps) throw new Failure(`nobody has sent that: ${show}`);
  if (out.some((item, i) => i > 0 && item <= (out[i - 1] as number))) throw new Failure(`the order is wrong: ${show}`);
  const isClosed = receivers.some((thread) => thread === dead || has(thread, 'closed'));
  if (rest.length > 0 && !isClosed && receivers.some((thread) => has(thread, 'ended')))
    throw new Failure(`it ended too early: ${show}`);
  for (const { said } of receivers) {
    const closed = said.findIndex(({ what }) => what === 'closed');
    if (closed >= 0 && said.slice(closed).some(({ what }) => what === 'got'))
      throw new Failure(`something was received after the end was closed: ${show}`);
  }
}
