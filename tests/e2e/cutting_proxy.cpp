#include "tests/e2e/cutting_proxy.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <gtest/gtest.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <optional>
#include <string>
#include <vector>

#include "tests/support/loopback.h"

namespace consilium::e2e {
namespace {

constexpr std::size_t kPieceBytes = 65'536;

// All of it; the other side reads, or has gone.
bool SendAll(int to, std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t sent = ::send(to, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (sent <= 0) return false;
    bytes.remove_prefix(static_cast<std::size_t>(sent));
  }
  return true;
}

// The port in "CONNECT 127.0.0.1:4711 HTTP/1.1"; 0: something else was asked.
int AskedPort(const std::string& request) {
  if (!request.starts_with("CONNECT 127.0.0.1:")) return 0;
  return std::atoi(request.c_str() + std::string_view("CONNECT 127.0.0.1:").size());
}

// What one side said that the other has not taken yet. Sockets do not block: a side that does not
// read must not hold up the others.
struct Pipe {
  std::string waiting;
  std::optional<std::uint64_t> cut_after;  // bytes that may still pass
  bool ended = false;                      // the source has said everything
};

}  // namespace

struct CuttingProxy::Carried {
  int site = -1, coordinator = -1;
  std::string request;  // up to its empty line
  Pipe up, down;
  ~Carried() {
    for (const int one : {site, coordinator}) {
      if (one >= 0) ::close(one);
    }
  }
};

ProxyCounts operator-(const ProxyCounts& a, const ProxyCounts& b) {
  return {a.connections - b.connections, a.cuts_up - b.cuts_up, a.cuts_down - b.cuts_down,
          a.up - b.up, a.down - b.down};
}

std::string ToText(const ProxyCounts& counts) {
  return fmt::format("{} connections, {} cut upwards, {} downwards; {} bytes up, {} down",
                     counts.connections, counts.cuts_up, counts.cuts_down, counts.up, counts.down);
}

CuttingProxy::CuttingProxy(std::uint64_t seed) : rng_(seed, "cuts") {
  listener_ = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  sockaddr_in address = testing::Loopback(0);
  socklen_t size = sizeof address;
  const bool listens =
      ::bind(listener_, reinterpret_cast<sockaddr*>(&address), size) == 0 &&
      ::getsockname(listener_, reinterpret_cast<sockaddr*>(&address), &size) == 0 &&
      ::listen(listener_, 64) == 0 && ::pipe2(wake_, O_CLOEXEC | O_NONBLOCK) == 0;
  EXPECT_TRUE(listens);
  port_ = ntohs(address.sin_port);
  thread_ = std::thread([this] { Run(); });
}

CuttingProxy::~CuttingProxy() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  EXPECT_EQ(::write(wake_[1], "", 1), 1);
  thread_.join();
  for (const int one : {listener_, wake_[0], wake_[1]}) ::close(one);
}

void CuttingProxy::Begin(const CutPlan& plan) {
  const std::lock_guard lock(mutex_);
  plan_ = plan;
  for (auto& [socket, one] : carried_) Draw(*one);
}

ProxyCounts CuttingProxy::counts() const {
  const std::lock_guard lock(mutex_);
  return counts_;
}

void CuttingProxy::Draw(Carried& one) {
  one.up.cut_after.reset();
  one.down.cut_after.reset();
  if (plan_.cuts <= 0) return;
  const bool up = plan_.down.to == 0 || (plan_.up.to > 0 && rng_.Chance(0.5));
  const CutRange& range = up ? plan_.up : plan_.down;
  (up ? one.up : one.down).cut_after = range.from + rng_.Below(range.to - range.from);
}

