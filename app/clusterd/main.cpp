// clusterd: takes the runtime directory, then is the keeper until the end.
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <string>
#include <system_error>
#include <utility>

#include "arguments.hpp"
#include "keeper/keeper.hpp"
#include "keeper/start.hpp"
#include "place/directories.hpp"
#include "place/explain.hpp"
#include "sys/file.hpp"
#include "sys/process.hpp"

namespace {

using cluster::place::Directories;

constexpr int kExitFailure = 1;

/// $CLUSTER_SUPERVISOR, else beside this program (a build tree), else in the libexec directory of
/// its prefix.
std::string find_supervisor() {
    if (const char* chosen = std::getenv("CLUSTER_SUPERVISOR")) return chosen;
    const auto self = cluster::sys::own_executable();
    const std::filesystem::path here = std::filesystem::path(self.value_or("")).parent_path();
    const std::string beside = (here / "cluster-supervisor").string();
    if (cluster::sys::file_info(beside)) return beside;
    return (here / "../libexec/clusterd/cluster-supervisor").lexically_normal().string();
}

cluster::keeper::SupervisorProcess::Command make_command(const clusterd::Arguments& arguments,
                                                         const Directories& directories) {
    cluster::keeper::SupervisorProcess::Command command{.path = find_supervisor(), .arguments = {}};
    command.arguments.push_back("--runtime-dir=" + directories.runtime);
    if (arguments.config) {
        std::error_code error;
        const auto config = std::filesystem::absolute(*arguments.config, error);
        command.arguments.push_back("--config=" + (error ? *arguments.config : config.string()));
    }
    if (arguments.log_level) command.arguments.push_back("--log-level=" + *arguments.log_level);
    return command;
}

}  // namespace

int main(int argc, char** argv) {
    namespace keeper = cluster::keeper;
    keeper::ensure_standard_descriptors();
    // Whatever else our starter left open (a lock, a pipe of its test runner) is not ours to keep
    // for a lifetime.
    cluster::sys::close_from(3);
    const clusterd::Arguments arguments = clusterd::parse_arguments(argc, argv);
    const auto directories =
        cluster::place::resolve(cluster::place::from_environment(), arguments.runtime_dir);
    const auto fail_on = [&](cluster::Error error) {
        std::fprintf(stderr, "clusterd: %s\n", cluster::place::explain(directories, error).c_str());
        return kExitFailure;
    };
    keeper::SupervisorProcess::Command command = make_command(arguments, directories);
    if (!cluster::sys::file_info(command.path)) {
        std::fprintf(stderr,
                     "clusterd: no cluster-supervisor at %s. Install it there or name it in "
                     "CLUSTER_SUPERVISOR.\n",
                     command.path.c_str());
        return kExitFailure;
    }
    auto lock = keeper::take_runtime(directories);
    if (!lock) return fail_on(lock.error());
    auto process = keeper::prepare_process();
    if (!process) return fail_on(process.error());
    auto control = keeper::open_control(directories);
    if (!control) return fail_on(control.error());
    auto opened = keeper::Keeper::open(
        {.directories = directories, .supervisor = std::move(command)}, std::move(*process),
        {.lock = std::move(*lock), .control = std::move(*control)});
    if (!opened) return fail_on(opened.error());
    return (*opened)->run();
}
