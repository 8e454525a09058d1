// The list of a worker's keys, and those readers of them that belong neither to starting nor to
// policy.
#include "conf/worker.hpp"

#include <algorithm>
#include <filesystem>

#include "conf/cpus.hpp"
#include "conf/keys.hpp"
#include "conf/socket.hpp"
#include "core/selector.hpp"

namespace cluster::conf {
namespace {

void read_instances(WorkerDraft& draft, const Field& field) {
    if (field.is(Node::Kind::string) && field.value().text == "max") {
        draft.spec.instances = std::min(usable_cpus(), core::kMaxInstancesPerWorker);
        return;
    }
    if (field.is(Node::Kind::integer) && field.value().integer >= 1 &&
        field.value().integer <= core::kMaxInstancesPerWorker) {
        draft.spec.instances = static_cast<std::uint32_t>(field.value().integer);
        return;
    }
    std::string expected =
        "an integer from 1 to " + std::to_string(core::kMaxInstancesPerWorker) + ", or \"max\"";
    if (field.is(Node::Kind::integer) && field.value().integer == 0) {
        expected += " (autostart = false keeps a worker down)";
    }
    field.refuse_type(expected);
}

void read_autostart(WorkerDraft& draft, const Field& field) {
    if (const std::optional<bool> flag = read_flag(field)) draft.spec.autostart = *flag;
}

void read_group(WorkerDraft& draft, const Field& field) {
    constexpr std::string_view kExpected = "a name of 1 to 64 letters, digits, '_' or '-'";
    const std::optional<std::string> name = read_text(field, kExpected);
    if (!name) return;
    if (core::is_valid_group_name(*name)) {
        draft.spec.group = *name;
    } else if (*name == "all") {
        field.refuse("\"all\" is reserved: it selects every worker");
    } else {
        field.refuse_type(kExpected);
    }
}

constexpr Keys<WorkerDraft, 40> kWorkerKeys{{
    {"command", read_command},
    {"shell", read_shell},
    {"instances", read_instances},
    {"cwd", read_cwd},
    {"env", read_env},
    {"env_file", read_env_file},
    {"stdin", read_stdin},
    {"sockets", read_sockets},
    {"stdin_socket", read_stdin_socket},
    {"user", read_user},
    {"umask", read_umask},
    {"nice", read_nice},
    {"limits", read_limits},
    {"store", read_store_choice},
    {"fd_store_max", read_fd_store_max},
    {"autostart", read_autostart},
    {"restart", read_restart},
    {"backoff", read_backoff},
    {"restart_limit", read_restart_limit},
    {"success_exit_codes", read_success_exit_codes},
    {"stop_signal", read_stop_signal},
    {"stop_timeout", read_stop_timeout},
    {"ready", read_ready},
    {"min_uptime", read_min_uptime},
    {"start_timeout", read_start_timeout},
    {"watchdog", read_watchdog},
    {"liveness", read_liveness},
    {"max_memory", read_max_memory},
    {"reload", read_reload},
    {"requires", read_requires},
    {"wants", read_wants},
    {"after", read_after},
    {"channel", read_channel_mode},
    {"stop_message", read_stop_message},
    {"node_cluster", read_node_cluster},
    {"node_schedule", read_node_schedule},
    {"node_drain", read_node_drain},
    {"node_shared_array_buffer", read_node_shared_array_buffer},
    {"log", read_log},
    {"group", read_group},
}};

void check_name(const Field& field) {
    if (core::is_valid_worker_name(field.key())) return;
    if (field.key() == "all") {
        field.refuse_at(field.key_at(), "\"all\" is reserved: it selects every worker");
        return;
    }
    field.refuse_at(field.key_at(),
                    "a worker's name has 1 to " + std::to_string(core::kMaxNameLength) +
                        " letters, digits, '_' or '-'; got " + in_quotes(field.key()));
}

}  // namespace

std::vector<std::string_view> worker_key_names() {
    return names_of(kWorkerKeys);
}

std::string resolve_path(const std::string& directory, const std::string& path) {
    std::string result = (std::filesystem::path(directory) / path).lexically_normal().string();
    // "dir/." is normalised to "dir/".
    while (result.size() > 1 && result.back() == '/') result.pop_back();
    return result;
}

std::optional<std::string> read_path(const Field& field, const FileContext& file,
                                     std::string_view expected) {
    const std::optional<std::string> path = read_text(field, expected);
    if (!path) return std::nullopt;
    if (*path == "~" || path->substr(0, 2) == "~/") {
        field.refuse("~ is not expanded; write the path in full, got " + in_quotes(*path));
        return std::nullopt;
    }
    return resolve_path(file.directory, *path);
}

core::WorkerSpec read_worker(const Field& field, const FileContext& file) {
    WorkerDraft draft;
    draft.file = &file;
    draft.spec.name = field.key();
    draft.spec.source = file.source;
    draft.spec.launch.base_path = file.base_path;
    draft.spec.launch.cwd = file.directory;

    check_name(field);
    const std::vector<std::string_view> names = worker_key_names();
    if (!field.is(Node::Kind::table)) {
        // `[worker]` with the keys of a worker right below it.
        const bool is_key = std::find(names.begin(), names.end(), field.key()) != names.end();
        field.refuse_at(field.key_at(),
                        is_key ? "keys of a worker stand below its name: [worker.NAME]"
                               : "expected a table, [worker.NAME]; got " + describe(field.value()));
        return draft.spec;
    }
    read_table(field, kWorkerKeys, draft);
    finish_command(draft, field);
    finish_sockets(draft);
    finish_channel(draft);
    finish_ready(draft);
    finish_node(draft);
    return draft.spec;
}

}  // namespace cluster::conf
