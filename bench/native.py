"""What Python's multiprocessing does with the same questions. Each line of the input is a mode and what belongs to it, with tabs
between, and is answered by a line: a figure, and behind it the single measurements, if they are the question.

  lock BATCH BATCHES   nanoseconds of one acquire + release, nobody else wanting it
  counter THREADS MS   millions of additions a second under one lock, by THREADS processes
  queue MS             millions of small integers a second from one process to another
  fractions MS         the same of fractions
  objects MS           the same of dicts of six fields
  messages SLOTS BYTES MS
                       the same of so many bytes, in a queue of so many slots
  tree FOLDER WARM PASSES N
                       megabytes of files a second whose SHA-256 N processes make, in the order of their names, behind the first passes
  trips N PAUSE        microseconds of a round trip through two queues, PAUSE ms after the last one; then each of N
"""

import hashlib
import multiprocessing
import multiprocessing.synchronize  # fails where the system has no semaphores
import os
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


def put(items, n: int, item) -> None:
    for _ in range(n):
        items.put(item)


def through(n: int, slots: int, item) -> float:
    """Items a second."""
    items = multiprocessing.Queue(slots)
    producer = multiprocessing.Process(target=put, args=(items, n, item))
    producer.start()
    items.get()
    start = time.perf_counter()
    for _ in range(1, n):
        assert items.get() == item
    figure = (n - 1) / (time.perf_counter() - start)
    producer.join()
    return figure


CITY = {
    "id": 7,
    "name": "Amsterdam",
    "country": "NL",
    "latitude": 52.37403,
    "longitude": 4.88969,
    "capital": True,
}


def queue(ms: int, item=7) -> float:
    return through(max(8192, ms * 100), 1024, item) / 1e6  # many times what the queue holds


def messages(slots: int, length: int, ms: int) -> float:
    return through(max(4 * slots, ms * 200), slots, b"7" * length) / 1e6


def files(folder: str):
    with os.scandir(folder) as entries:
        for entry in sorted(entries, key=lambda entry: entry.name):
            if entry.is_dir():
                yield from files(entry.path)
            elif entry.is_file():
                yield entry.path


PIECE = memoryview(bytearray(2**16))


def checksum(path: str):
    digest = hashlib.sha256()
    length = 0
    with open(path, "rb", buffering=0) as file:
        while read := file.readinto(PIECE):
            digest.update(PIECE[:read])
            length += read
    return path, length, digest.hexdigest()


def tree(folder: str, warm: int, passes: int, processes: int) -> float:
    first = warm * sum(1 for _ in files(folder))
    paths = (path for _ in range(passes) for path in files(folder))
    with multiprocessing.Pool(processes) as pool:
        sums = pool.imap(checksum, paths, chunksize=16)
        for _ in range(first):
            next(sums)
        start = time.perf_counter()
        total = sum(length for _, length, _ in sums)
        return total / (time.perf_counter() - start) / 1e6


def echo(there, back, n: int) -> None:
    for _ in range(n):
        back.put(there.get())


def trips(n: int, pause: float) -> str:
    there, back = multiprocessing.Queue(1024), multiprocessing.Queue(1024)
    other = multiprocessing.Process(target=echo, args=(there, back, n + 1))
    other.start()
    single = []
    for i in range(n + 1):
        end = time.perf_counter() + pause / 1e3
        while time.perf_counter() < end:
            pass
        start = time.perf_counter_ns()
        there.put(i)
        assert back.get() == i
        single.append((time.perf_counter_ns() - start) / 1e3)
    other.join()
    single = single[1:]  # the first one waited for the other process to start
    return " ".join(map(str, [sorted(single)[n // 2], *single]))


MODES = {
    "ready": lambda: 0,
    "lock": lock,
    "counter": counter,
    "queue": queue,
    "fractions": lambda ms: queue(ms, 7.5),
    "objects": lambda ms: queue(ms, CITY),
    "messages": messages,
    "tree": tree,
    "trips": trips,
}

def argument(text: str):
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            pass
    return text


if __name__ == "__main__":
    for line in sys.stdin:
        mode, *arguments = line.rstrip("\n").split("\t")
        print(MODES[mode](*map(argument, arguments)), flush=True)
