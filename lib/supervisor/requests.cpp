#include "supervisor/requests.hpp"

#include <fmt/core.h>

#include <algorithm>
#include <cstring>
#include <set>
#include <utility>

#include "base/overloaded.hpp"
#include "core/selector.hpp"
#include "supervisor/events.hpp"
#include "supervisor/reload_texts.hpp"
#include "supervisor/requirements.hpp"
#include "supervisor/wording.hpp"
#include "sys/memory.hpp"
#include "wire/table.hpp"

namespace cluster::supervisor {
namespace {

/// A table of about 50 instances. Unit: bytes.
constexpr std::size_t kLargeAnswer = std::size_t{16} << 10U;

tl::unexpected<ctl::RpcError> refuse(ctl::ErrorCode code, std::string message) {
    return tl::unexpected(
        ctl::RpcError{.code = code, .message = std::move(message), .diagnostics = {}});
}

ctl::RpcError refusal_error(core::Refusal refusal, const std::string& name) {
    switch (refusal) {
        case core::Refusal::none:
            break;
        case core::Refusal::no_such_worker:
            return {.code = ctl::ErrorCode::no_match,
                    .message = "no worker " + name,
                    .diagnostics = {}};
        case core::Refusal::name_taken:
            return {.code = ctl::ErrorCode::name_taken,
                    .message = fmt::format(
                        "there is already a worker {}: choose another --name, or delete it first",
                        name),
                    .diagnostics = {}};
        case core::Refusal::too_many_instances:
            return {.code = ctl::ErrorCode::refused,
                    .message = fmt::format(
                        "worker {}: too many instances; a worker may have {}, the daemon {}", name,
                        core::kMaxInstancesPerWorker, kWorkerSlots),
                    .diagnostics = {}};
        case core::Refusal::too_many_workers:
            return {.code = ctl::ErrorCode::refused,
                    .message = fmt::format("too many workers: the daemon may have {}", kMaxWorkers),
                    .diagnostics = {}};
    }
    return {.code = ctl::ErrorCode::internal_error, .message = "refused", .diagnostics = {}};
}

/// What a shutdown leaves no room for. A second wish to shut down is the first one's: its client
/// may have lost its connection.
bool is_changing(const ctl::Method& method) {
    return !std::holds_alternative<ctl::request::Version>(method) &&
           !std::holds_alternative<ctl::request::Status>(method) &&
           !std::holds_alternative<ctl::request::Describe>(method) &&
           !std::holds_alternative<ctl::request::Rotate>(method) &&
           !std::holds_alternative<ctl::request::Shutdown>(method) &&
           !std::holds_alternative<ctl::request::ListStores>(method) &&
           !std::holds_alternative<ctl::request::OpenStore>(method) &&
           !std::holds_alternative<ctl::request::Wait>(method);
}

/// Nothing the run itself wrote explains that it could not be started, only what earlier runs
/// wrote.
bool has_spoken(const core::Instance& instance) {
    const auto& last = instance.history.last_exit;
    if (std::holds_alternative<core::Waiting>(instance.state)) return false;
    return last && last->status.kind != core::ExitStatus::Kind::spawn_failed;
}

const char* outcome_name(core::Outcome outcome) {
    switch (outcome) {
        case core::Outcome::none:
        case core::Outcome::done:
            return "done";
        case core::Outcome::pending:
            return "pending";
        case core::Outcome::failed:
            return "failed";
    }
    return "done";
}

ctl::InstanceOutcome describe_outcome(const core::Fleet& fleet, const core::Place& place,
                                      Epoch epoch, const std::string& log_dir, Instant now) {
    const core::WorkerSpec& spec = fleet.worker(place.worker)->spec;
    const core::Instance& instance = place.instance;
    const core::Outcome outcome = core::Fleet::outcome(place, epoch).value_or(core::Outcome::none);
    ctl::InstanceOutcome result;
    result.id = core::instance_id(spec.name, place.number);
    result.outcome = outcome_name(outcome);
    result.state = core::state_name(instance.state);
    if (is_of_reload(place, epoch)) {
        describe_reload(fleet, place, outcome, log_paths(log_dir, spec, place.number).error, now,
                        result);
    } else if (outcome == core::Outcome::failed) {
        result.detail = failure_text(fleet, place);
        if (has_spoken(instance)) result.err_log = log_paths(log_dir, spec, place.number).error;
    } else {
        result.detail = pending_text(fleet, place, now);
    }
    return result;
}

}  // namespace

Requests::Requests(core::Fleet& fleet, Records& records, StatusReader& status, Logs& logs,
                   Stores& stores, ControlServer& clients, MainProcesses& mains, Journal& journal,
                   Sockets& sockets, std::function<void(Instant)> begin_shutdown)
    : fleet_(fleet),
      records_(records),
      status_(status),
      logs_(logs),
      stores_(stores),
      clients_(clients),
      mains_(mains),
      journal_(journal),
      sockets_(sockets),
      begin_shutdown_(std::move(begin_shutdown)) {}

void Requests::handle(const ClientRequest& request, Instant now) {
    if (const auto* wanted = std::get_if<ctl::request::Wait>(&request.request.method)) {
        wait(request, *wanted, now);
        return;
    }
    const std::optional<Reply> reply = act(request.request.method, now);
    if (!reply) return;
    note_request(journal_, request, *reply);
    const ctl::RequestId& id = request.request.id;
    std::string line =
        *reply ? ctl::render_answer(id, **reply) : ctl::render_error(id, reply->error());
    sys::UniqueFd segment;
    if (const auto* open = std::get_if<ctl::request::OpenStore>(&request.request.method)) {
        if (*reply) segment = stores_.duplicate_of(open->name);
    }
    ready_.push_back({request.client, std::move(line), std::move(segment)});
}

std::optional<Requests::Reply> Requests::act(const ctl::Method& method, Instant now) {
    if (is_changing(method) && records_.is_shutting_down()) {
        return refuse(ctl::ErrorCode::shutting_down, "the daemon is shutting down");
    }
    return std::visit(
        Overloaded{
            [&](const ctl::request::Version&) -> std::optional<Reply> { return version(); },
            [&](const ctl::request::Status& request) -> std::optional<Reply> {
                return read_status(request, now);
            },
            [&](const ctl::request::Start& request) -> std::optional<Reply> {
                return change(Change::start, request.selectors, now);
            },
            [&](const ctl::request::Stop& request) -> std::optional<Reply> {
                return change(Change::stop, request.selectors, now);
            },
            [&](const ctl::request::Restart& request) -> std::optional<Reply> {
                return change(Change::restart, request.selectors, now);
            },
            [&](const ctl::request::Reload& request) -> std::optional<Reply> {
                return reload(request, now);
            },
            [&](const ctl::request::Delete& request) -> std::optional<Reply> {
                return remove(request.selectors, now);
            },
            [&](const ctl::request::Load& request) -> std::optional<Reply> {
                return load_text(request,
                                 request.after_restore ? Scope::add_after_restore : Scope::add,
                                 false, now);
            },
            [&](const ctl::request::Apply& request) -> std::optional<Reply> {
                return load_text({request.path, request.text, request.base_path}, Scope::exact,
                                 request.dry_run, now);
            },
            [&](const ctl::request::Signal& request) -> std::optional<Reply> {
                return signal(request);
            },
            [&](const ctl::request::Reset& request) -> std::optional<Reply> {
                return reset(request.selectors, now);
            },
            [&](const ctl::request::Describe& request) -> std::optional<Reply> {
                return describe_selected(request.selectors, now);
            },
            [&](const ctl::request::Add& request) -> std::optional<Reply> {
                return add(request.spec, now);
            },
            [&](const ctl::request::Scale& request) -> std::optional<Reply> {
                return scale(request, now);
            },
            [&](const ctl::request::Rotate& request) -> std::optional<Reply> {
                return rotate(request);
            },
            [&](const ctl::request::ListStores&) -> std::optional<Reply> {
                return ctl::StoresAnswer{stores_.status()};
            },
            [&](const ctl::request::OpenStore& request) -> std::optional<Reply> {
                return open_store(request.name);
            },
            [&](const ctl::request::Shutdown&) -> std::optional<Reply> { return shut_down(now); },
            // Answered elsewhere.
            [](const ctl::request::Wait&) -> std::optional<Reply> { return std::nullopt; },
            [](const ctl::request::Upgrade&) -> std::optional<Reply> { return std::nullopt; },
            [](const ctl::request::Send&) -> std::optional<Reply> { return std::nullopt; },
            [](const ctl::request::Publish&) -> std::optional<Reply> { return std::nullopt; },
            [](const ctl::request::Follow&) -> std::optional<Reply> { return std::nullopt; }},
        method);
}

Requests::Reply Requests::version() const {
    ctl::VersionAnswer answer = status_.version();
    answer.events = journal_.path();
    return answer;
}

Requests::Reply Requests::read_status(const ctl::request::Status& request, Instant now) const {
    const auto selected = select(request.selectors, true);
    if (!selected) return tl::unexpected(selected.error());
    const DaemonRecord& daemon = records_.daemon();
    return status_.read(request, {daemon.config, daemon.log_dir}, now);
}

Requests::Reply Requests::change(Change change, const std::vector<std::string>& selectors,
                                 Instant now) {
    const auto selected = select(selectors, false);
    if (!selected) return tl::unexpected(selected.error());
    std::vector<Slot> slots;
    std::vector<core::WorkerSpec> with_sockets;
    for (const core::Place* place : *selected) {
        slots.push_back(place->slot);
        const core::WorkerSpec& spec = fleet_.worker(place->worker)->spec;
        const bool is_known = !with_sockets.empty() && with_sockets.back().name == spec.name;
        if (!core::sockets_of(spec).empty() && !is_known) with_sockets.push_back(spec);
    }
    if (change != Change::stop) {
        if (auto error = open_sockets(with_sockets, {}, now))
            return tl::unexpected(std::move(*error));
    }
    fleet_.begin_operation();
    switch (change) {
        case Change::start:
            fleet_.start(slots, now);
            break;
        case Change::stop:
            fleet_.stop(slots, now);
            break;
        case Change::restart:
            fleet_.restart(slots, now);
            break;
    }
    return operation_now({}, now);
}

std::optional<ctl::RpcError> Requests::open_sockets(const std::vector<core::WorkerSpec>& added,
                                                    const std::vector<std::uint32_t>& removed,
                                                    Instant now) {
    std::vector<const core::WorkerSpec*> joining;
    std::set<std::string_view> names;
    for (const core::WorkerSpec& spec : added) {
        joining.push_back(&spec);
        names.insert(spec.name);
    }
    std::vector<const core::WorkerSpec*> after = joining;
    for (const core::Worker* worker : fleet_.workers()) {
        const bool goes = std::find(removed.begin(), removed.end(), worker->index) != removed.end();
        if (!goes && names.count(worker->spec.name) == 0) after.push_back(&worker->spec);
    }
    auto problem = socket_mistake(after);
    if (!problem) problem = sockets_.open(joining, after, now);
    if (!problem) return std::nullopt;
    return ctl::RpcError{
        .code = ctl::ErrorCode::refused, .message = std::move(*problem), .diagnostics = {}};
}

Requests::Reply Requests::remove(const std::vector<std::string>& selectors, Instant now) {
    std::vector<std::uint32_t> workers;
    for (const std::string& selector : selectors) {
        bool has_match = selector == "all";
        for (const core::Worker* worker : fleet_.workers()) {
            const core::WorkerSpec& spec = worker->spec;
            // A worker that was scaled to nothing is named as if it had one.
            const std::uint32_t instances = std::max(spec.instances, 1U);
            std::uint32_t matches = 0;
            for (std::uint32_t i = 0; i < instances; ++i) {
                matches += core::selects(selector, spec.name, i, spec.group) ? 1U : 0U;
            }
            if (matches == 0) continue;
            if (matches < instances) {
                return refuse(ctl::ErrorCode::refused,
                              fmt::format("delete takes whole workers: {} names only some "
                                          "instances of {}; to have fewer "
                                          "of them, use scale {} N",
                                          selector, spec.name, spec.name));
            }
            has_match = true;
            workers.push_back(worker->index);
        }
        if (!has_match)
            return refuse(ctl::ErrorCode::no_match, fmt::format("nothing matches {}", selector));
    }
    if (auto mistake = deletion_mistake(fleet_, workers)) {
        return refuse(ctl::ErrorCode::refused, std::move(*mistake));
    }
    fleet_.begin_operation();
    fleet_.remove(workers, now);
    return operation_now({}, now);
}

Requests::Reply Requests::add(const core::WorkerSpec& spec, Instant now) {
    if (fleet_.find_worker(spec.name) != nullptr) {
        return tl::unexpected(refusal_error(core::Refusal::name_taken, spec.name));
    }
    if (auto mistake = requirement_mistake(fleet_, {spec})) {
        return refuse(ctl::ErrorCode::refused, std::move(*mistake));
    }
    const core::StoreChoice& store = spec.launch.store;
    if (store.kind == core::StoreChoice::Kind::named && !stores_.is_described(store.name)) {
        return refuse(ctl::ErrorCode::refused, stores_.unknown_text(store.name));
    }
    if (auto error = open_sockets({spec}, {}, now)) return tl::unexpected(std::move(*error));
    fleet_.begin_operation();
    const core::Refusal refusal = fleet_.add(spec, true, now);
    if (refusal != core::Refusal::none) return tl::unexpected(refusal_error(refusal, spec.name));
    return operation_now({}, now);
}

Requests::Reply Requests::scale(const ctl::request::Scale& request, Instant now) {
    const core::Worker* worker = fleet_.find_worker(request.name);
    if (worker == nullptr)
        return tl::unexpected(refusal_error(core::Refusal::no_such_worker, request.name));
    const auto present = static_cast<std::int64_t>(worker->slots.size());
    const std::int64_t wanted = request.instances ? static_cast<std::int64_t>(*request.instances)
                                                  : present + request.delta.value_or(0);
    if (wanted < 0 || wanted > core::kMaxInstancesPerWorker) {
        return refuse(ctl::ErrorCode::refused,
                      fmt::format("{} cannot have {} instances: 0 to {}", request.name, wanted,
                                  core::kMaxInstancesPerWorker));
    }
    const std::uint32_t index = worker->index;
    fleet_.begin_operation();
    const core::Refusal refusal = fleet_.scale(index, static_cast<std::uint32_t>(wanted), now);
    if (refusal != core::Refusal::none) return tl::unexpected(refusal_error(refusal, request.name));
    return operation_now({fmt::format("{}: {} → {} instances", request.name, present, wanted)},
                         now);
}

Requests::Reply Requests::open_store(const std::string& name) {
    if (!stores_.is_described(name)) {
        return refuse(ctl::ErrorCode::no_match, stores_.unknown_text(name));
    }
    const auto store = stores_.open(name);
    if (!store) {
        return refuse(ctl::ErrorCode::refused,
                      fmt::format("store {} cannot be made: {}: {}", name,
                                  op_name(store.error().op), std::strerror(store.error().code)));
    }
    for (ctl::StoreStatus& status : stores_.status()) {
        if (status.spec.name == name) return ctl::StoresAnswer{{std::move(status)}};
    }
    return refuse(ctl::ErrorCode::internal_error, "the store is gone");
}

Requests::Reply Requests::shut_down(Instant now) {
    begin_shutdown_(now);
    return operation_now({}, now);
}

ctl::OperationAnswer Requests::operation_now(std::vector<std::string> notes, Instant now) const {
    ctl::OperationAnswer answer = operation(fleet_.last_epoch(), now);
    answer.notes = std::move(notes);
    return answer;
}

ctl::OperationAnswer Requests::operation(Epoch epoch, Instant now) const {
    ctl::OperationAnswer answer;
    answer.operation = epoch.value;
    bool has_pending = false;
    bool has_failed = false;
    const std::string& log_dir = records_.daemon().log_dir;
    for (const core::Place* place : fleet_.places()) {
        const auto outcome = core::Fleet::outcome(*place, epoch);
        if (!outcome) continue;
        const core::WorkerSpec& spec = fleet_.worker(place->worker)->spec;
        std::string id = core::instance_id(spec.name, place->number);
        const bool is_named = !answer.selected.empty() && answer.selected.back() == id;
        if (answer.selected.size() < core::kMaxInstancesPerWorker && !is_named) {
            answer.selected.push_back(std::move(id));
        }
        const bool is_failed = *outcome == core::Outcome::failed;
        const bool is_pending = *outcome == core::Outcome::pending;
        has_failed = has_failed || is_failed;
        has_pending = has_pending || is_pending;
        if (!is_failed && !is_pending) {
            answer.done += place->role == core::Role::retired && is_named ? 0U : 1U;
            continue;
        }
        answer.instances.push_back(describe_outcome(fleet_, *place, epoch, log_dir, now));
        const auto& last = place->instance.history.last_exit;
        const bool is_about_socket = last &&
                                     last->status.kind == core::ExitStatus::Kind::spawn_failed &&
                                     last->status.op == Op::listening_socket;
        if (!is_pending && !is_about_socket) continue;
        if (auto problem = sockets_.problem(spec)) answer.instances.back().detail = problem;
    }
    answer.state = has_pending ? "pending" : has_failed ? "failed" : "done";
    return answer;
}

void Requests::wait(const ClientRequest& request, const ctl::request::Wait& wanted, Instant now) {
    if (wanted.operation == 0 || wanted.operation > fleet_.last_epoch().value) {
        const ctl::RpcError error{.code = ctl::ErrorCode::unknown_operation,
                                  .message = fmt::format("no operation {}", wanted.operation),
                                  .diagnostics = {}};
        ready_.push_back({request.client, ctl::render_error(request.request.id, error), {}});
        return;
    }
    waiting_.push_back({.client = request.client,
                        .id = request.request.id,
                        .operation = Epoch{wanted.operation},
                        .until = now + std::chrono::milliseconds{wanted.timeout_ms},
                        .is_new = true});
}

void Requests::send_answers(bool has_changed, Instant now) {
    const std::vector<ClientId> gone = clients_.take_gone();
    std::vector<Waiting> still_waiting;
    for (Waiting& waiting : waiting_) {
        if (std::find(gone.begin(), gone.end(), waiting.client) != gone.end()) continue;
        const bool is_over = now >= waiting.until;
        const bool is_worth_a_look = has_changed || is_over || std::exchange(waiting.is_new, false);
        // The answer is as long as the operation is wide, and made once.
        if (is_over || (is_worth_a_look && fleet_.progress(waiting.operation).pending == 0)) {
            const ctl::OperationAnswer answer = operation(waiting.operation, now);
            ready_.push_back({waiting.client, ctl::render_answer(waiting.id, answer), {}});
            continue;
        }
        still_waiting.push_back(std::move(waiting));
    }
    waiting_ = std::move(still_waiting);
    std::size_t bytes = 0;
    for (Ready& ready : std::exchange(ready_, {})) {
        bytes += ready.line.size();
        clients_.answer(ready.client, ready.line, std::move(ready.descriptor));
    }
    // Making it took several times its size, in small pieces between those that stay.
    if (bytes >= kLargeAnswer) sys::give_back_free_memory();
}

std::optional<Instant> Requests::next_deadline() const {
    std::optional<Instant> next;
    for (const Waiting& waiting : waiting_) next = earliest(next, waiting.until);
    return next;
}

}  // namespace cluster::supervisor
