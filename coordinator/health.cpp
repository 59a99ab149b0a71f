#include "coordinator/health.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "program/program.h"

namespace consilium::coordinator {
namespace {

constexpr std::size_t kRequestBytesMax = 4096;
constexpr std::size_t kOpenMax = 32;       // connections at once; the oldest makes room
constexpr std::int64_t kRequestMs = 2000;  // for a request, and for taking the reply
constexpr std::string_view kWho = "this machine";

std::string Response(std::string_view status, std::string_view type, std::string_view body) {
  return fmt::format(
      "HTTP/1.1 {}\r\nContent-Type: {}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{}",
      status, type, body.size(), body);
}

}  // namespace

// One thread, one poll: nothing that a caller sends or leaves out keeps another one waiting.
struct Health::Impl {
  explicit Impl(Hub& the_hub) : hub(the_hub) {}
  ~Impl() {
    for (const Connection& one : open) ::close(one.socket);
    for (const int descriptor : {listener, stop}) {
      if (descriptor >= 0) ::close(descriptor);
    }
  }

  struct Connection {
    int socket = -1;
    std::int64_t until_ms = 0;
    std::string request, reply;
    std::size_t sent = 0;
    bool draining = false;  // replied; what still comes is thrown away, so that the reply arrives
  };

  void Run() {
    for (;;) {
      std::vector<pollfd> wait = {{stop, POLLIN, 0}, {listener, POLLIN, 0}};
      for (const Connection& one : open) {
        const bool writes = one.sent < one.reply.size();
        wait.push_back({one.socket, static_cast<short>(writes ? POLLOUT : POLLIN), 0});
      }
      ::poll(wait.data(), wait.size(), open.empty() ? -1 : 250);
      if (wait[0].revents != 0) return;
      const std::int64_t now = program::MonotonicMs();
      std::vector<Connection> kept;
      for (std::size_t i = 0; i < open.size(); ++i) {
        Connection& one = open[i];
        bool goes_on = true;
        if (wait[i + 2].revents != 0) goes_on = Serve(one);
        if (goes_on && now > one.until_ms) {
          if (one.reply.empty()) Refused("no request came within 2 s");
          goes_on = false;
        }
        if (goes_on) {
          kept.push_back(std::move(one));
        } else {
          ::close(one.socket);
        }
      }
      open = std::move(kept);
      if (wait[1].revents != 0) Accept(now);
    }
  }

  void Accept(std::int64_t now) {
    for (;;) {
      const int socket = ::accept4(listener, nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC);
      if (socket < 0) return;
      if (open.size() >= kOpenMax) {
        Refused(fmt::format("more than {} connections at once", kOpenMax));
        ::close(open.front().socket);
        open.erase(open.begin());
      }
      Connection one;
      one.socket = socket;
      one.until_ms = now + kRequestMs;
      open.push_back(std::move(one));
    }
  }

  // False: the connection is over.
  bool Serve(Connection& one) {
    std::array<char, 1024> bytes;
    if (one.reply.empty() || one.draining) {
      const ssize_t size = ::recv(one.socket, bytes.data(), bytes.size(), 0);
      if (size < 0) return errno == EAGAIN || errno == EINTR;
      if (size == 0) return false;
      if (one.draining) return true;
      one.request.append(bytes.data(), static_cast<std::size_t>(size));
      if (one.request.find("\r\n\r\n") == std::string::npos &&
          one.request.size() <= kRequestBytesMax && LooksLikeHttp(one.request))
        return true;
      one.reply = Answer(one.request);
    }
    while (one.sent < one.reply.size()) {
      const ssize_t size = ::send(one.socket, one.reply.data() + one.sent,
                                  one.reply.size() - one.sent, MSG_NOSIGNAL);
      if (size < 0) return errno == EAGAIN || errno == EINTR;
      one.sent += static_cast<std::size_t>(size);
    }
    one.draining = true;
    ::shutdown(one.socket, SHUT_WR);
    return true;
  }

  static bool LooksLikeHttp(std::string_view request) {
    constexpr std::string_view kGet = "GET ";
    const std::size_t size = std::min(request.size(), kGet.size());
    return request.substr(0, size) == kGet.substr(0, size);
  }

  std::string Answer(std::string_view request) {
    const std::string_view line = request.substr(0, request.find("\r\n"));
    if (request.find("\r\n\r\n") == std::string_view::npos || !LooksLikeHttp(request)) {
      Refused(request.size() > kRequestBytesMax
                  ? fmt::format("a request of more than {} bytes", kRequestBytesMax)
                  : "no HTTP GET");
      return Response("400 Bad Request", "text/plain", "GET /healthz or /metrics\n");
    }
    const std::string_view path = line.substr(4, line.find(' ', 4) - 4);
    if (path == "/healthz") return Response("200 OK", "text/plain", "ok\n");
    if (path == "/metrics") return Response("200 OK", "text/plain; version=0.0.4", hub.Metrics());
    Refused(fmt::format("GET {}", path.substr(0, 100)));
    return Response("404 Not Found", "text/plain", "GET /healthz or /metrics\n");
  }

  void Refused(std::string_view why) { hub.Refused("health", kWho, why); }

  Hub& hub;
  int listener = -1;
  int stop = -1;
  std::vector<Connection> open;
  std::thread thread;
};

Health::Health(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}

Result<std::unique_ptr<Health>> Health::Start(Hub& hub, std::uint16_t port) {
  auto impl = std::make_unique<Impl>(hub);
  impl->listener = ::socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  impl->stop = ::eventfd(0, EFD_CLOEXEC);
  const int yes = 1;
  ::setsockopt(impl->listener, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  address.sin_port = htons(port);
  if (impl->stop < 0 ||
      ::bind(impl->listener, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0 ||
      ::listen(impl->listener, 64) != 0) {
    return Fail(ErrorCode::kUnavailable,
                fmt::format("127.0.0.1:{}: cannot listen there; another program has the port: name "
                            "another with --health-port",
                            port));
  }
  impl->thread = std::thread([self = impl.get()] { self->Run(); });
  return std::unique_ptr<Health>(new Health(std::move(impl)));
}

Health::~Health() {
  const std::uint64_t one = 1;
  (void)!::write(impl_->stop, &one, sizeof one);
  if (impl_->thread.joinable()) impl_->thread.join();
}

}  // namespace consilium::coordinator
