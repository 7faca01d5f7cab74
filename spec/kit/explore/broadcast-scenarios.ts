/**
 * What is explored of the broadcast: each subscriber sees each item once, whole and in order, from its subscription on.
 *
 * Items are ten times the publisher's slot + 1, and a count; each is its number twice, so that a torn one is known.
 */
import './one-core.ts';
import {
  BROADCAST_BYTES,
  BROADCAST_CELL_STRIDE,
  BROADCAST_CELLS_AT,
  BROADCAST_CODEC,
  BROADCAST_LIMIT,
  BROADCAST_MAIL_STRIDE,
  BROADCAST_MAILS_AT,
  BROADCAST_MASK,
  BROADCAST_MESSAGE_BYTES,
  BROADCAST_PLACES,
  BROADCAST_PLACES_AT,
  BROADCAST_PUBLISHERS,
  BROADCAST_SEEN,
  BROADCAST_SKIPS,
  BROADCAST_TAIL,
  BROADCAST_USED,
  CELL_DATA,
  CELL_LENGTH,
  CELL_STAMP,
  DONE,
  KIND_BROADCAST,
  KIND_SUBSCRIPTION,
  OBJECT_SERIAL,
  OWNER,
  REGION_SERIAL,
  SUBSCRIBED,
  SUBSCRIBER_SHIFT,
  SUBSCRIPTION_BROADCAST,
  SUBSCRIPTION_BYTES,
  SUBSCRIPTION_CURSOR,
  SUBSCRIPTION_SHIFT,
  SUBSCRIPTION_STATE,
  SUBSCRIPTION_WAITERS,
} from '../../../lib/kernel/layout.ts';
import { ClosedError, InvalidHandleError, TimeoutError } from '../../../lib/memory/errors.ts';
import { codec } from '../../../lib/queue/codec.ts';
import { knownAs } from '../../../lib/queue/known.ts';
import type { Subscription } from '../../../lib/queue/subscription.ts';
import { THREADS } from './ground.ts';
import { type Cast, Failure, type Machine, type Scenario } from './machine.ts';
import type { Protocol } from './programs.ts';
import { Scene, type Stage } from './stage.ts';
import { ASLEEP, type VirtualThread } from './thread.ts';

/**
 * What a thread does. It gets from the place with its own number among those who get, unless all share the first. Who
 * subscribes gets so many, and leaves.
 */
export type BroadcastAct =
  | 'publish'
  | 'publish, or late'
  | 'get'
  | 'get, or late'
  | 'try to get'
  | 'close'
  | 'leave'
  | 'subscribe'
  | 'subscribe, get and leave';

interface BroadcastScenario {
  /** What each thread does, one after another. */
  readonly acts: readonly (readonly BroadcastAct[])[];
  readonly capacity: number;
  /** Places that are taken at the start; as many as there are threads that get by default. */
  readonly subscribed?: number;
  /** All get from the same place. */
  readonly shares?: boolean;
  readonly skips?: boolean;
  readonly position?: number;
  readonly kills?: number;
  readonly timeouts?: number;
  readonly protocol?: Protocol;
}

const STRIDE = 64;
const BYTES = 8; // of a message

/** Races that the broadcast allows, and why. */
const BENIGN = 'a copy that was overtaken is dropped, since the tail or the cursor shows it';

export function broadcastScenario(name: string, options: BroadcastScenario): Scenario {
  const { kills = 0, timeouts = 0 } = options;
  return { name, kills, diesAtGuards: true, timeouts, setup: (machine) => new Stand(machine, options).cast };
}

const gets = (acts: readonly BroadcastAct[]): boolean => acts.some((act) => /^(get|try|leave)/.test(act));

/** A broadcast and its places on the ground. */
class Stand {
  readonly #machine: Machine;
  readonly #options: BroadcastScenario;
  readonly #scene: Scene;
  readonly #at: number;
  readonly #mails: number;
  readonly #places: readonly number[];
  readonly #serials: readonly number[]; // of their first subscriptions
  readonly #flag: number; // raised by who has subscribed, for publishers who begin later

