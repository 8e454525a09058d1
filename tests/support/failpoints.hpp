// Arms the named points of a daemon under test (lib/sys/failpoint.hpp), and looks at what must hold
// whatever happened at one of them.
#pragma once

#include <fcntl.h>

#include <filesystem>
#include <map>
#include <set>
#include <sstream>
#include <string>

#include "base/failpoint.hpp"
#include "support/daemon.hpp"

namespace cluster::test {

inline const std::string kKeeper = "clusterd";
inline const std::string kSupervisor = "cluster-supervisor";

/// False, and the test is skipped: the programs look for no orders.
inline bool has_failpoints() {
#ifdef CLUSTER_FAILPOINTS
    return true;
#else
    skip("built without failpoints");
    return false;
#endif
}

class Failpoints {
public:
    /// Every program that `daemon` starts from now on looks for orders.
    explicit Failpoints(Daemon& daemon) : directory_(daemon.dir() / "points") {
        std::filesystem::create_directory(directory_);
        daemon.env()["CLUSTER_FAILPOINTS"] = directory_;
    }

    /// `order`: ACTION [FIRST [COUNT]].
    void arm(const std::string& program, Failpoint point, const std::string& order) const {
        const std::string path = path_of(program, point);
        write_text(path + ".new", order);
        std::filesystem::rename(path + ".new", path);
    }
    void disarm(const std::string& program, Failpoint point) const {
        std::filesystem::remove(path_of(program, point));
    }
    /// It has not acted for the last time yet.
    [[nodiscard]] bool is_armed(const std::string& program, Failpoint point) const {
        return std::filesystem::exists(path_of(program, point));
    }

private:
    [[nodiscard]] std::string path_of(const std::string& program, Failpoint point) const {
        return directory_ + "/" + program + "." + failpoint_name(point);
    }

    std::string directory_;
};

/// What `ticker` writes, from the start of each run: no line is missing or there twice.
inline bool is_gapless(const std::string& log) {
    std::istringstream lines(log);
    long expected = 0;
    for (std::string line; std::getline(lines, line);) {
        if (line == "tick " + std::to_string(expected)) {
            ++expected;
        } else if (line == "end " + std::to_string(expected)) {
            expected = 0;
        } else if (!lines.eof()) {
            MESSAGE("expected tick " << expected << ", found " << line);
            return false;
        }
    }
    return true;
}

inline std::map<std::string, pid_t> pids_of(const Daemon& daemon) {
    std::map<std::string, pid_t> result;
    const Json status = daemon.status();
    for (const auto& worker : status.at("workers")) {
        result[worker.at("id")] =
            worker.value("pid", Json()).is_null() ? 0 : worker.at("pid").get<pid_t>();
    }
    return result;
}

/// Everything that lives below this test is what `status` says: the daemon's two processes and one
/// process for each instance. So no slot has two live runs, and nothing lives on unknown.
inline bool has_no_strangers(const Daemon& daemon) {
    const Json status = daemon.status();
    std::set<pid_t> known{status.at("daemon").at("pid").get<pid_t>(),
                          status.at("daemon").at("supervisor_pid").get<pid_t>()};
    for (const auto& [id, pid] : pids_of(daemon)) {
        if (pid != 0) known.insert(pid);
    }
    return descendants() == known;
}

}  // namespace cluster::test
