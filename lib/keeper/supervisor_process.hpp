// One supervisor at a time: its start through the same plans as every other spawn, and its end.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/result.hpp"
#include "keeper/run_plan.hpp"
#include "sys/fd.hpp"
#include "sys/process.hpp"

namespace cluster::keeper {

class SupervisorProcess {
public:
    /// What is executed: the file, and what its argv says behind its name and --keeper-fd.
    struct Command {
        std::string path;
        std::vector<std::string> arguments;
    };

    /// Starts it in a session of its own: standard input from /dev/null, standard output and error
    /// as ours, the other end of the link as descriptor 3, our environment. Returns our end of the
    /// link. The kernel writes the pid to *pid_cell. Requires: none is alive. Errors: the step that
    /// failed, in us or in the child.
    [[nodiscard]] Result<sys::UniqueFd> start(const Command& command, PlanRunner& runner,
                                              const ChildDefaults& defaults,
                                              std::int32_t* pid_cell);

    [[nodiscard]] bool is_alive() const { return pid_ != 0; }
    [[nodiscard]] std::int32_t pid() const { return pid_; }
    /// SIGKILL. Nothing happens when it is dead.
    void kill();
    /// It was reaped.
    void note_died();

private:
    std::int32_t pid_ = 0;
    sys::UniqueFd pidfd_;
};

}  // namespace cluster::keeper
