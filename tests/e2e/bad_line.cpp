#include "tests/e2e/bad_line.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <gtest/gtest.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <netinet/in.h>
#include <poll.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <fstream>

namespace consilium::e2e {
namespace {

constexpr char kDevice[] = "badline";
constexpr std::size_t kPacketBytesMax = 65'535;

std::int64_t NowNs() { return std::chrono::steady_clock::now().time_since_epoch().count(); }

ifreq Named(const char* device) {
  ifreq request{};
  std::strncpy(request.ifr_name, device, IFNAMSIZ - 1);
  return request;
}

// Empty, or what went wrong.
std::string Set(const char* device, unsigned long what, const ifreq& value) {
  const int control = ::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  ifreq request = value;
  const bool done = ::ioctl(control, what, &request) == 0;
  const int error = errno;
  ::close(control);
  return done ? "" : fmt::format("{}: {}", device, std::strerror(error));
}

std::string SetAddress(const char* device, unsigned long what, const char* text) {
  ifreq request = Named(device);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  ::inet_pton(AF_INET, text, &address.sin_addr);
  std::memcpy(&request.ifr_addr, &address, sizeof address);
  return Set(device, what, request);
}

std::string SetUp(const char* device) {
  ifreq request = Named(device);
  request.ifr_flags = IFF_UP | IFF_RUNNING;
  return Set(device, SIOCSIFFLAGS, request);
}

}  // namespace

std::string BadLine::LeaveTheNetwork() {
  static bool left = false;
  if (left) return "";
  const uid_t user = ::getuid();
  if (::unshare(CLONE_NEWNET) != 0) {
    // Without root: as the root of a user namespace, where the machine allows that.
    if (::unshare(CLONE_NEWUSER | CLONE_NEWNET) != 0)
      return fmt::format("no network namespace: {}", std::strerror(errno));
    std::ofstream("/proc/self/uid_map") << fmt::format("0 {} 1\n", user);
  }
  if (std::string wrong = SetUp("lo"); !wrong.empty()) return wrong;
  const int tun = ::open("/dev/net/tun", O_RDWR | O_CLOEXEC);
  if (tun < 0) return fmt::format("/dev/net/tun: {}", std::strerror(errno));
  ::close(tun);
  left = true;
  return "";
}

BadLine::BadLine(const LineOptions& options, std::uint64_t seed)
    : options_(options), rng_(seed, "a bad line") {
  device_ = ::open("/dev/net/tun", O_RDWR | O_CLOEXEC | O_NONBLOCK);
  ifreq request = Named(kDevice);
  request.ifr_flags = IFF_TUN | IFF_NO_PI;
  EXPECT_EQ(::ioctl(device_, TUNSETIFF, &request), 0) << std::strerror(errno);
  EXPECT_EQ(SetAddress(kDevice, SIOCSIFADDR, kHere), "");
  EXPECT_EQ(SetAddress(kDevice, SIOCSIFNETMASK, "255.255.255.0"), "");
  request = Named(kDevice);
  request.ifr_mtu = options.mtu;
  EXPECT_EQ(Set(kDevice, SIOCSIFMTU, request), "");
  // What is lost is lost here, not in the kernel's queue before.
  request = Named(kDevice);
  request.ifr_qlen = 100'000;
  EXPECT_EQ(Set(kDevice, SIOCSIFTXQLEN, request), "");
  EXPECT_EQ(SetUp(kDevice), "");
  EXPECT_EQ(::pipe2(wake_, O_CLOEXEC | O_NONBLOCK), 0);
  thread_ = std::thread([this] { Run(); });
}

BadLine::~BadLine() {
  EXPECT_EQ(::write(wake_[1], "", 1), 1);
  thread_.join();
  for (const int one : {device_, wake_[0], wake_[1]}) ::close(one);
}

LineCounts BadLine::counts() const {
  const std::lock_guard lock(mutex_);
  return counts_;
}

void BadLine::Run() {
  Packet buffer(kPacketBytesMax);
  for (;;) {
    timespec left{};
    if (!waiting_.empty()) {
      const std::int64_t ns = std::max<std::int64_t>(0, waiting_.begin()->first - NowNs());
      left = {ns / 1'000'000'000, ns % 1'000'000'000};
    }
    pollfd wait[] = {{device_, POLLIN, 0}, {wake_[0], POLLIN, 0}};
    ::ppoll(wait, 2, waiting_.empty() ? nullptr : &left, nullptr);
    if ((wait[1].revents & POLLIN) != 0) return;
    const std::int64_t now = NowNs();
    for (;;) {
      const ssize_t size = ::read(device_, buffer.data(), buffer.size());
      if (size <= 0) break;
      Take({buffer.begin(), buffer.begin() + size}, now);
    }
    while (!waiting_.empty() && waiting_.begin()->first <= now) {
      const Packet& packet = waiting_.begin()->second;
      (void)!::write(device_, packet.data(), packet.size());
      waiting_.erase(waiting_.begin());
    }
  }
}

void BadLine::Take(Packet packet, std::int64_t now_ns) {
  constexpr std::size_t kHeader = 20;  // IPv4's; the ports follow
  if (packet.size() < kHeader + 4 || packet[0] != 0x45) return;
  const std::lock_guard lock(mutex_);
  ++counts_.packets;
  counts_.bytes += packet.size();
  const auto port = [&](std::size_t at) {
    return static_cast<std::uint16_t>(packet[at] << 8 | packet[at + 1]);
  };
  std::int64_t at_ns = now_ns;
  bool lost = rng_.Chance(options_.loss);
  if (options_.bytes_per_s > 0) {
    std::int64_t& free_at = free_at_ns_[{port(kHeader), port(kHeader + 2)}];
    free_at = std::max(free_at, now_ns);
    const auto ns = [&](std::int64_t bytes) {
      return bytes * 1'000'000'000 / options_.bytes_per_s;
    };
    lost = lost || free_at - now_ns > ns(options_.queue_bytes);
    if (!lost) at_ns = free_at += ns(static_cast<std::int64_t>(packet.size()));
  }
  if (lost) {
    ++counts_.lost;
    return;
  }
  const auto jitter_ns = static_cast<std::int64_t>((2 * rng_.Uniform() - 1) * 1e6 *
                                                   static_cast<double>(options_.jitter_ms));
  at_ns += 1'000'000 * options_.delay_ms + jitter_ns;
  // From kHere to kThere becomes from kThere to kHere; the checksums stay what they are.
  std::swap_ranges(packet.begin() + 12, packet.begin() + 16, packet.begin() + 16);
  waiting_.emplace(at_ns, std::move(packet));
}

}  // namespace consilium::e2e
