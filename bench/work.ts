// What threads do while they hold a lock, or as a task: it must not be optimised away, and touch nothing that is shared.

let sink = 1;

/** So many turns of a loop, each of which needs the one before; 160 of them take about a microsecond. */
export function work(turns: number): void {
  for (let turn = 0; turn < turns; turn++) sink = Math.imul(sink, 1664525) + turn;
}
