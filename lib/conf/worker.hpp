// [worker.NAME]: one table of the config → one core::WorkerSpec.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "conf/field.hpp"
#include "core/spec.hpp"

namespace cluster::conf {

/// What all workers of a file share.
struct FileContext {
    std::string source;       // absolute path of the file
    std::string directory;    // absolute; relative paths start here
    std::string base_path;    // PATH for Launch::base_path
    bool is_complete = true;  // false: a missing key may have been lost to a syntax error
    std::vector<core::SocketSpec> sockets = {};  // every [socket.NAME]
};

/// A spec in the making: keys whose meaning depends on others wait here until all were seen.
struct WorkerDraft {
    core::WorkerSpec spec;
    const FileContext* file = nullptr;
    std::optional<Field> command;
    std::optional<bool> shell;
    std::optional<Field> env;
    std::optional<Field> stdin_socket;
    std::optional<Field> channel;
    std::optional<Field> ready;
    std::optional<Field> node_cluster;
    std::vector<Field> node_options;  // the keys that belong to it
    std::optional<Field> node_shared_array_buffer;
};

/// Reads the table and reports what is wrong with it. The spec is only good when nothing was
/// reported.
[[nodiscard]] core::WorkerSpec read_worker(const Field& field, const FileContext& file);

/// Every key of [worker.NAME].
[[nodiscard]] std::vector<std::string_view> worker_key_names();

/// `path` made absolute and plain: relative to `directory`, without `.` and `..` where they can be
/// resolved as text.
[[nodiscard]] std::string resolve_path(const std::string& directory, const std::string& path);

/// A path as text, resolved. `~` is refused: only a shell expands it.
[[nodiscard]] std::optional<std::string> read_path(const Field& field, const FileContext& file,
                                                   std::string_view expected);

// Readers of single keys, in the order of config/clusterd.toml. Each either sets its part of the
// draft or reports.
void read_command(WorkerDraft& draft, const Field& field);
void read_shell(WorkerDraft& draft, const Field& field);
void read_cwd(WorkerDraft& draft, const Field& field);
void read_env(WorkerDraft& draft, const Field& field);
void read_env_file(WorkerDraft& draft, const Field& field);
void read_stdin(WorkerDraft& draft, const Field& field);
void read_sockets(WorkerDraft& draft, const Field& field);
void read_stdin_socket(WorkerDraft& draft, const Field& field);
void read_user(WorkerDraft& draft, const Field& field);
void read_umask(WorkerDraft& draft, const Field& field);
void read_nice(WorkerDraft& draft, const Field& field);
void read_limits(WorkerDraft& draft, const Field& field);
void read_fd_store_max(WorkerDraft& draft, const Field& field);
void read_store_choice(WorkerDraft& draft, const Field& field);
void read_restart(WorkerDraft& draft, const Field& field);
void read_backoff(WorkerDraft& draft, const Field& field);
void read_restart_limit(WorkerDraft& draft, const Field& field);
void read_success_exit_codes(WorkerDraft& draft, const Field& field);
void read_stop_signal(WorkerDraft& draft, const Field& field);
void read_stop_timeout(WorkerDraft& draft, const Field& field);
void read_ready(WorkerDraft& draft, const Field& field);
void read_liveness(WorkerDraft& draft, const Field& field);
void read_watchdog(WorkerDraft& draft, const Field& field);
void read_max_memory(WorkerDraft& draft, const Field& field);
void read_requires(WorkerDraft& draft, const Field& field);
void read_wants(WorkerDraft& draft, const Field& field);
void read_after(WorkerDraft& draft, const Field& field);
void read_min_uptime(WorkerDraft& draft, const Field& field);
void read_start_timeout(WorkerDraft& draft, const Field& field);
void read_reload(WorkerDraft& draft, const Field& field);
void read_log(WorkerDraft& draft, const Field& field);
void read_channel_mode(WorkerDraft& draft, const Field& field);
void read_stop_message(WorkerDraft& draft, const Field& field);
void read_node_cluster(WorkerDraft& draft, const Field& field);
void read_node_schedule(WorkerDraft& draft, const Field& field);
void read_node_drain(WorkerDraft& draft, const Field& field);
void read_node_shared_array_buffer(WorkerDraft& draft, const Field& field);

/// A command as an array or a line of words, without a shell. Empty after a report.
[[nodiscard]] std::vector<std::string> read_command_value(const Field& field);

/// command and shell together. Reports a missing command, unless it may have been lost to a syntax
/// error.
void finish_command(WorkerDraft& draft, const Field& table);
/// channel with what needs one.
void finish_channel(WorkerDraft& draft);
/// The number of ready.notification_fd with those of the sockets.
void finish_ready(WorkerDraft& draft);
inline constexpr int kFirstNotificationFd = 3;  // 0 to 2 are the standard streams
/// node_cluster with what belongs to it, and with what it needs.
void finish_node(WorkerDraft& draft);

}  // namespace cluster::conf
