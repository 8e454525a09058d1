// The logs of all workers: which files are open, when one becomes an archive, which archives go and
// which are packed.
//
// What is done about a log depends on its size and on the names in its directory alone (capture
// decides, archive.hpp); nothing is stored, so a successor that reads the directory knows as much
// as its predecessor did. An archive that was being packed at a kill lies there plain still and is
// packed again. The directory is read once for all
// logs that are new in a turn, not once for each.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <string>

#include "base/result.hpp"
#include "capture/archive.hpp"
#include "capture/log_file.hpp"
#include "core/spec.hpp"
#include "supervisor/jobs.hpp"

namespace cluster::supervisor {

/// Where the streams of an instance go; equal when they are merged.
struct LogPaths {
    std::string output;
    std::string error;
};
[[nodiscard]] LogPaths log_paths(const std::string& log_dir, const core::WorkerSpec& spec,
                                 std::uint32_t instance);

class Logs {
public:
    explicit Logs(Jobs& jobs) : jobs_(jobs) {}

    /// The log at `path`, opened when nobody has it open. `spec` holds from now on for it.
    /// Errors: those of open.
    [[nodiscard]] Result<std::shared_ptr<capture::LogFile>> open(const std::string& path,
                                                                 const core::LogSpec& spec);
    /// A changed spec, for a log that is known.
    void update(const std::string& path, const core::LogSpec& spec);

    /// A pump said that the log is full.
    void rotate_full(const std::string& path);
    /// Somebody asked for it: an archive is made of whatever is there; a log that somebody moved
    /// away is opened anew. True when there is an archive more. `path`: of a worker's log, open or
    /// not.
    bool rotate(const std::string& path, const core::LogSpec& spec);

    /// Reads the directory for the logs that are new, removes what is too much and starts packing
    /// what was left plain.
    void on_time();
    /// A worker was deleted, or has fewer instances: what is known of logs that nobody has open goes.
    /// Those of a worker that only waits for its next start are looked up in their directory again.
    /// False: not now, an archive is being packed and its twin has to be noted.
    [[nodiscard]] bool forget_unused();

private:
    struct Log {
        std::weak_ptr<capture::LogFile> file;  // open as long as a pump has it
        core::LogSpec spec;
        std::unique_ptr<capture::Archives> archives;  // null: it has none, as most have
        bool is_known = false;  // its archives were looked for
        bool has_complained = false;
    };
    using Entry = std::pair<const std::string, Log>;  // path

    [[nodiscard]] static capture::Archives& archives_of(Entry& entry);
    Entry& entry_of(const std::string& path, const core::LogSpec& spec);
    bool make_archive(Entry& entry, capture::LogFile& file);
    void read_directories();
    void read_directory(const std::string& directory);
    void tidy(Entry& entry);
    void remove(const std::string& directory, const std::vector<std::string>& names);
    void pack(Entry& entry);
    void on_packed(const std::string& path, const std::string& plain, const std::string& failure);
    Jobs& jobs_;
    std::map<std::string, Log> logs_;  // by path
    std::size_t packing_ = 0;
    bool cannot_pack_ = false;  // said once
    bool has_new_ = false;
};

}  // namespace cluster::supervisor
