// The `--json` documents of clusterctl's verbs, pretty-printed, one per call. Their shapes are
// promises: extend them, never break them. (status_document is protocol.hpp's.) None throws on
// bytes that are not UTF-8: they become U+FFFD.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "ctl/protocol.hpp"

namespace cluster::ctl {

/// {"operation", "state", "done", "selected", "instances", "notes", "plan", "daemon", "workers"}: what a
/// changing verb came to, and the status afterwards where it could still be asked for.
[[nodiscard]] std::string operation_document(const OperationAnswer& operation,
                                             const std::optional<StatusAnswer>& status);

/// {"instances": […]}: as workers.describe answers.
[[nodiscard]] std::string description_document(const DescribeAnswer& answer);
/// {"instances": [{"id", "environment_read", "environment_problem", "environment": [{"name",
/// "next", "running"}]}]}
[[nodiscard]] std::string environment_document(const DescribeAnswer& answer);
/// {"instances": [{"id", "pid"}]}; pid is null for what does not run.
[[nodiscard]] std::string pid_document(const StatusAnswer& answer);

/// {"unit": path}: what `startup` installed.
[[nodiscard]] std::string startup_document(std::string_view unit);

/// {"client": {"version"}, "daemon": {"version", "control_version", "pid", "supervisor_pid"} or
/// null}
[[nodiscard]] std::string version_document(const std::optional<VersionAnswer>& daemon);

/// {"error": {"code", "message", "diagnostics"}}, of each diagnostic its first line; `code` is an
/// ErrorCode's name, or "usage", "no_daemon", "failed".
[[nodiscard]] std::string error_document(std::string_view code, std::string_view message,
                                         const std::vector<std::string>& diagnostics);

/// What `validate` found in one file.
struct Validation {
    std::string file;
    std::uint32_t workers = 0;
    std::uint64_t instances = 0;
    std::vector<std::string> diagnostics;  // empty: the file is good
};
/// {"ok", "files": [{"file", "ok", "workers", "instances", "diagnostics"}]}, of each diagnostic its
/// first line.
[[nodiscard]] std::string validation_document(const std::vector<Validation>& files);

/// {"id", "stream", "time", "line"} on one line, newline included: `logs --json` is a stream of
/// these. `stream`: out, err, or both for a merged log. `time`: as "2024-05-17T09:30:00.123Z";
/// empty (JSON: null) where the log has none.
[[nodiscard]] std::string log_line_document(std::string_view id, std::string_view stream,
                                            std::string_view time, std::string_view line);

/// "no_match", "bad_config", … as in CONTROL.md.
[[nodiscard]] const char* error_code_name(ErrorCode code);

}  // namespace cluster::ctl
