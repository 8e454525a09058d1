// clusterd: takes the runtime directory, then is the keeper until the end.
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <memory>
#include <string>
#include <system_error>
#include <utility>

#include "arguments.hpp"
#include "keeper/estate.hpp"
#include "keeper/keeper.hpp"
#include "keeper/service.hpp"
#include "keeper/start.hpp"
#include "place/directories.hpp"
#include "place/explain.hpp"
#include "sys/file.hpp"
#include "sys/process.hpp"
#include "sys/succession.hpp"

namespace {

namespace keeper = cluster::keeper;
using cluster::place::Directories;
using Made = cluster::Result<std::unique_ptr<keeper::Keeper>>;

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

keeper::SupervisorProcess::Command make_command(const clusterd::Arguments& arguments,
                                                         const Directories& directories) {
    keeper::SupervisorProcess::Command command{.path = find_supervisor(), .arguments = {}};
    command.arguments.push_back("--runtime-dir=" + directories.runtime);
    if (arguments.config) {
        std::error_code error;
        const auto config = std::filesystem::absolute(*arguments.config, error);
        command.arguments.push_back("--config=" + (error ? *arguments.config : config.string()));
    }
    if (arguments.log_level) command.arguments.push_back("--log-level=" + *arguments.log_level);
    return command;
}

/// The first keeper of a daemon.
Made begin(keeper::Options options) {
    auto lock = keeper::take_runtime(options.directories);
    if (!lock) return tl::unexpected(lock.error());
    auto process = keeper::prepare_process();
    if (!process) return tl::unexpected(process.error());
    if (auto written = keeper::write_pid_file(options.directories); !written) {
        return tl::unexpected(written.error());
    }
    auto control = keeper::open_control(options.directories);
    if (!control) return tl::unexpected(control.error());
    return keeper::Keeper::open(std::move(options), std::move(*process),
                                {.lock = std::move(*lock), .control = std::move(*control)});
}

/// The next keeper of one that runs already.
Made succeed(int file, keeper::Options options) {
    cluster::sys::name_process("clusterd");  // it may have been executed by a number
    const cluster::sys::UniqueFd owned(file);
    auto estate = keeper::receive_estate(file);
    if (!estate) return tl::unexpected(estate.error());
    auto process = keeper::prepare_process();
    if (!process) return tl::unexpected(process.error());
    return keeper::Keeper::succeed(std::move(options), std::move(*process), std::move(*estate));
}

/// Both programs of this build start, and know the layouts of the daemon that asks: exit code 0.
int check_succession(const std::string& versions, const std::string& supervisor) {
    const std::string argument = "--succeeds=" + versions;
    if (!keeper::can_succeed(versions)) {
        std::fprintf(stderr,
                     "clusterd " CLUSTER_VERSION
                     ": the layouts of the daemon that runs (%s) are not known here\n",
                     versions.c_str());
        return kExitFailure;
    }
    const auto error = cluster::sys::replace_process(supervisor, {supervisor, argument});
    std::fprintf(stderr, "clusterd: %s: %s\n", supervisor.c_str(), std::strerror(error.code));
    return kExitFailure;
}

}  // namespace

int main(int argc, char** argv) {
    keeper::ensure_standard_descriptors();
    const clusterd::Arguments arguments = clusterd::parse_arguments(argc, argv);
    const auto claimed = keeper::claim_descriptors(arguments.estate.has_value());
    const auto directories =
        cluster::place::resolve(cluster::place::from_environment(), arguments.runtime_dir);
    const auto fail_on = [&](cluster::Error error) {
        std::fprintf(stderr, "clusterd: %s\n", cluster::place::explain(directories, error).c_str());
        return kExitFailure;
    };
    if (!claimed) return fail_on(claimed.error());
    keeper::SupervisorProcess::Command command = make_command(arguments, directories);
    if (!cluster::sys::file_info(command.path)) {
        std::fprintf(stderr,
                     "clusterd: no cluster-supervisor at %s. Install it there or name it in "
                     "CLUSTER_SUPERVISOR.\n",
                     command.path.c_str());
        return kExitFailure;
    }
    if (arguments.succeeds) return check_succession(*arguments.succeeds, command.path);
    keeper::Options options{.directories = directories, .supervisor = std::move(command)};
    auto made = arguments.estate ? succeed(*arguments.estate, std::move(options))
                                 : begin(std::move(options));
    if (made) return (*made)->run();
    const bool is_taken = made.error().op == cluster::Op::lock && made.error().code == EWOULDBLOCK;
    if (is_taken && keeper::leave_service_to_other(directories)) return EXIT_SUCCESS;
    return fail_on(made.error());
}
