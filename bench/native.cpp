// The same operations in C++, to know how far from the machine JavaScript is. Each line of the input is a mode, and is answered by a
// line: a figure, and behind it the single measurements, if they are the question.
//
//   mutex BATCH BATCHES               nanoseconds of one pthread_mutex lock + unlock, nobody else wanting it
//   counter THREADS MS                millions of additions a second under one pthread_mutex
//   ring PRODUCERS CONSUMERS MS       millions of items a second through Vyukov's ring of 1,024 slots
//   fractions MS                      the same of doubles, by one producer and one consumer
//   messages MS                       the same of messages of 64 bytes
//   copy BYTES MS                     megabytes a second that memcpy copies, a piece at a time
//   section THREADS TURNS MS          millions a second of critical sections of so many turns of a loop
//   trips N PAUSE                     microseconds of a round trip through two such rings, PAUSE us after the last one; then each of N
//   boxes N PAUSE                     the same through two queues under a mutex, whose consumers sleep on a condition
//
// Compiled when the benchmarks run: c++ -O2 -std=c++17 -pthread
#include <algorithm>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <deque>
#include <functional>
#include <iostream>
#include <iterator>
#include <mutex>
#include <pthread.h>
#include <sched.h>
#include <sstream>
#include <string>
#include <thread>
#include <vector>

using Clock = std::chrono::steady_clock;

static double nanosecondsSince(Clock::time_point start) {
  return std::chrono::duration<double, std::nano>(Clock::now() - start).count();
}

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;

static double nanosecondsOfOne(long batch) {
  const auto start = Clock::now();
  for (long i = 0; i < batch; i++) {
    pthread_mutex_lock(&mutex);
    pthread_mutex_unlock(&mutex);
  }
  return nanosecondsSince(start) / batch;
}

static double alone(long batch, long batches) {
  // glibc leaves the atomic instructions out while a process has one thread. Node never has just one.
  std::atomic<bool> done{false};
  std::thread other([&] {
    while (!done) std::this_thread::sleep_for(std::chrono::milliseconds(1));
  });
  for (long i = 0; i < batches / 4; i++) nanosecondsOfOne(batch);
  std::vector<double> figures;
  for (long i = 0; i < batches; i++) figures.push_back(nanosecondsOfOne(batch));
  std::sort(figures.begin(), figures.end());
  done = true;
  other.join();
  return figures[figures.size() / 2];
}

// Runs all bodies until `ms` have passed; each looks at the flag it is given.
static double together(const std::vector<std::function<void(std::atomic<bool> &)>> &bodies, long ms) {
  std::atomic<bool> done{false};
  const auto start = Clock::now();
  std::vector<std::thread> threads;
  for (const auto &body : bodies) threads.emplace_back([&] { body(done); });
  std::this_thread::sleep_for(std::chrono::milliseconds(ms));
  done = true;
  for (auto &thread : threads) thread.join();
  return nanosecondsSince(start);
}

static double counter(long threads, long ms) {
  volatile long count = 0;
  const auto add = [&](std::atomic<bool> &done) {
    while (!done) {
      for (int i = 0; i < 100; i++) {
        pthread_mutex_lock(&mutex);
        count = count + 1;
        pthread_mutex_unlock(&mutex);
      }
    }
  };
  const double elapsed = together({static_cast<size_t>(threads), add}, ms);
  return count / elapsed * 1e3;
}

// Dmitry Vyukov's bounded queue, many to many: a slot's sequence is its position while it is free, one more while it is full.
template <typename T> class Ring {
  static constexpr uint32_t CAPACITY = 1024;
  struct Slot {
    std::atomic<uint32_t> sequence;
    T value;
  };
  Slot slots[CAPACITY];
  alignas(128) std::atomic<uint32_t> tail{0};
  alignas(128) std::atomic<uint32_t> head{0};

public:
  Ring() {
    for (uint32_t i = 0; i < CAPACITY; i++) slots[i].sequence = i;
  }

  bool put(const T &value) {
    uint32_t position = tail.load(std::memory_order_relaxed);
    for (;;) {
      Slot &slot = slots[position % CAPACITY];
      const auto lag = static_cast<int32_t>(slot.sequence.load(std::memory_order_acquire) - position);
      if (lag < 0) return false;
      if (lag > 0) {
        position = tail.load(std::memory_order_relaxed);
      } else if (tail.compare_exchange_weak(position, position + 1, std::memory_order_relaxed)) {
        slot.value = value;
        slot.sequence.store(position + 1, std::memory_order_release);
        return true;
      }
    }
  }

  bool get(T &value) {
    uint32_t position = head.load(std::memory_order_relaxed);
    for (;;) {
      Slot &slot = slots[position % CAPACITY];
      const auto lag = static_cast<int32_t>(slot.sequence.load(std::memory_order_acquire) - (position + 1));
      if (lag < 0) return false;
      if (lag > 0) {
        position = head.load(std::memory_order_relaxed);
      } else if (head.compare_exchange_weak(position, position + 1, std::memory_order_relaxed)) {
        value = slot.value;
        slot.sequence.store(position + CAPACITY, std::memory_order_release);
        return true;
      }
    }
  }
};

// Tries again and again, and gives its core away where there are more threads than cores.
template <typename Attempt> static bool until(std::atomic<bool> &done, Attempt attempt) {
  for (int tries = 1; !attempt(); tries++) {
    if (done) return false;
    if (tries % 256 == 0) sched_yield();
  }
  return true;
}

// Both ends of a message carry its count.
struct Message {
  unsigned char bytes[64];
};

