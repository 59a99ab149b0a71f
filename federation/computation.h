// The coordinator half: straight-line coroutines that ask for sums.
//
// `co_await sums.Of(query)` suspends until the round that carries the query has its total.
// Everything that waits at one moment shares one round: the scheduler collects the open queries
// when no coroutine can run any further. Resumption goes through the scheduler's ready queue, never
// inline from a finishing child. On GCC 12 every operand of co_await must be a named local: write
//   Query query = ...;  auto asked = sums.Of(std::move(query));  const Total total = co_await
//   asked;
// A Task<T> ends with a Result<T>; `co_await task` gives that Result.
#pragma once

#include <coroutine>
#include <deque>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "federation/block.h"

namespace consilium::federation {

class Sums;

namespace internal {
struct PromiseBase {
  Sums* scheduler = nullptr;  // set when first awaited or started
  std::coroutine_handle<> continuation;
};
}  // namespace internal

template <typename T>
class [[nodiscard]] Task {
 public:
  struct promise_type : internal::PromiseBase {
    std::optional<Result<T>> result;
    Task get_return_object() {
      return Task(std::coroutine_handle<promise_type>::from_promise(*this));
    }
    std::suspend_always initial_suspend() noexcept { return {}; }
    struct FinalAwaiter {
      bool await_ready() noexcept { return false; }
      void await_suspend(std::coroutine_handle<promise_type> handle) noexcept;
      void await_resume() noexcept {}
    };
    FinalAwaiter final_suspend() noexcept { return {}; }
    void return_value(Result<T> value) { result.emplace(std::move(value)); }
    [[noreturn]] void unhandled_exception() { throw; }
  };

  Task() = default;
  Task(Task&& other) noexcept : handle_(std::exchange(other.handle_, {})) {}
  Task& operator=(Task&& other) noexcept {
    if (this != &other) {
      Destroy();
      handle_ = std::exchange(other.handle_, {});
    }
    return *this;
  }
  Task(const Task&) = delete;
  Task& operator=(const Task&) = delete;
  ~Task() { Destroy(); }

  // Runs the body on the scheduler; used by Sums and WhenAll.
  void Start(Sums& sums, std::coroutine_handle<> continuation);
  [[nodiscard]] bool done() const { return handle_ && handle_.promise().result.has_value(); }
  [[nodiscard]] Result<T> Take() { return std::move(*handle_.promise().result); }

  struct Awaiter {
    Task& task;
    [[nodiscard]] bool await_ready() const noexcept { return false; }
    template <typename Promise>
    void await_suspend(std::coroutine_handle<Promise> parent) {
      task.Start(*parent.promise().scheduler, parent);
    }
    Result<T> await_resume() { return task.Take(); }
  };
  Awaiter operator co_await() & { return Awaiter{*this}; }

 private:
  explicit Task(std::coroutine_handle<promise_type> handle) : handle_(handle) {}
  void Destroy() {
    if (handle_) handle_.destroy();
    handle_ = {};
  }
  std::coroutine_handle<promise_type> handle_;
};

// The scheduler: who is ready, and what is being asked.
class Sums {
 public:
  struct Asked {  // the awaitable of one query
    Sums& sums;
    Query query;
    Total total;
    std::coroutine_handle<> waiter;
    [[nodiscard]] bool await_ready() const noexcept { return false; }
    void await_suspend(std::coroutine_handle<> handle) {
      waiter = handle;
      sums.open_.push_back(this);
    }
    Total await_resume() { return std::move(total); }
  };

  [[nodiscard]] Asked Of(Query query) { return Asked{*this, std::move(query), {}, {}}; }

  // Starts `root` and runs until everything waits.
  template <typename T>
  void Run(Task<T>& root) {
    root.Start(*this, {});
    Drain();
  }
  // The queries of the next round, in the order in which they were asked; empty when all is done.
  [[nodiscard]] std::vector<Query> OpenQueries() const;
  // The totals of those queries, in the same order; runs until everything waits again.
  void Deliver(std::vector<Total> totals);

  void Ready(std::coroutine_handle<> handle) { ready_.push_back(handle); }

 private:
  friend struct Asked;
  void Drain();
  std::deque<std::coroutine_handle<>> ready_;
  std::vector<Asked*> open_;
};

template <typename T>
void Task<T>::promise_type::FinalAwaiter::await_suspend(
    std::coroutine_handle<promise_type> handle) noexcept {
  const auto& promise = handle.promise();
  if (promise.continuation) promise.scheduler->Ready(promise.continuation);
}

template <typename T>
void Task<T>::Start(Sums& sums, std::coroutine_handle<> continuation) {
  handle_.promise().scheduler = &sums;
  handle_.promise().continuation = continuation;
  sums.Ready(handle_);
}

// Runs all tasks side by side: their queries share rounds. The results come in the order of the
// tasks.
template <typename T>
class [[nodiscard]] WhenAll {
 public:
  explicit WhenAll(std::vector<Task<T>> tasks) : tasks_(std::move(tasks)) {}
  [[nodiscard]] bool await_ready() const noexcept { return tasks_.empty(); }
  template <typename Promise>
  void await_suspend(std::coroutine_handle<Promise> parent) {
    Sums& sums = *parent.promise().scheduler;
    sums_ = &sums;
    parent_ = parent;
    left_ = tasks_.size();
    for (Task<T>& task : tasks_) {
      watchers_.push_back(Watch(*this, task));
      watchers_.back().Start(sums, {});
    }
  }
  std::vector<Result<T>> await_resume() {
    std::vector<Result<T>> results;
    results.reserve(tasks_.size());
    for (Task<T>& task : tasks_) results.push_back(task.Take());
    return results;
  }

 private:
  struct Nothing {};
  // Waits for one task, counts it, and wakes the parent after the last.
  static Task<Nothing> Watch(WhenAll& all, Task<T>& task) {
    struct Join {
      Task<T>& task;
      [[nodiscard]] bool await_ready() const noexcept { return false; }
      void await_suspend(std::coroutine_handle<typename Task<Nothing>::promise_type> self) {
        task.Start(*self.promise().scheduler, self);
      }
      void await_resume() {}
    };
    Join join{task};
    co_await join;
    if (--all.left_ == 0) all.Wake();
    co_return Nothing{};
  }
  void Wake();
  std::vector<Task<T>> tasks_;
  std::vector<Task<Nothing>> watchers_;
  std::coroutine_handle<> parent_;
  Sums* sums_ = nullptr;
  std::size_t left_ = 0;
};

template <typename T>
void WhenAll<T>::Wake() {
  sums_->Ready(parent_);
}

}  // namespace consilium::federation