void CuttingProxy::Run() {
  for (;;) {
    std::vector<pollfd> wait;
    {
      const std::lock_guard lock(mutex_);
      if (stopping_) return;
      wait = {{listener_, POLLIN, 0}, {wake_[0], POLLIN, 0}};
      for (const auto& [socket, one] : carried_) {
        const auto events = [](const Pipe& from, const Pipe& to) {
          return static_cast<short>((from.waiting.empty() && !from.ended ? POLLIN : 0) |
                                    (to.waiting.empty() ? 0 : POLLOUT));
        };
        wait.push_back({one->site, events(one->up, one->down), 0});
        if (one->coordinator >= 0)
          wait.push_back({one->coordinator, events(one->down, one->up), 0});
      }
    }
    ::poll(wait.data(), wait.size(), -1);
    const std::lock_guard lock(mutex_);
    if ((wait[0].revents & POLLIN) != 0) Accept();
    for (auto at = carried_.begin(); at != carried_.end();) {
      Carried& one = *at->second;
      const bool goes_on = Carry(one, true) && (one.coordinator < 0 || Carry(one, false));
      at = goes_on ? std::next(at) : carried_.erase(at);
    }
  }
}

void CuttingProxy::Accept() {
  const int site = ::accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK);
  if (site < 0) return;
  auto one = std::make_unique<Carried>();
  one->site = site;
  carried_[site] = std::move(one);
}

bool CuttingProxy::Carry(Carried& one, bool up) {
  const int from = up ? one.site : one.coordinator;
  Pipe& pipe = up ? one.up : one.down;
  char bytes[kPieceBytes];
  if (one.coordinator < 0) {
    const ssize_t size = ::recv(from, bytes, sizeof bytes, 0);
    if (size == 0 || (size < 0 && errno != EAGAIN)) return false;
    if (size > 0) one.request.append(bytes, static_cast<std::size_t>(size));
    if (one.request.find("\r\n\r\n") == std::string::npos) return true;
    one.coordinator = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    const sockaddr_in address = testing::Loopback(AskedPort(one.request));
    if (::connect(one.coordinator, reinterpret_cast<const sockaddr*>(&address), sizeof address) !=
        0) {
      (void)SendAll(from, "HTTP/1.1 502 nobody there\r\n\r\n");
      return false;
    }
    ::fcntl(one.coordinator, F_SETFL, O_NONBLOCK);
    if (!SendAll(from, "HTTP/1.1 200 connected\r\n\r\n")) return false;
    for (const int socket : {one.site, one.coordinator}) {
      const int yes = 1;
      ::setsockopt(socket, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
    }
    ++counts_.connections;
    Draw(one);
    return true;
  }
  const int to = up ? one.coordinator : one.site;
  for (;;) {
    if (pipe.waiting.empty() && !pipe.ended) {
      const ssize_t size = ::recv(from, bytes, sizeof bytes, 0);
      if (size < 0 && errno == EAGAIN) return true;
      if (size <= 0) pipe.ended = true;
      if (size > 0) pipe.waiting.assign(bytes, static_cast<std::size_t>(size));
    }
    if (pipe.ended) return false;
    std::size_t most = pipe.waiting.size();
    if (pipe.cut_after) most = std::min<std::uint64_t>(most, *pipe.cut_after);
    if (most > 0) {
      const ssize_t sent = ::send(to, pipe.waiting.data(), most, MSG_NOSIGNAL);
      if (sent < 0 && errno == EAGAIN) return true;
      if (sent < 0) return false;
      (up ? counts_.up : counts_.down) += static_cast<std::uint64_t>(sent);
      pipe.waiting.erase(0, static_cast<std::size_t>(sent));
      if (pipe.cut_after) *pipe.cut_after -= static_cast<std::uint64_t>(sent);
    }
    if (pipe.cut_after && *pipe.cut_after == 0 && !pipe.waiting.empty()) {
      Cut(one, up);
      return false;
    }
  }
}

void CuttingProxy::Cut(Carried& one, bool up) {
  if (rng_.Chance(0.5)) {
    const linger now{1, 0};
    for (const int socket : {one.site, one.coordinator})
      ::setsockopt(socket, SOL_SOCKET, SO_LINGER, &now, sizeof now);
  }
  ++(up ? counts_.cuts_up : counts_.cuts_down);
  // When the last is used up, nobody who is connected is cut any more.
  if (--plan_.cuts > 0) return;
  for (auto& [socket, other] : carried_) {
    other->up.cut_after.reset();
    other->down.cut_after.reset();
  }
}

}  // namespace consilium::e2e