  constructor(machine: Machine, options: BroadcastScenario) {
    const { acts, subscribed = options.shares ? 1 : acts.filter(gets).length } = options;
    const { ground } = machine;
    const threads = acts.length;
    this.#machine = machine;
    this.#options = options;
    const keepsMail = (stage: Stage): void => {
      const mail = this.#mails + stage.slot * STRIDE;
      for (const at of [CELL_LENGTH, CELL_DATA, CELL_DATA + 4]) stage.keep(mail + at);
    };
    const taking = { subscriptionTake: keepsMail };
    this.#scene = new Scene(machine, { threads, taking, protocol: options.protocol });
    const late = acts.flat().filter((act) => act.startsWith('subscribe')).length;
    this.#at = this.#scene.object(KIND_BROADCAST, BROADCAST_BYTES);
    this.#mails = ground.take(THREADS * STRIDE);
    for (let slot = 0; slot < THREADS; slot++) ground.private(this.#mails + slot * STRIDE, STRIDE, slot);
    this.#places = Array.from({ length: Math.max(1, subscribed + late) }, () =>
      this.#scene.object(KIND_SUBSCRIPTION, SUBSCRIPTION_BYTES),
    );
    this.#flag = ground.take(4);
    ground.set(this.#flag, Number(late === 0));
    this.#layOut();
    for (const [place, s] of this.#places.entries()) this.#layOutPlace(s, place < subscribed);
    ground.shared(REGION_SERIAL, 4);
    this.#serials = this.#places.map((s) => ground.get(s + OBJECT_SERIAL));
    if (late > 0) for (const s of this.#places) ground.shared(s + OBJECT_SERIAL, 4);
  }

  #layOut(): void {
    const { ground } = this.#machine;
    const { capacity, skips = false, position = 0 } = this.#options;
    const cells = 2 ** Math.ceil(Math.log2(capacity));
    const cellsAt = ground.take(cells * STRIDE);
    const list = ground.take(4 * this.#places.length);
    const words: Record<number, number> = {
      [BROADCAST_MASK]: cells - 1,
      [BROADCAST_LIMIT]: capacity * 2,
      [BROADCAST_SKIPS]: Number(skips),
      [BROADCAST_CODEC]: knownAs(codec.i64).number,
      [BROADCAST_MESSAGE_BYTES]: BYTES,
      [BROADCAST_CELL_STRIDE]: STRIDE,
      [BROADCAST_CELLS_AT]: cellsAt,
      [BROADCAST_MAIL_STRIDE]: STRIDE,
      [BROADCAST_MAILS_AT]: this.#mails,
      [BROADCAST_PLACES]: this.#places.length,
      [BROADCAST_PLACES_AT]: list,
      [BROADCAST_TAIL]: position,
      [BROADCAST_SEEN]: position,
    };
    for (const [offset, value] of Object.entries(words)) ground.set(this.#at + Number(offset), value);
    for (const [place, s] of this.#places.entries()) ground.set(list + 4 * place, s);
    ground.constant(this.#at, BROADCAST_TAIL);
    ground.constant(list, 4 * this.#places.length);
    for (let cell = 0; cell < cells; cell++) {
      const next = position + 2 * (((cell - (position >>> 1)) & (cells - 1)) - cells);
      ground.set(cellsAt + cell * STRIDE + CELL_STAMP, next | 1);
      ground.name({ name: `stamp ${cell}`, at: cellsAt + cell * STRIDE, bytes: CELL_DATA });
      const isOvertaken = skips || this.#options.shares;
      const benign = isOvertaken ? { benign: BENIGN } : {};
      ground.name({ name: 'cell', at: cellsAt + cell * STRIDE + CELL_DATA, bytes: BYTES, ...benign });
    }
    for (const [name, at] of Object.entries({
      tail: BROADCAST_TAIL,
      'slowest seen': BROADCAST_SEEN,
      'places used': BROADCAST_USED,
      publishers: BROADCAST_PUBLISHERS,
    }))
      ground.name({ name, at: this.#at + at, bytes: 4 });
  }

  #layOutPlace(s: number, isTaken: boolean): void {
    const { ground } = this.#machine;
    const { position = 0 } = this.#options;
    ground.set(s + SUBSCRIPTION_BROADCAST, this.#at);
    ground.constant(s + SUBSCRIPTION_BROADCAST, 4);
    ground.name({ name: 'cursor', at: s + SUBSCRIPTION_CURSOR, bytes: 8 });
    ground.name({ name: 'subscriber', at: s + SUBSCRIPTION_STATE, bytes: 4 });
    ground.name({ name: 'waiters of a place', at: s + SUBSCRIPTION_WAITERS, bytes: 64 });
    if (isTaken) {
      ground.set(s + SUBSCRIPTION_CURSOR, position);
      ground.set(s + SUBSCRIPTION_STATE, stateOf(ground.get(s + OBJECT_SERIAL), 0)); // the first thread has made it, and handed it over
      ground.set(this.#at + BROADCAST_USED, this.#places.indexOf(s) + 1);
    } else {
      ground.set(s + OBJECT_SERIAL, 0);
    }
  }

  get cast(): Cast {
    const { acts, shares } = this.#options;
    const getters = acts.flatMap((mine, slot) => (gets(mine) ? [slot] : []));
    return {
      programs: acts.map((mine, slot) => {
        const place = shares ? 0 : getters.indexOf(slot);
        const parts = mine.map((act, count) => (stage: Stage) => this.#does(stage, act, count, place));
        return () => this.#scene.play(slot, ...parts);
      }),
      repair: this.#scene.burial,
      maySleep: (thread) => this.#isVainFor(thread),
      final: () => this.#checkEnd(),
    };
  }

  #does(stage: Stage, act: BroadcastAct, count: number, place: number): void {
    const { Broadcast, Subscription } = stage.classes;
    const broadcast = () => new Broadcast<bigint>(stage.at(this.#at));
    const mine = () => new Subscription<bigint>(stage.at(this.#places[place] as number, this.#serials[place]));
    if (act.startsWith('publish')) this.#publish(stage, act, 10 * (stage.slot + 1) + count);
    else if (act === 'close') broadcast().close();
    else if (act.startsWith('subscribe')) this.#subscribe(stage, broadcast().subscribe(), act !== 'subscribe');
    else if (act === 'leave') {
      mine().close();
      stage.note('left', 0);
    } else this.#get(stage, act, mine(), count);
  }

  #publish(stage: Stage, act: BroadcastAct, item: number): void {
    const isOwed = stage.ask({ kind: 'peek', address: this.#flag }) === 1;
    const broadcast = new stage.classes.Broadcast<bigint>(stage.at(this.#at));
    const value = (BigInt(item) << 32n) | BigInt(item);
    const failed = act.endsWith('late')
      ? stage.timed(() => stage.tries<Error>(() => broadcast.publish(value, { timeout: 1 }), TimeoutError, ClosedError))
      : stage.tries(() => broadcast.publish(value), ClosedError);
    if (!failed) stage.note(isOwed ? 'owed' : 'put', item);
  }

  #subscribe(stage: Stage, subscription: Subscription<bigint>, gets: boolean): void {
    stage.ask({ kind: 'poke', address: this.#flag, value: 1 });
    stage.note('subscribed', 0);
    if (!gets) return;
    this.#get(stage, 'get', subscription, 0);
    stage.note('left', 0);
    subscription.close();
  }

  #get(stage: Stage, act: BroadcastAct, subscription: Subscription<bigint>, count: number): void {
    let value: bigint | undefined;
    const take = (): void => {
      if (act === 'try to get') value = subscription.tryGet();
      else value = subscription.get(act === 'get' ? undefined : { timeout: 1 });
    };
    const run = () => stage.tries<Error>(take, ClosedError, TimeoutError, InvalidHandleError);
    const failed = act === 'get, or late' ? stage.timed(run) : run();
    if (failed instanceof ClosedError) stage.note('ended', 0);
    if (value === undefined) return;
    const item = Number(value & 0xffffffffn);
    if (Number(value >> 32n) !== item) throw new Error(`an item is torn: ${value.toString(16)}`);
    stage.note('got', item);
    if (this.#options.skips && act !== 'try to get') stage.note('missed', subscription.missed - count);
  }

  #isVainFor({ slot }: VirtualThread): boolean {
    const { solo, dead, ground } = this.#machine;
    const { acts } = this.#options;
    const waits = (set: number): boolean => solo('isRegistered', set, slot) !== 0;
    const mayMiss = dead !== undefined || acts.flat().some((act) => act !== 'publish' && act !== 'get');
    if (!mayMiss) return false;
    if (waits(this.#at + BROADCAST_PUBLISHERS)) return solo('broadcastWritable', this.#at) === 0;
    return this.#places.some(
      (s) =>
        waits(s + SUBSCRIPTION_WAITERS) &&
        (ground.get(s + SUBSCRIPTION_STATE) & SUBSCRIBED) !== 0 &&
        solo('subscriptionReadable', s) === 0,
    );
  }

  #checkEnd(): void {
    const { threads, ground, dead } = this.#machine;
    if (threads.every(({ state }) => state !== ASLEEP)) {
      const sets = [this.#at + BROADCAST_PUBLISHERS, ...this.#places.map((s) => s + SUBSCRIPTION_WAITERS)];
      if (sets.some((set) => ground.get(set) !== 0)) throw new Failure('somebody is left in a wait set');
    }
    if (dead && this.#places.some((s) => ownerOf(ground.get(s + SUBSCRIPTION_STATE)) === dead.slot))
      throw new Failure('the dead thread subscribes still');
    const { acts, shares } = this.#options;
    if (dead && !shares) this.#checkLeft(dead);
    const getters = threads.filter((_, slot) => gets(acts[slot] ?? []));
    const lists = shares ? [getters] : getters.map((thread) => [thread]);
    const seen = lists.map((some, place) => this.#seenBy(some, this.#places[place] as number));
    for (const thread of threads) {
      if (thread.said.some(({ what }) => what === 'subscribed')) seen.push(this.#seenLate(thread));
    }
    for (const one of seen) for (const other of seen) checkOrder(one, other);
  }

  /** A thread that has used a subscription is its owner, so that it goes with it. */
  #checkLeft(dead: VirtualThread): void {
    const { acts } = this.#options;
    const place = this.#places[acts.slice(0, dead.slot).filter(gets).length] as number;
    if (numbersOf(dead.said, 'got').length === 0 || !gets(acts[dead.slot] ?? [])) return;
    if ((this.#machine.ground.get(place + SUBSCRIPTION_STATE) & SUBSCRIBED) !== 0)
      throw new Failure('a subscription is left of the thread that used it last');
  }

  /** What was seen at a place that was taken from the start: all of it, or a beginning if it was left. */
  #seenBy(threads: readonly VirtualThread[], place: number): number[] {
    const { dead } = this.#machine;
    const got = threads.flatMap(({ said }) => numbersOf(said, 'got'));
    const serial = this.#machine.ground.get(place + SUBSCRIPTION_STATE) >> SUBSCRIPTION_SHIFT;
    const isOver = serial !== this.#serials[this.#places.indexOf(place)];
    const rest = isOver ? [] : this.#drain(place);
    const all = [...got, ...rest];
    if (new Set(all).size !== all.length) throw new Failure(`an item was seen twice: ${got}; ${rest}`);
    this.#checkCounts(threads, place, all);
    const owed = this.#published.filter((item) => !all.includes(item));
    const mayMiss = this.#options.skips || isOver || (dead && threads.includes(dead));
    const inHand = dead && threads.includes(dead) ? 1 : 0; // taken by the dead, who could not say so
    if (owed.length > inHand && !mayMiss) throw new Failure(`an item was not seen: ${owed} of ${all}`);
    const known = [...this.#published, ...this.#perhaps];
    if (all.some((item) => !known.includes(item))) throw new Failure(`nobody has published that: ${all}`);
    if (threads.length === 1) return all;
    for (const { said } of threads) checkOrder(numbersOf(said, 'got'), numbersOf(said, 'got'));
    return rest;
  }

  /** Of a broadcast that skips and has one publisher: what was missed is known, and lies where it says. */
  #checkCounts(threads: readonly VirtualThread[], place: number, all: readonly number[]): void {
    if (!this.#options.skips || this.#machine.dead || threads.length > 1) return;
    const [thread] = threads;
    const got = numbersOf(thread?.said ?? [], 'got');
    const missed = numbersOf(thread?.said ?? [], 'missed');
    const publishers = new Set(this.#published.map((item) => Math.floor(item / 10)));
    if (publishers.size > 1) return;
    for (const [i, item] of got.entries()) {
      if (missed[i] !== undefined && (item % 10) - i !== missed[i])
        throw new Failure(`${item} came after ${missed[i]} were missed: ${got}`);
    }
    const sum = all.length + this.#machine.solo('subscriptionMissed', place);
    if (sum !== this.#published.length) throw new Failure(`${sum} were got or missed, ${this.#published} published`);
  }

  /** What who subscribed late has got, and what was left for it. */
  #seenLate(thread: VirtualThread): number[] {
    const got = numbersOf(thread.said, 'got');
    const { ground } = this.#machine;
    const place = this.#places.find((s) => ownerOf(ground.get(s + SUBSCRIPTION_STATE)) === thread.slot);
    const isOver = thread === this.#machine.dead || thread.said.some(({ what }) => what === 'left');
    if (place === undefined && !isOver) throw new Failure(`the subscription of thread ${thread.slot} is lost`);
    const all = [...got, ...(place === undefined ? [] : this.#drain(place))];
    const owed = this.#machine.threads.flatMap(({ said }) => numbersOf(said, 'owed'));
    const lost = owed.filter(
      (item) => !all.includes(item) && (place !== undefined || all.some((one) => isBefore(item, one))),
    );
    if (lost.length > 0 && !this.#machine.dead) throw new Failure(`${lost} were published later, and not seen: ${all}`);
    return all;
  }

  #drain(place: number): number[] {
    const { solo, ground, threads } = this.#machine;
    const slot = threads.length - 1;
    const mail = this.#mails + slot * STRIDE;
    const items: number[] = [];
    while (solo('subscriptionTake', place, ground.get(place + OBJECT_SERIAL), slot) === DONE)
      items.push(ground.get(mail + CELL_DATA));
    return items;
  }

  get #published(): number[] {
    return this.#machine.threads.flatMap(({ said }) => [...numbersOf(said, 'put'), ...numbersOf(said, 'owed')]);
  }

  /** What a dead thread may have published. */
  get #perhaps(): number[] {
    const { dead } = this.#machine;
    return dead ? Array.from({ length: 9 }, (_, i) => 10 * (dead.slot + 1) + i) : [];
  }
}

const stateOf = (serial: number, slot: number): number =>
  (serial << SUBSCRIPTION_SHIFT) | ((slot + 1) << SUBSCRIBER_SHIFT) | SUBSCRIBED;

const ownerOf = (state: number): number => ((state >> SUBSCRIBER_SHIFT) & OWNER) - 1;

function numbersOf(said: VirtualThread['said'], what: string): number[] {
  return said.filter((note) => note.what === what).map(({ value }) => value);
}

const isBefore = (item: number, other: number): boolean =>
  Math.floor(item / 10) === Math.floor(other / 10) && item < other;

/** Two who have seen the same items have seen them in the same order, and each publisher's in its own. */
function checkOrder(one: readonly number[], other: readonly number[]): void {
  const common = one.filter((item) => other.includes(item));
  const there = other.filter((item) => one.includes(item));
  if (`${common}` !== `${there}`) throw new Failure(`the order differs: ${one}; ${other}`);
  for (const [i, item] of one.entries()) {
    if (one.slice(0, i).some((before) => isBefore(item, before))) throw new Failure(`the order is wrong: ${one}`);
  }
}
