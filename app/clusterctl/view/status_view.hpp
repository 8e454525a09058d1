// `status` for people: one row per instance, then one line about the daemon.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "ctl/protocol.hpp"

namespace cluster::clusterctl {

struct ViewOptions {
    std::size_t width = 0;  // columns of the terminal; 0: no terminal, any width
    bool has_colour = false;
    std::int64_t now_ms = 0;  // milliseconds since 1970, to say how long ago something was
};

/// What of a row the table shows, by JSON names: a daemon that is asked for these alone has less to
/// find out and to say.
[[nodiscard]] std::vector<std::string> status_fields();

/// The table, "no workers" where there are none, and the daemon's line.
[[nodiscard]] std::string render_status(const ctl::StatusAnswer& status,
                                        const ViewOptions& options);

/// The table alone: a header, and one line per worker in the order given.
[[nodiscard]] std::string render_workers(const std::vector<ctl::WorkerStatus>& workers,
                                         const ViewOptions& options);

/// "exited with 3", "killed by SIGSEGV", "exec ./srv: Permission denied".
[[nodiscard]] std::string describe_exit(const ctl::LastExit& exit);

}  // namespace cluster::clusterctl
