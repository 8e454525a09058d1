// Config files: read, planned, and carried out whole or not at all.
#include <fmt/core.h>

#include <cstdlib>
#include <cstring>
#include <utility>

#include "conf/load.hpp"
#include "supervisor/events.hpp"
#include "supervisor/log.hpp"
#include "supervisor/reload_texts.hpp"
#include "supervisor/requests.hpp"
#include "sys/file.hpp"

namespace cluster::supervisor {
namespace {

tl::unexpected<ctl::RpcError> refuse(ctl::ErrorCode code, std::string message) {
    return tl::unexpected(
        ctl::RpcError{.code = code, .message = std::move(message), .diagnostics = {}});
}

/// check_plan has made sure that there is room.
tl::unexpected<ctl::RpcError> surprise(const std::string& worker) {
    return refuse(
        ctl::ErrorCode::internal_error,
        fmt::format("worker {}: the fleet refused it after its plan was checked", worker));
}

/// PATH for a file that nobody hands us: as its workers have it, else our own.
std::string path_of_workers(const core::Fleet& fleet, const std::string& file) {
    for (const core::Worker* worker : fleet.workers()) {
        if (worker->spec.source == file) return worker->spec.launch.base_path;
    }
    const char* own = std::getenv("PATH");
    return own == nullptr ? "" : own;
}

bool has_sockets(const core::Config& config) {
    return std::any_of(
        config.workers.begin(), config.workers.end(),
        [](const core::WorkerSpec& spec) { return !core::sockets_of(spec).empty(); });
}

}  // namespace

tl::expected<LoadPlan, ctl::RpcError> Requests::load(core::Config config, const std::string& path,
                                                     Scope scope, Instant now) {
    LoadPlan plan = plan_load(fleet_, std::move(config), path, scope);
    if (auto error = check_plan(fleet_, plan)) return tl::unexpected(std::move(*error));
    if (const auto name = carry_out(fleet_, plan, now)) return surprise(*name);
    note_config(journal_, path, plan.workers);
    return plan;
}

tl::expected<core::Config, ctl::RpcError> Requests::read_config(const ctl::request::Load& request,
                                                                Scope scope) const {
    std::vector<std::string> known;
    for (const core::Worker* worker : fleet_.workers()) {
        // Of an exact set, a worker of this file is known only by standing in it.
        const bool may_go = scope == Scope::exact && worker->spec.source == request.path;
        if (!may_go) known.push_back(worker->spec.name);
    }
    auto config = conf::load(request.text, {.path = request.path,
                                            .base_path = request.base_path,
                                            .known_workers = std::move(known),
                                            .known_stores = stores_.names(),
                                            .minimum_store_size = &minimum_store_size});
    if (!config) {
        const std::size_t count = config.error().size();
        ctl::RpcError error{
            .code = ctl::ErrorCode::bad_config,
            .message = fmt::format("{}: {} mistake{}", request.path, count, count == 1 ? "" : "s"),
            .diagnostics = {}};
        for (const conf::Diagnostic& diagnostic : config.error())
            error.diagnostics.push_back(conf::format(diagnostic));
        return tl::unexpected(std::move(error));
    }
    if (is_foreign(config->daemon, request.path) && !can_adopt(config->daemon)) {
        return refuse(ctl::ErrorCode::refused,
                      fmt::format("{}: its [daemon] table differs from that of the running daemon: "
                                  "shut the daemon down first, or remove the table",
                                  request.path));
    }
    if (auto mistake = stores_.mistake_in(config->stores)) {
        return refuse(ctl::ErrorCode::refused, fmt::format("{}: {}", request.path, *mistake));
    }
    return std::move(*config);
}

/// Whether the file's [daemon] table is another one. A file without it says nothing about it,
/// except the one that the remembered table came from.
bool Requests::is_foreign(const core::DaemonSpec& spec, const std::string& path) const {
    const DaemonRecord& daemon = records_.daemon();
    const bool has_lost_it = daemon.is_remembered && daemon.config == path;
    return spec != daemon.spec && (spec != core::DaemonSpec{} || has_lost_it);
}

/// A daemon that was started without a config takes the [daemon] table of the first file that has
/// one, also instead of the one that it remembers; where logs go to only while nothing writes them,
/// or while nobody has said it in its time.
bool Requests::can_adopt(const core::DaemonSpec& spec) const {
    const DaemonRecord& daemon = records_.daemon();
    if (daemon.is_remembered) return true;
    if (daemon.config || daemon.spec != core::DaemonSpec{}) return false;
    return !spec.log_dir || *spec.log_dir == daemon.log_dir || fleet_.places().empty();
}

std::optional<ctl::RpcError> Requests::adopt(const core::DaemonSpec& spec) {
    DaemonRecord daemon = records_.daemon();
    if (spec.log_dir && *spec.log_dir != daemon.log_dir) {
        if (auto made = sys::make_directories(*spec.log_dir, 0750); !made) {
            return ctl::RpcError{
                .code = ctl::ErrorCode::refused,
                .message = fmt::format("cannot use the log directory {}: {}", *spec.log_dir,
                                       std::strerror(made.error().code)),
                .diagnostics = {}};
        }
        daemon.log_dir = *spec.log_dir;
        journal_.open(events_file(daemon.log_dir));
    }
    if (spec.log_level != daemon.spec.log_level) log::open(spec.log_level);
    fleet_.set_parallel_starts(spec.parallel_starts);
    daemon.spec = spec;
    daemon.is_remembered = false;
    records_.store_daemon(std::move(daemon));
    return std::nullopt;
}

Requests::Reply Requests::load_text(const ctl::request::Load& request, Scope scope, bool is_dry_run,
                                    Instant now) {
    auto config = read_config(request, scope);
    if (!config) return tl::unexpected(std::move(config.error()));
    if (is_dry_run) {
        LoadPlan plan = plan_load(fleet_, std::move(*config), request.path, scope);
        if (auto error = check_plan(fleet_, plan)) return tl::unexpected(std::move(*error));
        ctl::OperationAnswer answer;
        answer.state = "done";
        answer.plan = std::move(plan.workers);
        return answer;
    }
    const std::optional<core::ChannelSpec> channel = config->channel;
    const bool has_table = config->daemon != core::DaemonSpec{};
    const bool is_adopting = is_foreign(config->daemon, request.path);
    if (is_adopting || has_sockets(*config)) {
        // Only with a file that will be accepted.
        const LoadPlan plan = plan_load(fleet_, *config, request.path, scope);
        auto error = check_plan(fleet_, plan);
        if (!error) error = open_sockets(plan.config.workers, plan.removed, now);
        if (!error && is_adopting) error = adopt(config->daemon);
        if (error) return tl::unexpected(std::move(*error));
    }
    const std::vector<core::StoreSpec> described = config->stores;
    auto plan = load(std::move(*config), request.path, scope, now);
    if (!plan) return tl::unexpected(std::move(plan.error()));
    // Before this turn's spawns, which come after it was stored.
    stores_.describe(described);
    const bool is_confirmed = has_table && records_.daemon().is_remembered;
    const bool is_other_channel = channel && *channel != records_.daemon().channel;
    if (!records_.daemon().config || is_other_channel || is_confirmed) {
        DaemonRecord daemon = records_.daemon();
        if (has_table) daemon.is_remembered = false;
        if (!daemon.config) daemon.config = request.path;
        if (channel) daemon.channel = *channel;
        records_.store_daemon(std::move(daemon));
    }
    std::vector<const core::Place*> reloaded;
    for (const core::Place* place : fleet_.places()) {
        if (place->role != core::Role::current) continue;
        const bool is_next = place->reload.next == fleet_.last_epoch();
        if (place->reload.epoch == fleet_.last_epoch() || is_next) reloaded.push_back(place);
    }
    ctl::OperationAnswer answer = operation_now(reload_warnings(fleet_, reloaded), now);
    answer.plan = std::move(plan->workers);
    return answer;
}

void Requests::reload_config(Instant now) {
    if (records_.is_shutting_down()) return;
    const std::optional<std::string> path = records_.daemon().config;
    if (!path) {
        log::warn("asked to read the config again, but none was loaded");
        return;
    }
    const auto text = sys::read_regular_file(*path, conf::kMaxTextSize + 1);
    if (!text) {
        log::error(
            fmt::format("{}: {}; nothing was changed", *path, std::strerror(text.error().code)));
        return;
    }
    const Reply reply =
        load_text({*path, *text, path_of_workers(fleet_, *path)}, Scope::exact, false, now);
    if (reply) {
        log::info(fmt::format("{}: read again", *path));
        return;
    }
    log::error(reply.error().message + "; nothing was changed");
    for (const std::string& diagnostic : reply.error().diagnostics) log::error(diagnostic);
}

}  // namespace cluster::supervisor
