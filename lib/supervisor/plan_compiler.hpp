// Compiles a worker's Launch into a spawn plan: the one place where names (user, group, command,
// limits) become numbers and paths. Runs at every start, so that a user or a program that appeared
// meanwhile is found.
#pragma once

#include <cstdint>
#include <optional>

#include <string>
#include <vector>

#include "base/result.hpp"
#include "core/spec.hpp"
#include "supervisor/environment.hpp"
#include "supervisor/inheritance.hpp"
#include "sys/fd.hpp"

namespace cluster::supervisor {

/// Positions of the descriptors that every plan expects beside it; those of the inheritance follow.
enum class AttachedFd : std::uint32_t {
    standard_input = 0,
    standard_output = 1,
    standard_error = 2,
    first_inherited = 3
};

/// Who has to own the output pipes of a worker that runs as another user: it may open /dev/stdout
/// and /dev/stderr anew, as nginx does. Nothing where it runs as the daemon does, or as nobody that
/// can be found.
struct OutputOwner {
    std::uint32_t uid = 0;
    std::uint32_t gid = 0;
};
[[nodiscard]] std::optional<OutputOwner> output_owner(const core::Launch& launch);

/// A plan in a memfd sealed against writing.
/// Errors: {lookup_user|lookup_group, ENOENT}, {lookup_command, ENOENT|EACCES}, {plan, E2BIG},
/// {memfd, …}, {env_file, …}.
[[nodiscard]] Result<sys::UniqueFd> compile_plan(const core::Launch& launch,
                                                 const InstanceName& instance,
                                                 const Inheritance& inheritance,
                                                 const Variables& safe_base);

/// The environment that such a plan would have, but for what is inherited. Errors: of the user, and
/// of env_file.
[[nodiscard]] Result<Variables> next_environment(const core::Launch& launch,
                                                 const InstanceName& instance,
                                                 const Variables& safe_base);

/// The plan of a job (jobs.hpp): `command` at the lowest priority, in /, with PATH as its only
/// variable, and with a fourth descriptor beside the standard streams if it `has_inherited` one.
/// Errors: as above.
[[nodiscard]] Result<sys::UniqueFd> compile_job(const std::vector<std::string>& command,
                                                const std::string& path,
                                                bool has_inherited = false);

/// What the worker reads as its standard input. A pipe with a name never ends for it and is never
/// waited for. Errors: {standard_input, errno}.
[[nodiscard]] Result<sys::UniqueFd> open_standard_input(const std::string& path);

/// The file that `command` names: itself when it has a slash, else the first executable of that
/// name in `path` (relative entries count from `cwd`). Errors: {lookup_command, ENOENT},
/// {lookup_command, EACCES} found, not executable.
[[nodiscard]] Result<std::string> find_command(const std::string& command, const std::string& path,
                                               const std::string& cwd);

}  // namespace cluster::supervisor
