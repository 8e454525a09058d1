// The remembered state: which workers there are, what is wanted of each instance, and what the
// config said of the daemon and of its channels, in a file of the state directory, so that it
// survives a shutdown, the death of both processes, and a reboot. `state.json`, replaced as a whole
// by write-then-rename, at most once a turn, and only when a spec or a desired state changed.
// Format: STATE.md.
//
// It holds environments, so it is readable by its owner only. A file that cannot be read is moved
// aside, never overwritten.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include <tl/expected.hpp>

#include "base/result.hpp"
#include "core/fleet.hpp"
#include "supervisor/records.hpp"

namespace cluster::supervisor {

struct RememberedWorker {
    core::WorkerSpec spec;
    std::vector<bool> wanted;  // by instance number
};

struct RememberedState {
    std::vector<RememberedWorker> workers;
    std::vector<core::StoreSpec> stores;  // what was described; not what was in them
    DaemonRecord daemon;                  // without stores; by default in an older file
};

/// The text of the file. The error says what is wrong with it.
[[nodiscard]] tl::expected<RememberedState, std::string> parse_remembered(const std::string& text);

class Remembered {
public:
    explicit Remembered(const std::string& state_dir) : path_(state_dir + "/state.json") {}

    /// What the file says; nothing when there is none. The error says what is wrong with it; it was
    /// then moved to `state.json.bad`.
    [[nodiscard]] tl::expected<RememberedState, std::string> load() const;

    /// True when one of `slots` is wanted otherwise than at the last call, or came or went.
    [[nodiscard]] bool notice(const core::Fleet& fleet, const std::vector<Slot>& slots);
    /// Replaces the file. Errors: those of open, write and rename.
    [[nodiscard]] Status store(const core::Fleet& fleet, const DaemonRecord& daemon);

    [[nodiscard]] const std::string& path() const { return path_; }

private:
    enum class Wanted : std::uint8_t { nothing, down, up };
    std::string path_;
    std::vector<Wanted> seen_;  // by slot, as far as slots were used
};

}  // namespace cluster::supervisor
