// clusterctl shutdown: stops every worker in order, then the daemon, and waits until it is gone.
#include <fmt/format.h>

#include "clusterctl/interrupt.hpp"
#include "clusterctl/operation.hpp"
#include "clusterctl/verb.hpp"
#include "ctl/documents.hpp"
#include "sys/clock.hpp"
#include "sys/process.hpp"

namespace cluster::clusterctl {
namespace {

/// Between two looks at a socket whose keeper's pid says nothing to us (another pid namespace).
constexpr Duration kPause = std::chrono::milliseconds{50};

class ShutdownVerb final : public Verb {
public:
    [[nodiscard]] VerbInfo info() const override {
        return {.name = "shutdown",
                .aliases = {"kill"},
                .usage = "[options]",
                .summary = "Stop all workers and the daemon"};
    }
    void declare(OptionSink& options) override { wait_.declare(options); }

    [[nodiscard]] int run(Session& session) override {
        const std::optional<Duration> limit = wait_.limit();
        const Instant start = sys::monotonic_now();
        Client client(session.directories());
        client.connect();
        const ctl::VersionAnswer version = client.version();
        sys::UniqueFd keeper = open_keeper(client, version.pid);
        ctl::OperationAnswer operation = client.change(ctl::request::Shutdown{});
        if (!wait_.no_wait) {
            client.set_reconnecting(false);
            operation = wait_for_workers(session, client, std::move(operation), limit);
            const bool is_late = operation.state == "pending" ||
                                 !is_gone(client, std::move(keeper),
                                          limit ? std::optional(start + *limit) : std::nullopt);
            if (is_late) {
                throw Failure(kFailed, "failed", "the daemon is still there after " + wait_.timeout,
                              "it goes on stopping; see clusterctl status");
            }
        }
        if (session.options().is_json) {
            print(ctl::operation_document(operation, std::nullopt));
        } else {
            print(wait_.no_wait ? "the daemon is stopping\n"
                                : fmt::format("the daemon (pid {}) has stopped\n", version.pid));
        }
        return kDone;
    }

private:
    /// The daemon may end between the last worker and our question: then everything is stopped.
    static ctl::OperationAnswer wait_for_workers(Session& session, Client& client,
                                                 ctl::OperationAnswer operation,
                                                 std::optional<Duration> limit) {
        try {
            return wait_until_settled(session, client, operation, limit);
        } catch (const Failure& failure) {
            if (failure.exit_code != kNoDaemon) throw;
        }
        operation.state = "done";
        operation.instances.clear();
        return operation;
    }

    /// A handle of the keeper, opened while it certainly lives. None where its number means nothing
    /// to us: it runs in another pid namespace.
    static sys::UniqueFd open_keeper(const Client& client, std::int32_t pid) {
        if (client.listener_pid() != pid) return {};
        Result<sys::UniqueFd> opened = sys::open_pidfd(pid);
        return opened ? std::move(*opened) : sys::UniqueFd();
    }

    /// Waits until nobody is left: for the keeper's end, and for that of another one that has taken
    /// over from it and goes on with the shutdown. False: the deadline came first.
    static bool is_gone(Client& client, sys::UniqueFd keeper, std::optional<Instant> deadline) {
        const Interrupt interrupt;
        while (keeper.is_open() || client.try_connect()) {
            const Instant now = sys::monotonic_now();
            if (deadline && now >= *deadline) return false;
            const Woken woken = wait_for(keeper.get(), false, interrupt.descriptor(),
                                         keeper.is_open() ? deadline : std::optional(now + kPause));
            if (woken == Woken::interrupted) {
                throw Failure(kInterrupted, "interrupted",
                              "not waiting any more; the daemon goes on stopping");
            }
            if (woken != Woken::ready) continue;
            keeper.reset();
            if (!client.try_connect()) return true;
            keeper = open_keeper(client, client.listener_pid());
        }
        return true;
    }

    WaitOptions wait_;
};

}  // namespace

std::unique_ptr<Verb> make_shutdown() {
    return std::make_unique<ShutdownVerb>();
}

}  // namespace cluster::clusterctl
