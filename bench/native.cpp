// The same operations in C++, to know how far from the machine JavaScript is. Each mode prints one figure.
//
//   native mutex BATCH BATCHES               nanoseconds of one pthread_mutex lock + unlock, nobody else wanting it
//   native counter THREADS MS                millions of additions a second under one pthread_mutex
//   native ring PRODUCERS CONSUMERS MS       millions of items a second through Vyukov's ring of 1,024 slots
//   native copy BYTES MS                     megabytes a second that memcpy copies, a piece at a time
//
// Compiled when the benchmarks run: c++ -O2 -std=c++17 -pthread
#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <pthread.h>
#include <sched.h>
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
class Ring {
  static constexpr uint32_t CAPACITY = 1024;
  struct Slot {
    std::atomic<uint32_t> sequence;
    int32_t value;
  };
  Slot slots[CAPACITY];
  alignas(128) std::atomic<uint32_t> tail{0};
  alignas(128) std::atomic<uint32_t> head{0};

public:
  Ring() {
    for (uint32_t i = 0; i < CAPACITY; i++) slots[i].sequence = i;
  }

  bool put(int32_t value) {
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

  bool get(int32_t &value) {
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

static double ring(long producers, long consumers, long ms) {
  Ring ring;
  std::atomic<long> taken{0};
  std::vector<std::function<void(std::atomic<bool> &)>> bodies;
  for (long i = 0; i < producers; i++) {
    bodies.push_back([&](std::atomic<bool> &done) {
      for (int32_t item = 0; until(done, [&] { return ring.put(item); }) && !done; item++);
    });
  }
  for (long i = 0; i < consumers; i++) {
    bodies.push_back([&](std::atomic<bool> &done) {
      int32_t item = 0;
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

int main(int argc, char **argv) {
  const std::string mode = argc > 1 ? argv[1] : "";
  const auto number = [&](int at) { return argc > at ? std::atol(argv[at]) : 0; };
  double figure = 0;
  if (mode == "mutex" && argc == 4) figure = alone(number(2), number(3));
  else if (mode == "counter" && argc == 4) figure = counter(number(2), number(3));
  else if (mode == "ring" && argc == 5) figure = ring(number(2), number(3), number(4));
  else if (mode == "copy" && argc == 4) figure = copy(number(2), number(3));
  else {
    std::fprintf(stderr, "usage: native mutex|counter|ring|copy NUMBER...\n");
    return 2;
  }
  std::printf("%.3f\n", figure);
}
