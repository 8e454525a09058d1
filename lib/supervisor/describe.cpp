#include "supervisor/describe.hpp"

#include <fcntl.h>
#include <fmt/core.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cstddef>
#include <map>
#include <optional>
#include <set>
#include <string_view>
#include <utility>
#include <variant>

#include "base/overloaded.hpp"
#include "conf/load.hpp"
#include "conf/spec_text.hpp"
#include "core/instance.hpp"
#include "supervisor/plan_compiler.hpp"
#include "supervisor/reload_texts.hpp"
#include "supervisor/requirements.hpp"
#include "supervisor/status.hpp"
#include "supervisor/wording.hpp"
#include "sys/file.hpp"

namespace cluster::supervisor {
namespace {

/// As the kernel bounds arguments and environment of a process, roughly.
constexpr std::size_t kMaxEnvironBytes = std::size_t{512} << 10U;

// --- the spec ---

std::vector<ctl::SpecKey> spec_keys(const core::WorkerSpec& spec) {
    core::WorkerSpec defaults;
    defaults.name = spec.name;
    std::set<std::pair<std::string, std::string>> is_default;
    for (conf::KeyValue& key : conf::keys_of(defaults)) {
        is_default.emplace(std::move(key.key), std::move(key.value));
    }
    const std::string origin = spec.source.empty() ? "command line" : spec.source;
    std::vector<ctl::SpecKey> keys;
    for (conf::KeyValue& key : conf::keys_of(spec)) {
        const bool is_default_value = is_default.count({key.key, key.value}) > 0;
        keys.push_back({std::move(key.key), std::move(key.value),
                        is_default_value ? std::string("default") : origin});
    }
    return keys;
}

// --- the environment ---

/// The environment that a process was started with; none where /proc does not show it to us.
std::optional<Variables> environment_of(std::int32_t pid) {
    const auto file = sys::open_file(fmt::format("/proc/{}/environ", pid), O_RDONLY);
    if (!file) return std::nullopt;
    std::string text;
    std::array<std::byte, 16384> buffer{};
    while (text.size() < kMaxEnvironBytes) {
        const auto count = sys::read_some(file->get(), buffer);
        if (!count) return std::nullopt;
        if (*count == 0) break;
        text.append(reinterpret_cast<const char*>(buffer.data()), *count);
    }
    Variables variables;
    std::string_view rest = text;
    while (!rest.empty()) {
        const std::size_t end = std::min(rest.find('\0'), rest.size());
        const std::string_view entry = rest.substr(0, end);
        const std::size_t equals = entry.find('=');
        if (equals != std::string_view::npos) {
            variables.emplace(entry.substr(0, equals), entry.substr(equals + 1));
        }
        rest.remove_prefix(std::min(end + 1, rest.size()));
    }
    return variables;
}

/// Given anew to each run: that they differ says nothing.
bool is_of_the_run(std::string_view name) {
    constexpr std::array<std::string_view, 14> kNames{
        "NOTIFY_SOCKET",   "LISTEN_PID",
        "LISTEN_FDS",      "LISTEN_FDNAMES",
        "WATCHDOG_PID",    "CLUSTER_STORE",
        "CLUSTER_SOCKET",  "CLUSTER_CHANNEL_FD",
        "NODE_CHANNEL_FD", "NODE_CHANNEL_SERIALIZATION_MODE",
        "NODE_UNIQUE_ID",  "NODE_OPTIONS",
        "CLUSTER_NODE_DRAIN", "CLUSTER_NODE_SHARED_ARRAY_BUFFER"};
    return std::find(kNames.begin(), kNames.end(), name) != kNames.end();
}

void add_environment(const core::WorkerSpec& spec, const core::Place& place,
                     ctl::Description& result) {
    std::map<std::string, ctl::Variable> variables;
    const InstanceName name{
        .worker = spec.name, .number = place.number, .instances = spec.instances};
    const auto next =
        next_environment(core::launch_with_sockets(spec), name, safe_base_from_environment());
    if (next) {
        for (const auto& [key, value] : *next) variables[key].next = value;
    } else {
        result.environment_problem =
            spawn_failure_text(spec.launch, next.error().op, next.error().code);
    }
    std::optional<Variables> running;
    if (result.status.pid) running = environment_of(*result.status.pid);
    // A process that has not been executed yet has none.
    result.is_environment_read = running && !running->empty();
    if (result.is_environment_read) {
        for (const auto& [key, value] : *running) variables[key].running = value;
    }
    for (auto& [key, variable] : variables) {
        if (is_of_the_run(key) && variable.running) variable.next = variable.running;
        variable.name = key;
        result.environment.push_back(std::move(variable));
    }
}

// --- descriptors ---

void add_descriptors(ctl::Description& result) {
    if (!result.status.pid) return;
    const std::string directory = fmt::format("/proc/{}/fd", *result.status.pid);
    const auto names = sys::list_directory(directory);
    if (!names) return;
    std::vector<std::int32_t> numbers;
    for (const std::string& name : *names) {
        std::int32_t number = 0;
        const auto [end, error] = std::from_chars(name.data(), name.data() + name.size(), number);
        if (error == std::errc{} && *end == '\0') numbers.push_back(number);
    }
    std::sort(numbers.begin(), numbers.end());
    result.descriptor_count = static_cast<std::uint32_t>(numbers.size());
    if (numbers.size() > kMaxDescriptors) numbers.resize(kMaxDescriptors);
    for (const std::int32_t number : numbers) {
        if (auto target = sys::read_link(fmt::format("{}/{}", directory, number))) {
            result.descriptors.push_back({number, std::move(*target)});
        }
    }
}

// --- what comes next, and what was ---

const char* deadline_text(const core::Instance& instance) {
    return std::visit(
        Overloaded{[](const core::Starting&) { return "start_timeout: it must be ready by then"; },
                   [](const core::Running& running) {
                       if (running.is_leaving) return "stop signal: it said that it would end";
                       return running.ready_at ? "min_uptime: counts as good from then on"
                                               : "start_timeout: it must be ready by then";
                   },
                   [](const core::BackingOff&) { return "next start"; },
                   [](const core::Stopping&) { return "SIGKILL to its process group"; },
                   [](const auto&) { return "next step"; }},
        instance.state);
}

ctl::PastExit past_exit(const ExitEntry& entry, const core::Launch& launch, Instant now) {
    core::LastExit exit;
    exit.status.kind = static_cast<core::ExitStatus::Kind>(entry.kind);
    exit.status.value = entry.value;
    exit.status.op = static_cast<Op>(entry.op);
    exit.status.dumped_core = entry.dumped != 0;
    exit.reason = static_cast<core::ExitReason>(entry.reason);
    exit.at = from_ns(entry.at_ns);
    ctl::PastExit past;
    past.exit = describe_exit(exit, launch, now);
    past.run = entry.generation;
    if (entry.pid > 0) past.pid = entry.pid;
    if (entry.uptime_ns >= 0) past.uptime_ms = to_ms(Duration{entry.uptime_ns});
    return past;
}

}  // namespace

ctl::Description describe_instance(const core::Fleet& fleet, const Records& records,
                                   const Sockets& sockets, const core::Place& place,
                                   ctl::WorkerStatus status, Instant now) {
    const core::WorkerSpec& spec = fleet.spec_of(place);
    ctl::Description result;
    result.status = std::move(status);
    result.source = spec.source;
    result.run = place.instance.generation.value;
    result.waits_for = waits_for_text(fleet, place);
    result.reload_failure = reload_failure_text(fleet, place);
    if (const auto deadline = core::next_deadline(spec.policy, place.instance)) {
        result.deadline = deadline_text(place.instance);
        result.deadline_ms = std::max<std::int64_t>(0, to_ms(*deadline - now));
    }
    for (const core::SocketSpec* socket : core::sockets_of(spec)) {
        result.sockets.push_back(describe_socket(sockets, *socket));
        result.sockets.back().number = core::socket_number(spec, socket->name);
    }
    result.spec = spec_keys(spec);
    add_environment(spec, place, result);
    add_descriptors(result);
    for (const ExitEntry& entry : records.exits(place.slot)) {
        result.exits.push_back(past_exit(entry, spec.launch, now));
    }
    return result;
}

}  // namespace cluster::supervisor
