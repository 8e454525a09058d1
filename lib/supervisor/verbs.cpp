// Requests about single instances that change nothing of what is wanted: signal, reset, describe.
#include <fmt/core.h>

#include <variant>

#include "core/selector.hpp"
#include "supervisor/describe.hpp"
#include "supervisor/requests.hpp"
#include "supervisor/wording.hpp"

namespace cluster::supervisor {
namespace {

tl::unexpected<ctl::RpcError> refuse(ctl::ErrorCode code, std::string message) {
    return tl::unexpected(
        ctl::RpcError{.code = code, .message = std::move(message), .diagnostics = {}});
}

}  // namespace

/// Each place once, in the order of status; retired and incoming ones only where `with_others` says
/// so.
tl::expected<std::vector<const core::Place*>, ctl::RpcError> Requests::select(
    const std::vector<std::string>& selectors, bool with_others) const {
    std::vector<const core::Place*> selected;
    std::vector<bool> has_match(selectors.size(), false);
    for (const core::Place* place : fleet_.places()) {
        if (place->role != core::Role::current && !with_others) continue;
        const core::WorkerSpec& spec = fleet_.worker(place->worker)->spec;
        bool is_named = false;
        for (std::size_t i = 0; i < selectors.size(); ++i) {
            if (!core::selects(selectors[i], spec.name, place->number, spec.group)) continue;
            has_match[i] = true;
            is_named = true;
        }
        if (is_named) selected.push_back(place);
    }
    for (std::size_t i = 0; i < selectors.size(); ++i) {
        if (!has_match[i] && selectors[i] != "all") {
            return refuse(ctl::ErrorCode::no_match,
                          fmt::format("nothing matches {}", selectors[i]));
        }
    }
    return selected;
}

Requests::Reply Requests::signal(const ctl::request::Signal& request) {
    const auto selected = select(request.selectors, true);
    if (!selected) return tl::unexpected(selected.error());
    ctl::OperationAnswer answer;
    answer.state = "done";
    std::size_t skipped = 0;
    std::string first_skipped;
    for (const core::Place* place : *selected) {
        const Run run{place->slot, place->instance.generation};
        const std::string id =
            core::instance_id(fleet_.worker(place->worker)->spec.name, place->number);
        if (!mains_.signal_main(run, request.signal)) {
            if (skipped++ == 0) first_skipped = id;
            continue;
        }
        answer.selected.push_back(id);
        ++answer.done;
    }
    if (answer.done == 0) {
        return refuse(ctl::ErrorCode::refused, "nothing of what was named is running");
    }
    if (skipped > 0) {
        answer.notes.push_back(
            skipped == 1 ? fmt::format("{}: not running", first_skipped)
                         : fmt::format("{} and {} more: not running", first_skipped, skipped - 1));
    }
    return answer;
}

Requests::Reply Requests::reset(const std::vector<std::string>& selectors, Instant now) {
    const auto selected = select(selectors, false);
    if (!selected) return tl::unexpected(selected.error());
    std::vector<Slot> slots;
    for (const core::Place* place : *selected) slots.push_back(place->slot);
    fleet_.begin_operation();
    for (const Slot slot : slots) fleet_.reset(slot, now);
    return operation_now(
        {fmt::format("{}: failures forgotten",
                     slots.size() == 1 ? "1 instance" : fmt::format("{} instances", slots.size()))},
        now);
}

Requests::Reply Requests::describe_selected(const std::vector<std::string>& selectors,
                                            Instant now) {
    const auto selected = select(selectors, true);
    if (!selected) return tl::unexpected(selected.error());
    if (selected->size() > kMaxDescribed) {
        return refuse(ctl::ErrorCode::refused,
                      fmt::format("{} instances match, and at most {} are described at once: name "
                                  "fewer",
                                  selected->size(), kMaxDescribed));
    }
    const DaemonRecord& daemon = records_.daemon();
    ctl::StatusAnswer status;
    if (!selected->empty()) {
        status = status_.read({selectors}, {daemon.config, daemon.log_dir}, now);
    }
    ctl::DescribeAnswer answer;
    for (std::size_t i = 0; i < selected->size() && i < status.workers.size(); ++i) {
        const core::Place& place = *(*selected)[i];
        answer.instances.push_back(describe_instance(fleet_, records_, sockets_, place,
                                                     std::move(status.workers[i]), now));
        answer.instances.back().channel =
            status_.channel_of({place.slot, place.instance.generation}, now);
        status_.add_health(place, answer.instances.back());
    }
    return answer;
}

}  // namespace cluster::supervisor
