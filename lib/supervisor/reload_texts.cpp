#include "supervisor/reload_texts.hpp"

#include <fmt/core.h>

#include <set>

#include "supervisor/requests.hpp"
#include "supervisor/requirements.hpp"
#include "supervisor/wording.hpp"

namespace cluster::supervisor {
namespace {

/// Nothing but the failure of another one of its worker is known of it.
bool is_untouched(const core::Reload& reload) {
    return !reload.exit.has_value();
}

std::string failure_of_new_run(const core::Fleet& fleet, const core::Place& place) {
    const core::WorkerSpec& spec = fleet.worker(place.worker)->spec;
    core::Instance failed;
    failed.history.last_exit = place.reload.exit;
    return failure_text(spec, failed);
}

std::string progress_text(const core::Fleet& fleet, const core::Place& place, Instant now) {
    switch (place.reload.phase) {
        case core::ReloadPhase::none:
            break;
        case core::ReloadPhase::queued:
            return "its turn to be reloaded has not come";
        case core::ReloadPhase::overlapping:
            if (const core::Place* const other = fleet.incoming(place)) {
                return "the new run: " + pending_text(fleet, *other, now);
            }
            break;
        case core::ReloadPhase::restarting:
            return pending_text(fleet, place, now);
        case core::ReloadPhase::signalled:
            return core::is_reloading(place.instance)
                       ? "it reloads itself, and has to say READY=1 within start_timeout"
                       : "told to reload itself, has to outlive min_uptime";
    }
    return "being reloaded";
}

}  // namespace

bool is_of_reload(const core::Place& place, Epoch epoch) {
    const core::Reload& reload = place.reload;
    return place.role == core::Role::current &&
           (reload.next == epoch ||
            (reload.outcome != core::Outcome::none && reload.epoch == epoch) ||
            (reload.former_outcome != core::Outcome::none && reload.former == epoch));
}

void describe_reload(const core::Fleet& fleet, const core::Place& place, core::Outcome outcome,
                     const std::string& error_log, Instant now, ctl::InstanceOutcome& result) {
    if (outcome == core::Outcome::pending) {
        result.detail = progress_text(fleet, place, now);
        return;
    }
    result.is_serving = core::is_ready(place.instance);
    if (is_untouched(place.reload)) {
        result.detail = "not replaced, because the reload ended at another instance";
    } else {
        result.detail = failure_of_new_run(fleet, place);
        using Kind = core::ExitStatus::Kind;
        if (place.reload.exit->status.kind != Kind::spawn_failed) result.err_log = error_log;
    }
    if (result.is_serving) result.detail = *result.detail + "; the old run still serves";
}

std::optional<std::string_view> reload_word(const core::Fleet& fleet, const core::Place& place) {
    switch (place.role) {
        case core::Role::incoming:
            return "new";
        case core::Role::retired: {
            const core::Worker& worker = *fleet.worker(place.worker);
            if (place.number >= worker.slots.size()) return std::nullopt;  // scaled away
            const core::Place* const current = fleet.find(worker.slots[place.number]);
            if (current == nullptr) return std::nullopt;
            // What was started for the operation that ended this one has taken its place; else it
            // is this one that did not prove itself.
            return current->instance.epoch < place.instance.epoch ? "new" : "old";
        }
        case core::Role::current:
            break;
    }
    switch (place.reload.phase) {
        case core::ReloadPhase::none:
            return std::nullopt;
        case core::ReloadPhase::queued:
            return "queued";
        case core::ReloadPhase::overlapping:
            return "old";
        case core::ReloadPhase::restarting:
            return "restarting";
        case core::ReloadPhase::signalled:
            return "signalled";
    }
    return std::nullopt;
}

std::optional<std::string> reload_failure_text(const core::Fleet& fleet, const core::Place& place) {
    const core::Reload& reload = place.reload;
    const bool has_failed =
        reload.outcome == core::Outcome::failed || (reload.outcome == core::Outcome::pending &&
                                                    reload.former_outcome == core::Outcome::failed);
    if (!has_failed) return std::nullopt;
    if (is_untouched(reload)) return "it ended at another instance";
    return failure_of_new_run(fleet, place);
}

std::vector<std::string> reload_warnings(const core::Fleet& fleet,
                                         const std::vector<const core::Place*>& places) {
    std::vector<std::string> warnings;
    std::set<std::uint32_t> seen;
    for (const core::Place* place : places) {
        if (place->instance.desired == core::Desired::down) continue;
        if (fleet.reload_mode_of(*place) != core::ReloadMode::stop_first) continue;
        if (!seen.insert(place->worker).second) continue;
        const core::WorkerSpec& spec = fleet.worker(place->worker)->spec;
        warnings.push_back(fmt::format(
            "{}: each instance is stopped before its successor starts, so requests may be lost; a "
            "server whose instances can listen side by side takes reload = {{ mode = \"overlap\" "
            "}}",
            spec.name));
    }
    return warnings;
}

// --- the request ---

Requests::Reply Requests::reload(const ctl::request::Reload& request, Instant now) {
    const auto selected = select(request.selectors, false);
    if (!selected) return tl::unexpected(selected.error());
    std::vector<Slot> slots;
    for (const core::Place* place : *selected) {
        const bool is_meant_up = place->instance.desired == core::Desired::up &&
                                 !std::holds_alternative<core::Exited>(place->instance.state);
        if (is_meant_up) slots.push_back(place->slot);
    }
    if (slots.empty()) {
        return tl::unexpected(ctl::RpcError{
            .code = ctl::ErrorCode::refused,
            .message = "nothing of what was named is up, so there is nothing to replace: start it",
            .diagnostics = {}});
    }
    std::vector<std::string> notes = reload_warnings(fleet_, *selected);
    if (slots.size() < selected->size()) {
        const std::size_t down = selected->size() - slots.size();
        notes.push_back(fmt::format("{} instance{} not up and stay{} as {}", down,
                                    down == 1 ? " is" : "s are", down == 1 ? "s" : "",
                                    down == 1 ? "it is" : "they are"));
    }
    fleet_.begin_operation();
    fleet_.reload(slots, request.force, now);
    return operation_now(std::move(notes), now);
}

}  // namespace cluster::supervisor
