"""What Python's multiprocessing does with the same questions. Each mode prints one figure.

  native.py lock BATCH BATCHES   nanoseconds of one acquire + release, nobody else wanting it
  native.py counter THREADS MS   millions of additions a second under one lock, by THREADS processes
  native.py queue MS             millions of small integers a second from one process to another
"""

import multiprocessing
import sys
import time


def lock(batch: int, batches: int) -> float:
    guard = multiprocessing.Lock()
    figures = []
    for _ in range(batches):
        start = time.perf_counter_ns()
        for _ in range(batch):
            guard.acquire()
            guard.release()
        figures.append((time.perf_counter_ns() - start) / batch)
    return sorted(figures)[len(figures) // 2]


def add(guard, count, done) -> None:
    while not done.value:
        for _ in range(100):
            guard.acquire()
            count.value += 1
            guard.release()


def counter(threads: int, ms: int) -> float:
    guard = multiprocessing.Lock()
    count = multiprocessing.Value("q", 0, lock=False)
    done = multiprocessing.Value("b", 0, lock=False)
    crew = [multiprocessing.Process(target=add, args=(guard, count, done)) for _ in range(threads)]
    for process in crew:
        process.start()
    first, start = count.value, time.perf_counter()
    time.sleep(ms / 1000)
    figure = (count.value - first) / (time.perf_counter() - start) / 1e6
    done.value = 1
    for process in crew:
        process.join()
    return figure


def put(items, n: int) -> None:
    for i in range(n):
        items.put(i)


def queue(ms: int) -> float:
    items = multiprocessing.Queue(1024)
    n = max(1000, ms * 30)  # about 30 thousand a second
    producer = multiprocessing.Process(target=put, args=(items, n))
    producer.start()
    items.get()
    start = time.perf_counter()
    for i in range(1, n):
        assert items.get() == i
    figure = (n - 1) / (time.perf_counter() - start) / 1e6
    producer.join()
    return figure


if __name__ == "__main__":
    mode, *numbers = sys.argv[1:]
    print({"lock": lock, "counter": counter, "queue": queue}[mode](*map(int, numbers)))
