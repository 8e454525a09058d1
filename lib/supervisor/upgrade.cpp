#include "supervisor/upgrade.hpp"

#include <fmt/core.h>

#include <cstdlib>
#include <cstring>
#include <vector>

#include "supervisor/events.hpp"
#include "supervisor/log.hpp"
#include "supervisor/state_file.hpp"
#include "sys/file.hpp"
#include "wire/estate.hpp"

namespace cluster::supervisor {
namespace {

/// It has to start and to look at a few words. Unit: seconds, for timeout(1).
constexpr const char* kTrialPatience = "10";

}  // namespace

bool Upgrade::handle(const ClientRequest& request, bool is_shutting_down) {
    const auto* wanted = std::get_if<ctl::request::Upgrade>(&request.request.method);
    if (wanted == nullptr) return false;
    const auto refuse_this = [&](ctl::ErrorCode code, std::string message) {
        const ctl::RpcError error{
            .code = code, .message = std::move(message), .diagnostics = {}};
        clients_.answer(request.client, ctl::render_error(request.request.id, error), {});
        return true;
    };
    if (is_shutting_down) {
        return refuse_this(ctl::ErrorCode::shutting_down, "the daemon is shutting down");
    }
    if (!keeper_.copies().is_complete()) {
        return refuse_this(ctl::ErrorCode::refused,
                           "the limit of open files is too low for a way back, should the other "
                           "program fail: raise it (ulimit -Hn, LimitNOFILE=) and start the daemon "
                           "again");
    }
    if (asked_) return refuse_this(ctl::ErrorCode::refused, "an upgrade is under way already");
    if (wanted->program.empty() || wanted->program.front() != '/' ||
        !sys::is_executable(wanted->program)) {
        return refuse_this(
            ctl::ErrorCode::refused,
            fmt::format("{} is no program that the daemon could execute: name a clusterd by its "
                        "absolute path",
                        wanted->program));
    }
    asked_ = {request.client, request.request.id, wanted->program};
    std::vector<std::string> trial{"timeout", "--signal=KILL", kTrialPatience};
    if (const char* supervisor = std::getenv("CLUSTER_SUPERVISOR")) {
        trial.insert(trial.end(), {"env", fmt::format("CLUSTER_SUPERVISOR={}", supervisor)});
    }
    trial.push_back(wanted->program);
    trial.push_back("--succeeds=" + versions_for_successor());
    jobs_.start(std::move(trial), [this](const std::string& failure) { on_tried(failure); });
    return true;
}

void Upgrade::on_tried(const std::string& failure) {
    is_due_ = failure.empty();
    if (is_due_) return;
    refuse(fmt::format("{} cannot take over from this daemon ({}); the daemon's log says why. "
                       "Nothing has changed",
                       asked_->program, failure));
}

bool Upgrade::carry_out() {
    is_due_ = false;
    const auto done = keeper_.upgrade(asked_->program);
    if (done) return true;
    if (!keeper_.is_broken()) {
        refuse(fmt::format("the keeper cannot become {}: {}: {}. Nothing has changed",
                           asked_->program, op_name(done.error().op),
                           std::strerror(done.error().code)));
    }
    return false;
}

void Upgrade::refuse(std::string message) {
    log::warn("upgrade: " + message);
    journal_.add(EventLine("refused").text("method", "daemon.upgrade").text("message", message));
    const ctl::RpcError error{
        .code = ctl::ErrorCode::refused, .message = std::move(message), .diagnostics = {}};
    clients_.answer(asked_->client, ctl::render_error(asked_->id, error), {});
    asked_.reset();
}

std::string versions_for_successor() {
    return fmt::format("{}/{}", wire::succession_versions(), kStateVersion);
}

}  // namespace cluster::supervisor
