/**
 * Schedules as short strings, to be run again: `0*5 1*3 !0 x1` is five steps of thread 0, three of thread 1, the deadline of
 * thread 0, the death of thread 1.
 */
import { THREADS } from './ground.ts';

/** Kinds of choices; each is such a number and the slot of the thread. */
export const STEP = 0;
export const EXPIRE: number = THREADS;
export const KILL: number = 2 * THREADS;

const SIGNS = ['', '!', 'x'];

export function scheduleOf(choices: readonly number[]): string {
  const parts: { word: string; times: number }[] = [];
  for (const choice of choices) {
    const word = `${SIGNS[Math.floor(choice / THREADS)]}${choice % THREADS}`;
    const last = parts.at(-1);
    if (last?.word === word) last.times++;
    else parts.push({ word, times: 1 });
  }
  return parts.map(({ word, times }) => (times > 1 ? `${word}*${times}` : word)).join(' ');
}

export function choicesOf(schedule: string): number[] {
  return schedule.split(' ').flatMap((part) => {
    const [, sign = '', slot = '', times = '1'] = /^([!x]?)(\d)(?:\*(\d+))?$/.exec(part) ?? [];
    if (slot === '') throw new TypeError(`no part of a schedule: ${JSON.stringify(part)}`);
    return Array<number>(Number(times)).fill(SIGNS.indexOf(sign) * THREADS + Number(slot));
  });
}
