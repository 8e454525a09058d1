#include "supervisor/events.hpp"

#include <algorithm>
#include <string_view>
#include <variant>

#include "base/overloaded.hpp"
#include "json/text.hpp"
#include "supervisor/wording.hpp"

namespace cluster::supervisor {
namespace {

/// Selectors and changed workers beyond it are left out: a line is for reading.
constexpr std::size_t kMostNamed = 64;
constexpr std::size_t kMostBytes = std::size_t{16} << 10U;

std::vector<std::string> first_of(const std::vector<std::string>& names) {
    const std::size_t count = std::min(names.size(), kMostNamed);
    return {names.begin(), names.begin() + static_cast<std::ptrdiff_t>(count)};
}

/// Adds the method and what it is about. False for methods that change nothing.
struct Naming {
    EventLine& event;

    bool named(const char* method, const std::vector<std::string>& selectors) const {
        event.text("method", method).texts("selectors", first_of(selectors));
        return true;
    }
    bool operator()(const ctl::request::Version&) const { return false; }
    bool operator()(const ctl::request::Status&) const { return false; }
    bool operator()(const ctl::request::Describe&) const { return false; }
    bool operator()(const ctl::request::Wait&) const { return false; }
    bool operator()(const ctl::request::ListStores&) const { return false; }
    /// Whoever has the descriptor may change what is in it.
    bool operator()(const ctl::request::OpenStore& r) const {
        event.text("method", "store.open").text("store", r.name);
        return true;
    }
    bool operator()(const ctl::request::Send&) const { return false; }
    bool operator()(const ctl::request::Publish&) const { return false; }
    bool operator()(const ctl::request::Follow&) const { return false; }
    bool operator()(const ctl::request::Shutdown&) const {
        event.text("method", "daemon.shutdown");
        return true;
    }
    /// Told just before it is done (Supervisor::make_room_for_next_keeper), or refused (Upgrade).
    bool operator()(const ctl::request::Upgrade&) const { return false; }
    bool operator()(const ctl::request::Start& r) const {
        return named("workers.start", r.selectors);
    }
    bool operator()(const ctl::request::Stop& r) const {
        return named("workers.stop", r.selectors);
    }
    bool operator()(const ctl::request::Restart& r) const {
        return named("workers.restart", r.selectors);
    }
    bool operator()(const ctl::request::Reload& r) const {
        return named("workers.reload", r.selectors);
    }
    bool operator()(const ctl::request::Delete& r) const {
        return named("workers.delete", r.selectors);
    }
    bool operator()(const ctl::request::Reset& r) const {
        return named("workers.reset", r.selectors);
    }
    bool operator()(const ctl::request::Rotate& r) const {
        return named("logs.rotate", r.selectors);
    }
    bool operator()(const ctl::request::Signal& r) const {
        named("workers.signal", r.selectors);
        event.text("signal", signal_text(r.signal));
        return true;
    }
    bool operator()(const ctl::request::Load& r) const {
        event.text("method", "workers.load").text("file", r.path);
        return true;
    }
    bool operator()(const ctl::request::Apply& r) const {
        event.text("method", "workers.apply").text("file", r.path);
        return !r.dry_run;
    }
    bool operator()(const ctl::request::Add& r) const {
        event.text("method", "workers.add").text("worker", r.spec.name);
        return true;
    }
    bool operator()(const ctl::request::Scale& r) const {
        event.text("method", "workers.scale").text("worker", r.name);
        if (r.instances) event.number("instances", *r.instances);
        if (r.delta) event.number("delta", *r.delta);
        return true;
    }
};

}  // namespace

void note_request(Journal& journal, const ClientRequest& request,
                  const tl::expected<ctl::Answer, ctl::RpcError>& reply) {
    EventLine event(reply ? "operation" : "refused");
    if (!std::visit(Naming{event}, request.request.method)) return;
    if (!reply) {
        event.text("message", std::string_view(reply.error().message).substr(0, 1024));
    } else if (const auto* operation = std::get_if<ctl::OperationAnswer>(&*reply)) {
        event.number("operation", static_cast<std::int64_t>(operation->operation));
    }
    event.number("by_pid", request.peer.pid).number("by_uid", request.peer.uid);
    journal.add(event);
}

void note_config(Journal& journal, const std::string& path,
                 const std::vector<ctl::PlannedWorker>& plan) {
    if (plan.empty()) return;
    std::string workers = "[";
    std::size_t count = 0;
    std::int64_t unchanged = 0;
    for (const ctl::PlannedWorker& worker : plan) {
        if (worker.action == "unchanged") {
            ++unchanged;
            continue;
        }
        ++count;
        if (count > kMostNamed || workers.size() > kMostBytes) continue;
        std::vector<std::string> keys;
        for (const ctl::PlannedChange& change : worker.changes) keys.push_back(change.key);
        std::string object = "{\"worker\":" + json::quote(worker.worker) +
                             ",\"action\":" + json::quote(worker.action) + ",\"keys\":[";
        for (std::size_t i = 0; i < keys.size() && i < kMostNamed; ++i) {
            object += (i == 0 ? "" : ",") + json::quote(keys[i]);
        }
        workers += (workers.size() > 1 ? "," : "") + object + "]}";
    }
    journal.add(EventLine("config")
                    .text("file", path)
                    .json("workers", workers + "]")
                    .number("changed", static_cast<std::int64_t>(count))
                    .number("unchanged", unchanged));
}

}  // namespace cluster::supervisor