static void stamp(int32_t &item, int32_t count) { item = count; }
static void stamp(double &item, int32_t count) { item = count; }
static void stamp(Message &item, int32_t count) { item.bytes[0] = item.bytes[63] = static_cast<unsigned char>(count); }

template <typename T> static double ring(long producers, long consumers, long ms) {
  Ring<T> ring;
  std::atomic<long> taken{0};
  std::vector<std::function<void(std::atomic<bool> &)>> bodies;
  for (long i = 0; i < producers; i++) {
    bodies.push_back([&](std::atomic<bool> &done) {
      T item{};
      for (int32_t count = 0; !done; count++) {
        stamp(item, count);
        if (!until(done, [&] { return ring.put(item); })) break;
      }
    });
  }
  for (long i = 0; i < consumers; i++) {
    bodies.push_back([&](std::atomic<bool> &done) {
      T item{};
      long own = 0;
      while (!done && until(done, [&] { return ring.get(item); })) own++;
      taken += own;
    });
  }
  const double elapsed = together(bodies, ms);
  return taken / elapsed * 1e3;
}

static double copy(long bytes, long ms) {
  std::vector<char> from(bytes, 1), to(bytes);
  long copied = 0;
  const auto start = Clock::now();
  while (nanosecondsSince(start) < ms * 1e6) {
    for (int i = 0; i < 16; i++) {
      std::memcpy(to.data(), from.data(), bytes);
      __asm__ volatile("" : : "r"(to.data()) : "memory");
    }
    copied += 16 * bytes;
  }
  return copied / nanosecondsSince(start) * 1e3;
}

// A loop of so many turns under one lock; the same as work() in work.ts.
static double section(long threads, long turns, long ms) {
  volatile long count = 0;
  const auto hold = [&](std::atomic<bool> &done) {
    unsigned sink = 1;
    while (!done) {
      pthread_mutex_lock(&mutex);
      for (long turn = 0; turn < turns; turn++) sink = sink * 1664525 + turn;
      __asm__ volatile("" : : "r"(sink));
      count = count + 1;
      pthread_mutex_unlock(&mutex);
    }
  };
  const double elapsed = together({static_cast<size_t>(threads), hold}, ms);
  return count / elapsed * 1e3;
}

// One end of a ring that never sleeps.
struct Spinning {
  Ring<int32_t> ring;
  void put(int32_t item) {
    while (!ring.put(item)) sched_yield();
  }
  int32_t get() {
    int32_t item = 0;
    for (int tries = 1; !ring.get(item); tries++) {
      if (tries % 4096 == 0) sched_yield();
    }
    return item;
  }
};

// What a program in C++ has at hand: who finds it empty sleeps.
struct Box {
  std::mutex guard;
  std::condition_variable filled;
  std::deque<int32_t> items;
  void put(int32_t item) {
    std::lock_guard<std::mutex> held(guard);
    items.push_back(item);
    filled.notify_one();
  }
  int32_t get() {
    std::unique_lock<std::mutex> held(guard);
    filled.wait(held, [&] { return !items.empty(); });
    const int32_t item = items.front();
    items.pop_front();
    return item;
  }
};

// The median, and behind it each single one.
template <typename Channel> static std::vector<double> trips(long n, double pause) {
  Channel there, back;
  std::thread other([&] {
    for (long i = 0; i < n; i++) back.put(there.get());
  });
  std::vector<double> single;
  for (long i = 0; i < n; i++) {
    const auto rested = Clock::now();
    while (nanosecondsSince(rested) < pause * 1e3) {}
    const auto start = Clock::now();
    there.put(i);
    if (back.get() != i) std::abort();
    single.push_back(nanosecondsSince(start) / 1e3);
  }
  other.join();
  std::vector<double> sorted = single;
  std::sort(sorted.begin(), sorted.end());
  single.insert(single.begin(), sorted[n / 2]);
  return single;
}

using Numbers = std::vector<long>;

static std::vector<double> run(const std::string &mode, const Numbers &n) {
  if (mode == "ready" && n.empty()) return {0};
  if (mode == "mutex" && n.size() == 2) return {alone(n[0], n[1])};
  if (mode == "counter" && n.size() == 2) return {counter(n[0], n[1])};
  if (mode == "ring" && n.size() == 3) return {ring<int32_t>(n[0], n[1], n[2])};
  if (mode == "fractions" && n.size() == 1) return {ring<double>(1, 1, n[0])};
  if (mode == "messages" && n.size() == 1) return {ring<Message>(1, 1, n[0])};
  if (mode == "copy" && n.size() == 2) return {copy(n[0], n[1])};
  if (mode == "section" && n.size() == 3) return {section(n[0], n[1], n[2])};
  if (mode == "trips" && n.size() == 2) return trips<Spinning>(n[0], n[1]);
  if (mode == "boxes" && n.size() == 2) return trips<Box>(n[0], n[1]);
  return {};
}

int main() {
  for (std::string line; std::getline(std::cin, line);) {
    std::istringstream words(line);
    std::string mode;
    words >> mode;
    const Numbers numbers{std::istream_iterator<long>(words), std::istream_iterator<long>()};
    const std::vector<double> figures = run(mode, numbers);
    if (figures.empty()) {
      std::fprintf(stderr, "each line must be: ready, or mutex|counter|ring|fractions|messages|copy|section|trips|boxes NUMBER...\n");
      return 2;
    }
    for (const double figure : figures) std::printf("%.3f ", figure);
    std::printf("\n");
    std::fflush(stdout);
  }
}
