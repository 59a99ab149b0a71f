#include "coordinator/health.h"

#include <fmt/format.h>
#include <httplib.h>

#include <thread>

namespace consilium::coordinator {

struct Health::Impl {
  httplib::Server server;
  std::thread thread;
};

Health::Health(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}

Result<std::unique_ptr<Health>> Health::Start(Hub& hub, std::uint16_t port) {
  auto impl = std::make_unique<Impl>();
  impl->server.new_task_queue = [] { return new httplib::ThreadPool(1); };
  impl->server.set_read_timeout(5);
  impl->server.set_payload_max_length(1024);
  impl->server.Get("/healthz", [](const httplib::Request&, httplib::Response& response) {
    response.set_content("ok\n", "text/plain");
  });
  impl->server.Get("/metrics", [&hub](const httplib::Request&, httplib::Response& response) {
    response.set_content(hub.Metrics(), "text/plain; version=0.0.4");
  });
  if (!impl->server.bind_to_port("127.0.0.1", port)) {
    return Fail(ErrorCode::kUnavailable,
                fmt::format("127.0.0.1:{}: cannot listen there; another program has the port: name "
                            "another with --health-port",
                            port));
  }
  impl->thread = std::thread([server = &impl->server] { server->listen_after_bind(); });
  return std::unique_ptr<Health>(new Health(std::move(impl)));
}

Health::~Health() {
  impl_->server.stop();
  if (impl_->thread.joinable()) impl_->thread.join();
}

}  // namespace consilium::coordinator
